/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The first half of the template engine: text to tokens, with all that can be wrong in a template found here. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef enum {
    TOKEN_TEXT,
    TOKEN_VALUE,
    TOKEN_SECTION,
    TOKEN_INVERTED,
    TOKEN_END,
    TOKEN_PARTIAL,
    TOKEN_COMMENT,
    TOKEN_WORDS,
} TokenKind;

typedef struct {
    TokenKind kind;
    int line;          /* of its beginning, from 1 */
    const char *start; /* the text, or the name in the tag; points into the template, or is a constant */
    size_t length;
    size_t partner; /* of a section: index of its end */
} Token;

/* The tokens (of Token) of a template; they point into `text`. `file` is for messages. NULL on error. */
GArray *template_parse(const char *file, const char *text, GError **error);

/* Sets *error to QWD_ERROR_INTERNAL "FILE:LINE: ..." and returns false. */
bool template_fail(GError **error, const char *file, int line, const char *format, ...) G_GNUC_PRINTF(4, 5);
