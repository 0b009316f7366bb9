/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Texts from outside. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/* Marks a text that visitors read, for the catalogues of languages (web/catalogue.h): it is translated when it is
 * shown. */
#define N_(english) english

/* Whether a text has ASCII control characters: line ends, tabs, escapes. */
bool text_has_controls(const char *text);

/* Whether a text is UTF-8 without ASCII control characters but tabs. */
bool text_is_line(const char *text);

/* Turns each of them into a space, so that the text stays one line wherever it is written. */
void text_flatten(char *text);

/* Breaks lines that are longer than `width` characters at their spaces; words stay whole. Free with g_free. */
char *text_wrap(const char *text, size_t width);

/* Text of anybody as a terminal can show it without obeying it: line ends and tabs stay, the end of a line may be CR
 * LF; other control characters become ^X; what is not UTF-8, or not printable, becomes \\xNN. Free with g_free. */
char *text_for_terminal(const char *text, size_t length);

/* The same for a text that stays on one line: line ends and tabs become ^X as well. Free with g_free. */
char *text_for_line(const char *text);

/* Adds a line to a report (char *, owned by it); does nothing where nobody wants one (NULL). */
void report_add(GPtrArray *report, const char *format, ...) G_GNUC_PRINTF(2, 3);
