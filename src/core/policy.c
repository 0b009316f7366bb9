/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/policy.h"

#include "base/error.h"

/* Whom an action is for; who may do more may do less. Keepers are administrators and, where nobody logs in, whoever
 * sits at this machine. */
typedef enum { FOR_EVERYBODY, FOR_USERS, FOR_OWNERS, FOR_KEEPERS, FOR_ADMINISTRATORS, FOR_THIS_HOST } Circle;

static const Circle circles[ACTION_COUNT] = {
    [ACTION_FORM] = FOR_EVERYBODY,    [ACTION_CREATE] = FOR_USERS,        [ACTION_LIST] = FOR_USERS,
    [ACTION_SEE] = FOR_OWNERS,        [ACTION_STOP] = FOR_OWNERS,         [ACTION_EXTEND] = FOR_OWNERS,
    [ACTION_SHARE] = FOR_OWNERS,      [ACTION_RESUME] = FOR_OWNERS,       [ACTION_PURGE] = FOR_ADMINISTRATORS,
    [ACTION_METRICS] = FOR_THIS_HOST, [ACTION_SAVE] = FOR_ADMINISTRATORS, [ACTION_MONITOR] = FOR_KEEPERS,
    [ACTION_SAVE_OWN] = FOR_OWNERS,
};

bool policy_login_is_configured(const Settings *settings)
{
    return settings->check_user_with_local || settings->check_user_with_ldap || settings->check_user_with_imap ||
           settings->check_user_with_smtp || settings->check_user_with_email || settings->check_user_with_header ||
           *settings->check_user_custom;
}

bool policy_is_local_only(const Settings *settings)
{
    return !policy_login_is_configured(settings) && !settings->service_open;
}

static bool check_place(const Settings *settings, const Identity *who, GError **error)
{
    return !policy_is_local_only(settings) || who->is_local ||
           qwd_error_fail(
               error, QWD_ERROR_DENIED,
               "No way to log in is configured, so this service answers only browsers on its own machine, under "
               "http://localhost and through no proxy. Its administrator can choose a way to log in, or set "
               "service_open = yes.");
}

static bool check_login(const Settings *settings, const Identity *who, GError **error)
{
    return !policy_login_is_configured(settings) || who->is_authenticated ||
           qwd_error_fail(error, QWD_ERROR_LOGIN, "Please log in.");
}

static bool check_owner(const Settings *settings, const Identity *who, const SessionRecord *session, GError **error)
{
    bool may = !policy_login_is_configured(settings) || (session && g_str_equal(session->owner, who->user));
    if (!may)
        g_propagate_error(error, session_not_found());
    return may;
}

/* Programs that monitor the service do not log in: they have the token, or, as long as there is none, run on this
 * host. */
static bool check_host(const Settings *settings, const Identity *who, GError **error)
{
    bool is_near = who->is_local && !*settings->metrics_token_file;
    return who->has_metrics_token || is_near ||
           qwd_error_fail(error, QWD_ERROR_DENIED,
                          "Only administrators may see this, and programs that send the token of metrics_token_file. "
                          "Without that setting, programs on this server may see it under http://localhost.");
}

/* Those who are not local have been turned away by check_place. */
static bool check_keeper(const Settings *settings, GError **error)
{
    return policy_is_local_only(settings) ||
           qwd_error_fail(error, QWD_ERROR_DENIED,
                          "Only an administrator may see the monitor. Manage sessions lists your own.");
}

bool policy_allows(const Settings *settings, const Identity *who, Action action, const SessionRecord *session,
                   GError **error)
{
    Circle circle = circles[action];
    if (who->is_admin)
        return true;
    if (circle == FOR_THIS_HOST)
        return check_host(settings, who, error);
    if (!check_place(settings, who, error))
        return false;
    if (circle >= FOR_USERS && !check_login(settings, who, error))
        return false;
    if (circle == FOR_KEEPERS)
        return check_keeper(settings, error);
    if (circle >= FOR_OWNERS && circle < FOR_ADMINISTRATORS)
        return check_owner(settings, who, session, error);
    return circle < FOR_ADMINISTRATORS ||
           qwd_error_fail(error, QWD_ERROR_DENIED,
                          action == ACTION_SAVE
                              ? "Only an administrator may make a machine of a session."
                              : "Only an administrator may end all sessions. On the server, use: qwdctl stop --all");
}
