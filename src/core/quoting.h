/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Which quotes are around a place in a script for sh or bash. It follows quotes, escapes, comments, substitutions and
 * here-documents, and no more of the grammar: who asks must be safe when the answer is wrong. */
#pragma once

#include <glib.h>

typedef enum {
    QUOTING_NONE,
    QUOTING_DOUBLE,  /* within "...", or where the shell reads as there: a here-document, $((...)) */
    QUOTING_SINGLE,  /* '...' */
    QUOTING_ANSI,    /* $'...' */
    QUOTING_LITERAL, /* a here-document with a quoted delimiter, in which no shell replaces anything */
} Quoting;

typedef struct {
    const char *start;          /* of the script */
    GArray *frames;             /* what is open, the innermost last */
    GPtrArray *awaited, *begun; /* here-documents: those that begin after this line, and those that we are in */
} QuotingReader;

/* Begins to read a script, which must stay as it is meanwhile. Free with quoting_reader_clear. */
void quoting_reader_init(QuotingReader *reader, const char *script);

/* What is around the place that has been reached. */
Quoting quoting_reader_state(const QuotingReader *reader);

/* Reads the next piece of the script, which is at `at` and not at its end: a character, or those that belong together,
 * such as an escaped one. Whatever the caller takes from the script by itself is passed over. Returns how many bytes.
 */
size_t quoting_reader_step(QuotingReader *reader, const char *at);

void quoting_reader_clear(QuotingReader *reader);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(QuotingReader, quoting_reader_clear)
