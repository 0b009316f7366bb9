/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Text files compressed on the way (RFC 1952). Only files that everybody may have: compressing pages that hold secrets
 * beside what a visitor has sent would give those away by their length. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Whether a file of this media type and size is worth it. */
bool gzip_is_worthwhile(const char *media_type, gint64 size);

/* Whether the header Accept-Encoding (RFC 9110, 12.5.3; NULL: absent) asks for gzip. */
bool gzip_is_accepted(const char *accept_encoding);

/* A file of this size, compressed. NULL when it cannot be read whole. Free with g_byte_array_unref. */
GByteArray *gzip_file(int fd, gint64 size);
