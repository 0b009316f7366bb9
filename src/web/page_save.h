/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What the page of a session says of its being saved as a machine. */
#pragma once

#include <jansson.h>

#include "core/policy.h"
#include "core/session.h"
#include "core/settings.h"

/* "saving" of session.html; null when this visitor cannot save the session. New reference. */
json_t *saving_value(const Settings *settings, const Identity *who, const SessionRecord *session);
