/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What can be read about a session afterwards: its lines of the service's log, and the logs of its programs. */
#pragma once

#include "core/settings.h"

/* The id of the session that `word` begins: at least 8 digits of a session that runs, or whose logs are kept, or that
 * the log tells of. QWD_ERROR_NOT_FOUND when there is none, QWD_ERROR_USAGE when there are several. Free with g_free.
 */
char *logs_find_session(const Settings *settings, const char *word, GError **error);

/* The last lines of the service's log. Free with g_free. */
char *logs_end(const Settings *settings, GError **error);

/* The lines that tell of a session, also from the time before the log was rotated last. Free with g_free. */
char *logs_lines_of(const Settings *settings, const char *id);
