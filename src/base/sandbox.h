/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Rights that a program drops before it reads from strangers, with Landlock (landlock(7), Linux 5.13), so that an
 * attacker who takes it over has little of them. Without Landlock in the kernel the program keeps them, and goes on. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* The process and its children can no longer write, make, remove, rename or (from Linux 6.2 on) truncate files, nor
 * start programs. They can still change the mode, the owner and the times of a file: no version of Landlock knows of
 * these. Descriptors that are open stay usable, and /dev/null can be opened. False when the kernel has no Landlock. */
bool sandbox_read_only(void);

/* The same outside of these folders (NULL at the end; absent ones are skipped), and programs may be started: for a
 * program that stores files. */
bool sandbox_write_below(const char *const *folders);

/* As sandbox_read_only, and no file can be opened for reading either: for a program that has opened all that it needs.
 */
bool sandbox_no_files(void);

/* The version of Landlock's interface in this kernel; below 1: there is none. */
int sandbox_version(void);

/* Lists of paths with NULL at the end; NULL: none. */
typedef struct {
    const char *const *closed;   /* files, and folders with all that is in them */
    const char *const *readable; /* what can be read nevertheless, */
    const char *const *writable; /* and what can be changed */
    const char *const *sockets;  /* folders for its sockets and files, but for no links */
} SandboxPlaces;

/* The process and its children cannot open, make or remove anything in the closed places, nor anything new in the
 * folders above them. From Linux 6.12 on they can also signal no other process, nor connect to sockets with abstract
 * names. False with an error when the kernel has no Landlock. */
bool sandbox_keep_out(const SandboxPlaces *places, GError **error);
