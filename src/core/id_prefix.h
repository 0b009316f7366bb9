/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The id of a session as people write it: all of its digits, or as many of the first ones as tell it from others. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define ID_PREFIX_MIN 8

/* Whether a word is one: from 8 hexadecimal digits to a whole id. Else QWD_ERROR_USAGE. */
bool id_prefix_check(const char *word, GError **error);

/* The only one of the ids (char *) that begins with `word`. QWD_ERROR_NOT_FOUND when there is none, QWD_ERROR_USAGE
 * with the candidates when there are several. Free with g_free. */
char *id_prefix_choose(const GPtrArray *ids, const char *word, GError **error);
