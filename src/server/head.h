/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Lines "Name: value" up to an empty line: the head of an answer from a CGI program or from websockify. Both count
 * as hostile. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define HEAD_MAX_BYTES 16384
#define HEAD_MAX_FIELDS 100

typedef struct {
    char *name, *value;
} HeadField;

/* Number of bytes up to and with the first empty line (LF or CRLF); 0: there is none yet. */
size_t head_length(const char *data, size_t length);

/* Reads the fields of a complete head of `length` bytes. QWD_ERROR_INTERNAL when a line is not a field, or for more
 * than HEAD_MAX_BYTES or HEAD_MAX_FIELDS. Free with g_ptr_array_unref. */
GPtrArray *head_parse(const char *data, size_t length, GError **error);

/* An empty list, and adding to it; the texts are copied. */
GPtrArray *head_new(void);
void head_add(GPtrArray *fields, const char *name, const char *value);

/* The first value of a name in any case; NULL when there is none. Borrowed. */
const char *head_get(const GPtrArray *fields, const char *name);

/* Whether a text can be a field's name: a token (RFC 9110, 5.6.2). */
bool head_name_is_token(const char *name);

/* Whether a text has no control character but tab: it can be sent as a value. */
bool head_value_is_plain(const char *value);
