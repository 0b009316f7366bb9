/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Moving the end of a session's life: how far, how often, and by whom. */
#include "base/error.h"
#include "base/text.h"
#include "base/units.h"
#include "core/life.h"

#define GAIN_MIN_S 60                /* less is not worth an answer that it was extended */
#define ADMIN_DEFAULT_S 86400        /* where users may not extend, and an administrator does not say how much */
#define END_MAX_S (10 * 365 * 86400) /* from now: what an administrator may reach by pressing again and again */

gint64 life_extension_s(const Settings *settings)
{
    return settings->session_extension ? settings->session_extension : ADMIN_DEFAULT_S;
}

/* The latest end that users can reach: *reason is why it goes no further. */
static gint64 latest_end(const Settings *settings, const SessionRecord *session, gint64 now, const char **reason)
{
    gint64 chosen_max = session->plan->lifetime_max_s ? session->plan->lifetime_max_s : G_MAXINT64;
    gint64 latest = now + MIN(settings->snapshot_lifetime, chosen_max);
    gint64 total = settings->session_total_max ? life_begun_at(session) + settings->session_total_max : G_MAXINT64;
    *reason =
        latest <= total
            ? N_("This session has the longest life-time there is already. It can be extended later.")
            : N_("This session cannot last longer: the service limits how long one may go on in all. Save your work "
                 "and create a new session, or ask the administrator to extend this one.");
    return MIN(latest, total);
}

gint64 life_extension_gain_s(const Settings *settings, const SessionRecord *session, const LifeExtension *extension)
{
    const char *reason;
    gint64 most = life_extension_s(settings);
    if (extension->by_admin)
        return most;
    gint64 gain = MIN(most, latest_end(settings, session, extension->now, &reason) - session->ends_at);
    return gain >= GAIN_MIN_S ? gain : 0;
}

bool life_may_extend(const Settings *settings, const SessionRecord *session, GError **error)
{
    if (!settings->session_extension)
        return qwd_error_fail(
            error, QWD_ERROR_DENIED,
            "Sessions cannot be extended here. Save your work before the end and create a new session, "
            "or ask the administrator to extend this one.");
    if (settings->session_extensions_max && session->extensions >= settings->session_extensions_max)
        return qwd_error_fail(error, QWD_ERROR_CONFLICT,
                              "This session has been extended %d times, which is the most there may be. Save your work "
                              "and create a new session, or ask the administrator to extend this one.",
                              (int)session->extensions);
    return true;
}

static bool check_amount(const Settings *settings, gint64 seconds, GError **error)
{
    g_autofree char *most = units_format_duration(settings->session_extension);
    return seconds <= settings->session_extension ||
           qwd_error_fail(error, QWD_ERROR_USAGE,
                          "snapshot_lifetime: one extension adds at most %s. Ask for that, and extend again later.",
                          most);
}

static bool extend_by_user(const Settings *settings, SessionRecord *session, const LifeExtension *extension,
                           GError **error)
{
    const char *reason;
    gint64 seconds = extension->seconds ? extension->seconds : settings->session_extension;
    if (!life_may_extend(settings, session, error) || !check_amount(settings, seconds, error))
        return false;
    gint64 wanted = MIN(session->ends_at + seconds, latest_end(settings, session, extension->now, &reason));
    if (wanted < session->ends_at + GAIN_MIN_S)
        return qwd_error_fail(error, QWD_ERROR_CONFLICT, "%s", reason);
    session->ends_at = wanted;
    session->extensions++;
    return true;
}

static bool extend_by_admin(const Settings *settings, SessionRecord *session, const LifeExtension *extension,
                            GError **error)
{
    gint64 wanted = session->ends_at + (extension->seconds ? extension->seconds : life_extension_s(settings));
    if (wanted > extension->now + END_MAX_S)
        return qwd_error_fail(error, QWD_ERROR_CONFLICT, "No session goes on for more than ten years from now.");
    session->ends_at = wanted;
    return true;
}

bool life_extend(const Settings *settings, SessionRecord *session, const LifeExtension *extension, GError **error)
{
    bool good = extension->by_admin ? extend_by_admin(settings, session, extension, error)
                                    : extend_by_user(settings, session, extension, error);
    if (good)
        session->touched_at = MAX(session->touched_at + 1, extension->now); /* another value each time */
    return good;
}
