/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Secrets that an administrator keeps in files of their own, and that are wiped after use. */
#pragma once

#include <glib.h>

#define SECRET_MAX_BYTES 1024

typedef char Secret;

/* The first line of a file, without its end. Refuses a file that accounts other than its owner and its group can read
 * or write, and an empty, longer or binary line. QWD_ERROR_CONFIG with the path and what to do, never with content.
 * Free with secret_free. */
Secret *secret_read_file(const char *path, GError **error);

/* Wipes the text; NULL is fine. */
void secret_free(Secret *secret);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Secret, secret_free)
