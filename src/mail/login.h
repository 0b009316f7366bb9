/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Does a mail server know this user and password? */
#pragma once

#include "mail/server.h"

/* Logs in over TLS, and leaves. True only when the server asked for the credentials
 * and then accepted them; QWD_ERROR_LOGIN when it refused them, or for a user name with control characters, which is
 * never sent; any other kind says nothing about the user. Messages name the server and its status codes, but neither
 * its words, which could repeat what was sent, nor the user's. */
bool mail_login(const MailServer *server, const char *user, const char *password, GError **error);
