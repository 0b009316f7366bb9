/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What pages say of the times of a session: that it ends soon, how it is extended, that its disk is kept. New
 * references. */
#pragma once

#include <jansson.h>

#include "core/policy.h"
#include "core/session.h"
#include "core/settings.h"

/* A time as the templates take it; null for 0. (pages.c) */
json_t *time_value(gint64 unix_s);
json_t *time_of_day_value(gint64 unix_s); /* the hour alone is shown */

/* Whether the Extend button is shown: it may still say that there is nothing to gain at the moment. */
bool may_press_extend(const Settings *settings, const Identity *who, const SessionRecord *session);

/* How much it adds now, at least: "1 day"; where there is nothing to gain, as much as it adds otherwise. */
json_t *extension_text(const Settings *settings, const Identity *who, const SessionRecord *session);

/* "ending" of session.html: the first of the ends that are near; null when none is. */
json_t *ending_value(const Settings *settings, const Identity *who, const SessionRecord *session);

/* "kept" of session.html and sessions.html; null when no disk is kept, or it is somebody else's. */
json_t *kept_value(const Settings *settings, const Identity *who, const SessionRecord *session);
