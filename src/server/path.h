/* SPDX-License-Identifier: AGPL-3.0-or-later
 * From the path of a request to a file that may be served. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Undoes the percent encoding of an absolute path (without query). Refuses, with QWD_ERROR_USAGE, whatever could mean
 * another place to somebody else: empty and dotted segments ("//", "..", ".git"), encoded slashes, backslashes,
 * control characters, broken encodings, text that is not UTF-8. Free with g_free. */
char *path_decode(const char *raw, GError **error);

/* The file that `relative` (decoded) means below `folder`, with symbolic links resolved; a link may lead out of it
 * only to below `also_below` (NULL: nowhere). QWD_ERROR_NOT_FOUND otherwise. Free with g_free. */
char *path_resolve(const char *folder, const char *relative, const char *also_below, GError **error);

/* The media type by the ending of a name; NULL: a kind of file that is not served. */
const char *path_media_type(const char *path);
