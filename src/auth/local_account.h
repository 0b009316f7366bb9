/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What the files of accounts say about an account; text in, value out. */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* The lowest uid of an account for people: UID_MIN of login.defs(5), 1000 when the text (may be NULL) does not set it
 * to a number above 0. */
uid_t local_account_uid_min(const char *login_defs);

/* The name for people: the first part of the GECOS field (passwd(5)), where & stands for the capitalised account name.
 * Valid UTF-8, "" unknown. Free with g_free. */
char *local_account_full_name(const char *gecos, const char *user);
