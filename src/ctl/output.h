/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What qwdctl prints: data on standard output, for people and scripts alike; headings, notes and questions on standard
 * error, so that what a script reads is rows and nothing else. Control characters of others' texts are shown, not
 * obeyed. Colour on terminals only, and not with NO_COLOR. */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

typedef enum { COLOUR_NONE, COLOUR_HEADING, COLOUR_GOOD, COLOUR_WARNING, COLOUR_BAD } Colour;

/* A line on standard error. */
void output_note(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* A heading on standard error: the columns of what follows on standard output. */
void output_heading(const char *text);

/* Prints a text in a colour, where that is wanted. */
void output_coloured(FILE *stream, Colour colour, const char *text);

/* Prints an object on standard output, and takes it. */
void output_json(json_t *object);

/* Rows of cells whose columns are as wide as they have to be; the last cell of a row ends it. */
typedef struct Table Table;
Table *table_new(const char *first_title, ...) G_GNUC_NULL_TERMINATED;
void table_free(Table *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Table, table_free)

/* As many texts as there are titles; a cell is one line. The colour is that of the first cell. */
void table_add(Table *table, Colour colour, ...);
void table_print(const Table *table);

/* Bytes for people: "35 MB". Free with g_free. */
char *output_size(gint64 bytes);

bool output_is_terminal(void); /* whether there is somebody to ask */

/* Asks on the terminal; `otherwise` when nothing but Enter is typed. False where there is no terminal. */
bool output_confirm(const char *question, bool otherwise);
