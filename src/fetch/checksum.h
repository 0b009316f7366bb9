/* SPDX-License-Identifier: AGPL-3.0-or-later
 * SHA-256 of images, and the lists of them that distributions publish. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Whether a text is a SHA-256 in hexadecimal, in either case. */
bool checksum_is_well_formed(const char *text);

/* The SHA-256 of all that a file holds, in lower case; the descriptor's place is not used. Free with g_free. */
char *checksum_of_file(int fd, GError **error);

/* The checksum of `name` in a list: lines "CHECKSUM  NAME" or "CHECKSUM *NAME" (sha256sum(1)), "SHA256 (NAME) =
 * CHECKSUM"
 * (--tag), or one checksum alone. In lower case; NULL when there is none. Free with g_free. */
char *checksum_find(const char *list, const char *name);
