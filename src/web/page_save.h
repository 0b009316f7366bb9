/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What pages say of sessions that are saved as machines, and of those machines. */
#pragma once

#include <jansson.h>

#include "core/policy.h"
#include "core/session.h"
#include "core/settings.h"

/* "saving" of session.html; null when this visitor cannot save the session. New reference. */
json_t *saving_value(const Settings *settings, const Identity *who, const SessionRecord *session);

/* "saved" of sessions.html: the machines that this visitor has saved; null when there are none. New reference. */
json_t *saved_value(const Settings *settings, const Identity *who);
