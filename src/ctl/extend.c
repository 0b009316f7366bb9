/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl extend: moves the end of a session, beyond what its user may. */
#include <stdio.h>

#include "app/app.h"
#include "app/local.h"
#include "base/error.h"
#include "base/text.h"
#include "base/units.h"
#include "core/store.h"
#include "ctl/commands.h"
#include "ctl/json_mode.h"

#define EXTENSION_MIN_S 60
#define EXTENSION_MAX_S (365 * 86400)

static bool read_duration(const char *word, gint64 *seconds, GError **error)
{
    *seconds = 0;
    if (!word || (units_parse_duration(word, seconds) && *seconds >= EXTENSION_MIN_S && *seconds <= EXTENSION_MAX_S))
        return true;
    return qwd_error_fail(error, QWD_ERROR_USAGE, "DURATION: write one from 1 min to 365 d, such as 8h or 4d.");
}

bool command_extend(Arguments *arguments, GError **error)
{
    const Settings *settings = arguments->settings;
    g_auto(GStrv) words = command_words(arguments);
    gint64 seconds;
    if (!read_duration(words[1], &seconds, error))
        return false;
    Identity who = local_identity();
    g_autofree char *id = store_find_id(settings, words[0], error);
    g_autoptr(SessionRecord) session = id ? app_extend(settings, &who, id, seconds, error) : NULL;
    if (!session)
        return false;
    g_autoptr(GDateTime) end = g_date_time_new_from_unix_local(session->ends_at);
    g_autofree char *text = g_date_time_format(end, "%e %b %Y %H:%M %Z");
    g_autofree char *left = units_format_duration(session->ends_at - session_now());
    g_autofree char *owner = text_for_line(session->owner);
    if (json_mode_is_on())
        json_mode_take(json_pack("{s:s, s:I}", "id", session->id, "ends_at", (json_int_t)session->ends_at));
    printf("%s of %s ends on %s, in %s.\n", session->id, owner, g_strchug(text), left);
    return true;
}
