/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Fields of a query or of an application/x-www-form-urlencoded body (WHATWG URL, section 5.1), decoded where they
 * stand: no second copy of a password is made. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define PARAMS_MAX 128 /* a selection of a page of the monitor, and what goes with it */

typedef struct {
    const char *name, *value;
} Param;

typedef struct {
    char *buffer; /* what names and values point into */
    size_t size;
    Param items[PARAMS_MAX];
    size_t count;
} Params;

/* Takes `buffer`, which has room for a NUL behind its `length` bytes. All that is not UTF-8 text without control
 * characters, a field given twice (but for "sessions") and more than PARAMS_MAX fields are QWD_ERROR_USAGE. */
bool params_parse(Params *params, char *buffer, size_t length, GError **error);

/* NULL when absent. */
const char *params_find(const Params *params, const char *name);

/* All values of a field that may be repeated, in their order (const char *); empty when absent. */
GPtrArray *params_find_all(const Params *params, const char *name);

/* Wipes and frees. */
void params_wipe(Params *params);

/* Whether `length` bytes are UTF-8 without NUL and control characters, but for tabs and line ends when `lines`. */
bool params_text_is_plain(const char *text, size_t length, bool lines);
