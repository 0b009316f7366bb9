/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/policy.h"

#include "base/error.h"

bool policy_is_local_only(const Settings *settings)
{
    return !settings->service_open;
}

bool policy_allows(const Settings *settings, const Identity *who, Action action, const SessionRecord *session,
                   GError **error)
{
    (void)session;
    if (who->is_admin)
        return true;
    if (policy_is_local_only(settings) && !who->is_local)
        return qwd_error_fail(
            error, QWD_ERROR_DENIED,
            "No way to log in is configured, so this service answers only browsers on its own machine. "
            "Its administrator can choose a way to log in, or set service_open = yes.");
    if (action == ACTION_PURGE)
        return qwd_error_fail(error, QWD_ERROR_DENIED,
                              "Only an administrator may end all sessions. On the server, use: qwdctl stop");
    return true;
}
