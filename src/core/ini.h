/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Files of sections in the manner of machines.conf: [section], key = value, comments behind # or ;. */
#pragma once

#include <glib.h>

/* QWD_ERROR_NOT_FOUND for an absent file, QWD_ERROR_CONFIG (with its path) for one that cannot be understood. */
GKeyFile *ini_read(const char *path, GError **error);

/* The same for a text in memory; `path` is used in messages. */
GKeyFile *ini_parse(const char *text, size_t length, const char *path, GError **error);
