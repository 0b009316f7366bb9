/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Giving up root for good. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/* A process of root becomes the account `user` with its groups, and checks that there is no way back; any other
 * process stays what it is. Call it before the first thread starts. Errors are QWD_ERROR_CONFIG (no such account, or
 * it is root itself) or QWD_ERROR_INTERNAL; after one the process must not go on: it may be half-way. */
bool account_become(const char *user, GError **error);

/* Whether people, or root's own programs, work under this account: root, and the accounts above those of the system
 * that have a shell to log in with. Programs that serve others, such as proxies, have accounts of the system. */
bool account_is_of_people(uid_t account);
