/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Unguessable names, from the kernel's random numbers. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* 128 random bits as 32 hexadecimal digits. Aborts when the kernel gives none: nothing could be safe then. */
char *token_new(void);

/* Whether a text has the form of a token. */
bool token_is_well_formed(const char *text);

/* SHA-256 of a token in hexadecimal: what a record keeps of it. */
char *token_hash(const char *token);

/* Compares in a time that does not depend on where the texts differ. */
bool token_equal(const char *a, const char *b);
