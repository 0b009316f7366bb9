/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Whether a path leads where we think it does: no other user of the host can put something else in its way. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Checks every folder and every symbolic link on the way to `path`, and `path` itself, as far as they exist: each
 * belongs to root or to us, and nobody else can write to it; folders such as /tmp may be open to all when they are
 * sticky (chmod(2)). QWD_ERROR_CONFIG names the one that is not so. Whoever makes the rest of the path checks again. */
bool path_check_trusted(const char *path, GError **error);
