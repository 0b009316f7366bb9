/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Mail of the service, sent by the helper program qwd-mail. */
#pragma once

#include <jansson.h>

#include "core/settings.h"

/* Sends a message made from the templates html/mail/NAME.* with these values (borrowed), and waits until the mail
 * server has taken it. QWD_ERROR_UNAVAILABLE says why not. */
bool app_mail(const Settings *settings, const char *to, const char *template_name, const json_t *values,
              GError **error);
