/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl start and stop. */
#include <stdio.h>

#include "app/app.h"
#include "app/local.h"
#include "base/account.h"
#include "base/error.h"
#include "base/token.h"
#include "core/store.h"
#include "ctl/commands.h"

bool command_start(Arguments *arguments, GError **error)
{
    g_auto(GStrv) words = command_words(arguments);
    g_autofree char *machine =
        g_file_test(words[0], G_FILE_TEST_IS_REGULAR) ? g_canonicalize_filename(words[0], NULL) : g_strdup(words[0]);
    g_autofree char *id = local_start(arguments, machine, error);
    g_autofree char *note = NULL;
    g_autofree char *url = id ? local_wait_address(arguments->settings, id, &note, error) : NULL;
    if (!url)
        return false;
    printf("%s\n", url);
    if (*note)
        fprintf(stderr, "Note: %s\n", note);
    return true;
}

/* --- stop --- */

static bool names_session(const Settings *settings, const SessionRecord *session, const char *word)
{
    if (g_str_equal(session->id, word))
        return true;
    for (guint i = 0; i < session->processes->len; i++) {
        const SessionProcess *process = session->processes->pdata[i];
        g_autofree char *pid = g_strdup_printf("%d", (int)process->id.pid);
        if (g_str_equal(pid, word))
            return true;
    }
    for (int role = 0; role < ROLE_COUNT; role++) {
        g_autofree char *token = store_find_token(settings, session, (SessionRole)role);
        if (token && token_equal(token, word))
            return true;
    }
    return false;
}

static bool stop_and_wait(const Settings *settings, const SessionRecord *session, GError **error)
{
    Identity who = local_identity();
    g_autoptr(SessionRecord) stopped = app_stop(settings, &who, session->id, error);
    int deadline_ms = (int)(settings->session_stop_grace + 30) * 1000;
    if (!stopped || !app_wait_ended(settings, session->id, deadline_ms, error))
        return false;
    printf("Stopped %s %s of %s.\n", session->id, session->plan->machine, session->owner);
    return true;
}

bool command_stop(Arguments *arguments, GError **error)
{
    const Settings *settings = arguments->settings;
    g_auto(GStrv) words = command_words(arguments);
    if (!account_become(settings->service_user, error))
        return false;
    g_autoptr(GPtrArray) sessions = store_list(settings, error);
    guint count = 0;
    for (guint i = 0; sessions && i < sessions->len; i++) {
        if (*words && !names_session(settings, sessions->pdata[i], *words))
            continue;
        count++;
        if (!stop_and_wait(settings, sessions->pdata[i], error))
            return false;
    }
    if (!sessions)
        return false;
    if (*words && !count)
        return qwd_error_fail(error, QWD_ERROR_NOT_FOUND,
                              "No session has the id, process or token %s. See: qwdctl status", *words);
    if (!count)
        printf("No session runs.\n");
    return true;
}
