/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Mail to the owner of a session before it ends. */
#pragma once

#include "session/supervisor.h"

/* Sends html/mail/TEMPLATE.* about an end at `end` (UTC seconds), without waiting for the mail server: where mail is
 * set up (email_from) and the owner's address is known. What goes wrong later is in the log. */
void warning_send(const Supervisor *supervisor, const char *template_name, gint64 end);
