/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl backoff and totp: failed logins, second factors. */
#include <stdio.h>

#include "auth/backoff.h"
#include "auth/totp.h"
#include "base/error.h"
#include "base/units.h"
#include "ctl/commands.h"
#include "ctl/output.h"

static void print_json(const GPtrArray *entries)
{
    json_t *list = json_array();
    for (guint i = 0; i < entries->len; i++) {
        const BackoffEntry *entry = entries->pdata[i];
        json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:s, s:s}", "kind", entry->kind, "failures",
                                              (json_int_t)entry->failures, "wait_s", (json_int_t)entry->wait_s, "name",
                                              entry->name, "address", entry->address));
    }
    output_json(list);
}

static void print_table(const GPtrArray *entries)
{
    g_autoptr(Table) table = table_new("Kind", "Attempts", "Has to wait", "Name", NULL);
    for (guint i = 0; i < entries->len; i++) {
        const BackoffEntry *entry = entries->pdata[i];
        g_autofree char *wait = entry->wait_s ? units_format_duration(entry->wait_s) : g_strdup("-");
        g_autofree char *failures = g_strdup_printf("%d", (int)entry->failures);
        bool has_both = *entry->address && !g_str_equal(entry->name, entry->address);
        g_autofree char *name =
            has_both ? g_strdup_printf("%s (%s)", entry->name, entry->address) : g_strdup(entry->name);
        table_add(table, COLOUR_NONE, entry->kind, failures, wait, name);
    }
    table_print(table);
}

static bool list_backoff(const Settings *settings, bool as_json)
{
    g_autoptr(GPtrArray) entries = backoff_list(settings);
    if (as_json)
        print_json(entries);
    else if (entries->len)
        print_table(entries);
    else
        output_note("Nobody has failed to log in during the last hour.");
    return true;
}

bool command_backoff(Arguments *arguments, GError **error)
{
    g_auto(GStrv) words = command_words(arguments);
    if (!*words)
        return list_backoff(arguments->settings, command_option(arguments, "--json"));
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
    if (!totp_reset(arguments->settings, words[1]))
        return qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "No authenticator app is set up for %s.", words[1]);
    printf("%s sets up an authenticator app again at the next login.\n", words[1]);
    return true;
}
