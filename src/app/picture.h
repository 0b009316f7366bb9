/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The picture of a session's screen, for those who may see the session. */
#pragma once

#include "core/session.h"
#include "core/settings.h"

/* A picture (PNG, g_free) of the screen of a session that the asker may see (app_see): one that is not older than
 * max_age_s, or the last one, while a new one is asked for. NULL with QWD_ERROR_NOT_FOUND when there is none. */
char *app_picture(const Settings *settings, const SessionRecord *session, gint64 max_age_s, size_t *length,
                  GError **error);
