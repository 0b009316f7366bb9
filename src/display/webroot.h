/* SPDX-License-Identifier: AGPL-3.0-or-later
 * A folder to serve whose subfolders cannot be listed: Python's web server lists what has no index.html, and
 * websockify 0.10 cannot be told not to. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Makes `target` anew: the folders of `source`, symbolic links to its files, an empty index.html where there is none.
 */
bool webroot_make(const char *source, const char *target, GError **error);
