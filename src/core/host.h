/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What this host has, as far as plans depend on it. */
#pragma once

#include <glib.h>

typedef struct {
    char *arch; /* as QEMU names it: "x86_64", "aarch64" */
    int cpus;   /* processors online */
    gint64 memory_mib;
} Host;

/* Reads uname(2) and sysconf(3). */
void host_read(Host *host);

void host_clear(Host *host);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Host, host_clear)
