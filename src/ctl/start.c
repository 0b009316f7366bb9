/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl start and stop. */
#include <stdio.h>
#include <string.h>

#include "app/app.h"
#include "app/clean.h"
#include "app/local.h"
#include "base/error.h"
#include "base/text.h"
#include "base/token.h"
#include "core/store.h"
#include "ctl/commands.h"
#include "ctl/output.h"

bool command_start(Arguments *arguments, GError **error)
{
    g_auto(GStrv) words = command_words(arguments);
    g_autofree char *machine = strchr(words[0], '/') || g_file_test(words[0], G_FILE_TEST_IS_REGULAR)
                                   ? g_canonicalize_filename(words[0], NULL)
                                   : g_strdup(words[0]);
    g_autofree char *id = local_start(arguments, machine, error);
    g_autofree char *note = NULL;
    g_autofree char *url = id ? local_wait_address(arguments->settings, id, &note, error) : NULL;
    if (!url)
        return false;
    printf("%s\n", url);
    if (*note)
        output_note("Note: %s", note);
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
    for (guint i = 0; i < session->links->len; i++) {
        g_autofree char *token = store_find_token(settings, session->links->pdata[i]);
        if (token && token_equal(token, word))
            return true;
    }
    return false;
}

/* Those that run and that `word` names, or all when it is NULL. */
static GPtrArray *find_sessions(const Settings *settings, const char *word, GError **error)
{
    GPtrArray *sessions = store_list(settings, error);
    for (guint i = sessions ? sessions->len : 0; i-- > 0;) {
        const SessionRecord *session = sessions->pdata[i];
        if (!session_state_is_alive(session->state) || (word && !names_session(settings, session, word)))
            g_ptr_array_remove_index(sessions, i);
    }
    return sessions;
}

/* All are asked before the first is waited for: their machines power down at the same time. */
static bool stop_and_wait(const Settings *settings, const GPtrArray *sessions, GError **error)
{
    Identity who = local_identity();
    int deadline_ms = app_end_deadline_ms(settings);
    for (guint i = 0; i < sessions->len; i++) {
        const SessionRecord *session = sessions->pdata[i];
        g_autoptr(SessionRecord) stopped = app_stop(settings, &who, session->id, error);
        if (!stopped)
            return false;
    }
    for (guint i = 0; i < sessions->len; i++) {
        const SessionRecord *session = sessions->pdata[i];
        if (!app_wait_ended(settings, session->id, deadline_ms, error))
            return false;
        g_autofree char *owner = text_for_line(session->owner), *machine = text_for_line(session->plan->machine);
        printf("Stopped %s %s of %s.\n", session->id, machine, owner);
    }
    return true;
}

bool command_stop(Arguments *arguments, GError **error)
{
    const Settings *settings = arguments->settings;
    g_auto(GStrv) words = command_words(arguments);
    g_autoptr(GPtrArray) sessions = find_sessions(settings, *words, error);
    g_autoptr(GPtrArray) swept = g_ptr_array_new_with_free_func(g_free);
    app_clean(settings, swept, NULL); /* those whose supervisor is gone end now, or never */
    if (!sessions || !stop_and_wait(settings, sessions, error))
        return false;
    if (*words && !sessions->len)
        return qwd_error_fail(error, QWD_ERROR_NOT_FOUND,
                              "No session has the id, process or token %s. See: qwdctl status", *words);
    if (!sessions->len)
        printf("No session runs.\n");
    return true;
}
