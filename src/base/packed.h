/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Numbers and texts one after the other, for files that nobody but this program on this machine reads. Whatever the
 * bytes are, reading them ends, with values or without. */
#pragma once

#include <glib.h>
#include <stdbool.h>

void pack_integer(GByteArray *out, gint64 value);
void pack_text(GByteArray *out, const char *text); /* NULL is "" */
void pack_bytes(GByteArray *out, const guint8 *bytes, size_t length);

/* What is still to be read. Once there was less than was asked for, all that follows is 0 and "". */
typedef struct {
    const guint8 *at, *end;
    bool is_bad;
} Unpacker;

gint64 unpack_integer(Unpacker *in);
char *unpack_text(Unpacker *in); /* free with g_free */

/* What pack_bytes has written, or nothing. Borrowed. */
Unpacker unpack_bytes(Unpacker *in);
