/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Texts from outside. */
#pragma once

#include <stdbool.h>

/* Whether a text has ASCII control characters: line ends, tabs, escapes. */
bool text_has_controls(const char *text);

/* Turns each of them into a space, so that the text stays one line wherever it is written. */
void text_flatten(char *text);
