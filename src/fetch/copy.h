/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Copies of files that share their blocks with the original where the file system can do that. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef void (*CopyProgress)(gint64 done, gint64 total, void *data);

/* Copies all of a regular file into an empty one. `progress` may be NULL. */
bool copy_file(int from, int to, CopyProgress progress, void *data, GError **error);
