/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Where the system's own files are: /sys, /dev, /etc. */
#pragma once

/* What goes before their paths: $QWD_SYSROOT for tests and for a system that is mounted elsewhere, else "". */
const char *sysroot(void);

/* An absolute path below it. Free with g_free. */
char *sysroot_path(const char *path);
