/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Mail of the service, sent by the helper program qwd-mail. */
#pragma once

#include <jansson.h>

#include "core/settings.h"

typedef struct {
    const char *to, *template_name;
    const char *language; /* "fr"; NULL or "": English */
    const json_t *values;
} MailJob;

/* Sends a message made from the templates html/mail/NAME.* with these values (borrowed; "end_at", UTC seconds, becomes
 * "end" for people), and waits until the mail server has taken it. QWD_ERROR_UNAVAILABLE says why not. */
bool app_mail(const Settings *settings, const MailJob *job, GError **error);

/* What became of a message: NULL when the mail server has taken it, else why not. From the main context. */
typedef void (*MailDone)(const char *trouble, void *data);

/* The same without waiting, for who serves events meanwhile. `done` is called once, unless the program ends before: the
 * mailer goes on then, and ends within its own deadline. */
bool app_mail_start(const Settings *settings, const MailJob *job, MailDone done, void *data, GError **error);
