/* SPDX-License-Identifier: AGPL-3.0-or-later
 * A script put into a disk that no machine uses, for its system to run once, at the next boot. virt-customize does it
 * (guestfs-tools), which looks at the disk in a small machine of its own and knows many systems. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct {
    const char *disk;         /* a qcow2, absolute path */
    const char *script;       /* its text, with #! */
    const char *folder;       /* private: for files that are needed meanwhile */
    const char *run_folder;   /* the same for sockets, whose paths must be short */
    const char *cache_folder; /* where libguestfs keeps the system of its small machine; made when absent */
    bool emulate;             /* KVM does not work here */
    int deadline_ms;
} CustomizeJob;

/* Serves the main context meanwhile. The disk is changed at the end, or not at all. QWD_ERROR_UNAVAILABLE when
 * virt-customize is not installed or fails, with its words; QWD_ERROR_TIMEOUT; QWD_ERROR_CANCELLED. */
bool customize_add_script(const CustomizeJob *job, GError **error);
