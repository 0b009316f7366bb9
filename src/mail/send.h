/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Sends one message to one person. */
#pragma once

#include "mail/server.h"

/* Texts are borrowed. Addresses must be valid (auth/email.h). */
typedef struct {
    const char *from_name; /* "" none */
    const char *from;
    const char *to;
    const char *subject;
    const char *text; /* UTF-8, with any line ends */
    const char *html; /* the same for people with pictures; NULL: none */
} MailMessage;

/* Who logs in at the server before sending. */
typedef struct {
    const char *user, *password;
} MailAccount;

/* Hands a message to one server; `account` may be NULL. True when the server has taken it over (RFC 5321, 4.2.5).
 * QWD_ERROR_DENIED with the server's words when it refuses the message or its addressee for good, QWD_ERROR_CONFIG for
 * an account over a connection without TLS, QWD_ERROR_NOT_FOUND when there is no such service, else
 * QWD_ERROR_UNAVAILABLE. */
bool mail_send(const MailServer *server, const MailAccount *account, const MailMessage *message, GError **error);

/* Hands a message to smtp_server in the way that email_method names. "auto" tries the ways in turn: the next one only
 * when there is no such service, never after a certificate that cannot be trusted or a refusal; a way without TLS only
 * without an account. Ends within deadline_ms. Errors as above, without QWD_ERROR_NOT_FOUND. */
bool mail_deliver(const Settings *settings, const MailAccount *account, const MailMessage *message, int deadline_ms,
                  GError **error);
