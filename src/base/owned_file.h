/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Files whose folder may be root's or another account's. Root itself touches those alone that nobody else can put
 * something in the place of (base/trusted_path.h); all others are the work of the service account (base/account.h),
 * `user` here. A process that is not root does the work itself. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/* As file_read_text. */
char *owned_file_read_text(const char *user, const char *path, size_t max_bytes, GError **error);

/* As file_replace, making the folder (0755) when it is absent. */
bool owned_file_replace(const char *user, const char *path, const char *text, mode_t mode, GError **error);
