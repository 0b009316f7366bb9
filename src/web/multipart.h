/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Fields of a multipart/form-data body (RFC 7578), which forms of the original service send. A program of its own reads
 * it with a parser of mail, so that this one needs no such library, and writes what params_parse() takes. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "core/settings.h"

#define MULTIPART_PROGRAM "qwd-multipart"
#define MULTIPART_TYPE "multipart/form-data"

/* How qwd-multipart ends. It reads "Content-Type: ...", an empty line and the body. */
typedef enum {
    MULTIPART_GOOD,
    MULTIPART_MALFORMED = 3,
    MULTIPART_FILE, /* one of its parts is a file */
    MULTIPART_TOO_LARGE,
} MultipartEnd;

/* Its output is no longer than this: process_run_options() keeps no more. */
#define MULTIPART_OUTPUT_MAX_BYTES (1024 * 1024 - 1)

/* The fields as application/x-www-form-urlencoded text; wipe it and free it with g_free. `type` is the whole
 * Content-Type. QWD_ERROR_USAGE: they cannot be read; QWD_ERROR_MEDIA_TYPE: a file is among them; QWD_ERROR_TOO_LARGE;
 * QWD_ERROR_UNAVAILABLE, QWD_ERROR_TIMEOUT: the program does not run. */
char *multipart_decode(const Settings *settings, const char *type, const char *body, size_t length, GError **error);
