/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Whether a path leads where we think it does: no other user of the host can put something else in its way. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Checks every folder and every symbolic link on the way to `path`, and `path` itself, as far as they exist: each
 * belongs to root or to us, and nobody else can write to it; folders such as /tmp may be open to all when they are
 * sticky (chmod(2)). QWD_ERROR_CONFIG names the one that is not so. Whoever makes the rest of the path checks again. */
bool path_check_trusted(const char *path, GError **error);

/* Whether root alone decides what is at `path`: as above, but nobody else is trusted, us included, and what is absent
 * can be made by root alone. Symbolic links are followed. */
bool path_is_of_root(const char *path);

/* Whether it is root alone who puts something there: others may own what is at `path`, and change it, but put nothing
 * else in its place, such as a symbolic link. */
bool path_is_placed_by_root(const char *path);

/* Opens a regular file that somebody has named, for reading, and follows those symbolic links alone that belong to
 * root: others may lead anywhere by now. Returns a descriptor, or -1 with QWD_ERROR_NOT_FOUND, QWD_ERROR_USAGE (no
 * regular file) or QWD_ERROR_DENIED (a link of another account). Source: openat2(2). */
int path_open_file(const char *path, GError **error);
