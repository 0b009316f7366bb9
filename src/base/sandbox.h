/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What a program that reads from strangers gives up before it does, with Landlock (landlock(7), Linux 5.13): should the
 * reader be taken over, it changes no file and starts no program. Where the kernel has no Landlock nothing is given up,
 * and the program goes on. */
#pragma once

#include <stdbool.h>

/* The process and all that it starts lose the right to write, make, remove and rename files, and to start programs.
 * What is open stays open; /dev/null can be opened still. Returns whether the kernel keeps it. */
bool sandbox_read_only(void);

/* The same but for what is below these folders (NULL at the end; absent ones do not count), and programs may be
 * started: for a program that stores what it reads. */
bool sandbox_write_below(const char *const *folders);

/* The same as the first, and no file can be read any more either: for a program that has opened all that it needs. */
bool sandbox_no_files(void);
