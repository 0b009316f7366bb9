/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl backoff and totp: failed logins, second factors. */
#include <stdio.h>

#include "auth/backoff.h"
#include "auth/totp.h"
#include "base/account.h"
#include "base/error.h"
#include "base/units.h"
#include "ctl/commands.h"

static void print_entry(const BackoffEntry *entry)
{
    g_autofree char *wait = entry->wait_s ? units_format_duration(entry->wait_s) : g_strdup("-");
    printf("%-8s | %8d | %-11s | %s\n", entry->kind, (int)entry->failures, wait, entry->name);
}

static bool list_backoff(const Settings *settings)
{
    g_autoptr(GPtrArray) entries = backoff_list(settings);
    if (!entries->len) {
        printf("Nobody has failed to log in during the last hour.\n");
        return true;
    }
    printf("%-8s | %8s | %-11s | %s\n", "Kind", "Attempts", "Has to wait", "Name");
    for (guint i = 0; i < entries->len; i++)
        print_entry(entries->pdata[i]);
    return true;
}

bool command_backoff(Arguments *arguments, GError **error)
{
    g_auto(GStrv) words = command_words(arguments);
    if (!account_become(arguments->settings->service_user, error))
        return false;
    if (!*words)
        return list_backoff(arguments->settings);
    if (!g_str_equal(*words, "clear"))
        return qwd_error_fail(error, QWD_ERROR_USAGE, "Usage: qwdctl backoff [clear [NAME]]");
    int count = backoff_clear(arguments->settings, words[1]);
    if (words[1] && !count)
        return qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "%s is not slowed down. See: qwdctl backoff", words[1]);
    printf("Forgotten: %d.\n", count);
    return true;
}

bool command_totp(Arguments *arguments, GError **error)
{
    g_auto(GStrv) words = command_words(arguments);
    if (!g_str_equal(words[0], "reset"))
        return qwd_error_fail(error, QWD_ERROR_USAGE, "Usage: qwdctl totp reset USER");
    if (!account_become(arguments->settings->service_user, error))
        return false;
    if (!totp_reset(arguments->settings, words[1]))
        return qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "No authenticator app is set up for %s.", words[1]);
    printf("%s sets up an authenticator app again at the next login.\n", words[1]);
    return true;
}
