/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl stop. */
#include <stdio.h>

#include "app/app.h"
#include "app/clean.h"
#include "app/local.h"
#include "base/error.h"
#include "base/text.h"
#include "base/token.h"
#include "core/id_prefix.h"
#include "core/store.h"
#include "ctl/commands.h"
#include "ctl/consent.h"
#include "ctl/output.h"

/* --- which --- */

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

static void keep_one(GPtrArray *sessions, const char *id)
{
    for (guint i = sessions->len; i-- > 0;) {
        if (!g_str_equal(((const SessionRecord *)sessions->pdata[i])->id, id))
            g_ptr_array_remove_index(sessions, i);
    }
}

/* Those that run. */
static GPtrArray *list_alive(const Settings *settings, GError **error)
{
    GPtrArray *sessions = store_list(settings, error);
    for (guint i = sessions ? sessions->len : 0; i-- > 0;) {
        const SessionRecord *session = sessions->pdata[i];
        if (!session_state_is_alive(session->state))
            g_ptr_array_remove_index(sessions, i);
    }
    return sessions;
}

/* Of those that run. NULL without an error: nothing can be meant but a process or a token, and there is none such. */
static char *find_shortened(const GPtrArray *sessions, const char *word, GError **error)
{
    g_autoptr(GPtrArray) ids = g_ptr_array_new();
    for (guint i = 0; i < sessions->len; i++)
        g_ptr_array_add(ids, ((const SessionRecord *)sessions->pdata[i])->id);
    return id_prefix_check(word, NULL) ? id_prefix_choose(ids, word, error) : NULL;
}

static char *find_id(const Settings *settings, const GPtrArray *sessions, const char *word, GError **error)
{
    for (guint i = 0; i < sessions->len; i++) {
        const SessionRecord *session = sessions->pdata[i];
        if (names_session(settings, session, word))
            return g_strdup(session->id);
    }
    g_autoptr(GError) cause = NULL;
    char *id = find_shortened(sessions, word, &cause);
    if (id)
        return id;
    if (cause && !g_error_matches(cause, QWD_ERROR, QWD_ERROR_NOT_FOUND))
        g_propagate_error(error, g_steal_pointer(&cause));
    else
        qwd_error_fail(error, QWD_ERROR_NOT_FOUND,
                       "No session has the id (or %d or more of its first digits), process or token %s. See: qwdctl "
                       "status",
                       ID_PREFIX_MIN, word);
    return NULL;
}

/* --- ending them --- */

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

static bool stop_named(const Settings *settings, GPtrArray *sessions, const char *word, GError **error)
{
    g_autofree char *id = find_id(settings, sessions, word, error);
    if (!id)
        return false;
    keep_one(sessions, id);
    return stop_and_wait(settings, sessions, error);
}

static guint count_owners(const GPtrArray *sessions)
{
    g_autoptr(GHashTable) owners = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < sessions->len; i++)
        g_hash_table_add(owners, ((const SessionRecord *)sessions->pdata[i])->owner);
    return g_hash_table_size(owners);
}

static char *describe_all(const GPtrArray *sessions)
{
    guint count = sessions->len, owners = count_owners(sessions);
    return g_strdup_printf("%u session%s of %u user%s", count, count == 1 ? "" : "s", owners, owners == 1 ? "" : "s");
}

/* Without a word, --yes alone is not enough: who has left out an id has not meant everybody's sessions. */
static bool stop_all(const Arguments *arguments, const GPtrArray *sessions, GError **error)
{
    bool named_all = command_option(arguments, "--all");
    if (!sessions->len) {
        printf("No session runs.\n");
        return true;
    }
    g_autofree char *what = describe_all(sessions), *question = g_strdup_printf("End %s?", what);
    g_autofree char *refusal = g_strdup_printf(
        "Nothing was ended. To end one session: qwdctl stop ID. To end %s: qwdctl stop --all --yes", what);
    Consent consent = {
        .question = question, .refusal = refusal, .given = named_all && command_option(arguments, "--yes")};
    return consent_ask(&consent, error) && stop_and_wait(arguments->settings, sessions, error);
}

bool command_stop(Arguments *arguments, GError **error)
{
    const Settings *settings = arguments->settings;
    g_auto(GStrv) words = command_words(arguments);
    if (*words && command_option(arguments, "--all"))
        return qwd_error_fail(error, QWD_ERROR_USAGE, "Name one session, or give --all: not both.");
    g_autoptr(GPtrArray) sessions = list_alive(settings, error);
    g_autoptr(GPtrArray) swept = g_ptr_array_new_with_free_func(g_free);
    app_clean(settings, swept, NULL); /* those whose supervisor is gone end now, or never */
    if (!sessions)
        return false;
    return *words ? stop_named(settings, sessions, *words, error) : stop_all(arguments, sessions, error);
}
