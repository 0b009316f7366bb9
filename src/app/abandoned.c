/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "app/abandoned.h"

#include <signal.h>
#include <unistd.h>

#include "app/journal.h"
#include "app/keep.h"
#include "app/metrics.h"
#include "app/queue.h"
#include "app/save.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "core/life.h"
#include "core/session_logs.h"
#include "core/store.h"

#define KILL_DEADLINE_MS 5000
#define EXACT_MAX 100 /* as many of a list are looked at exactly: what a page shows of it, and more */

bool abandoned_is(const Settings *settings, const SessionRecord *session)
{
    (void)settings;
    return session_holds_room(session) && process_is_gone(session_process(session, "supervisor"));
}

static void end_processes(const SessionRecord *session)
{
    for (guint i = 0; i < session->processes->len; i++) {
        const SessionProcess *process = session->processes->pdata[i];
        if (process_signal(process->id, SIGKILL, NULL))
            process_wait_gone(process->id, KILL_DEADLINE_MS);
    }
}

static void remove_tokens(const Settings *settings, const SessionRecord *session)
{
    g_autofree char *folder = store_display_folder(settings);
    for (guint i = 0; i < session->links->len; i++) {
        g_autofree char *token = store_find_token(settings, session->links->pdata[i]);
        g_autofree char *path = token ? g_build_filename(folder, token, NULL) : NULL;
        if (path)
            unlink(path);
    }
}

/* How its supervisor has told its end, if it was killed only while it cleared up. A session that was resumed has older
 * lines of history. */
static SessionRecord *told_end(const Settings *settings, const SessionRecord *session)
{
    g_autoptr(SessionRecord) told = store_recall(settings, session->id, NULL);
    return told && told->ended_at >= life_begun_at(session) ? g_steal_pointer(&told) : NULL;
}

static void describe_end(SessionRecord *session, const SessionRecord *told)
{
    session->state = told ? told->state : SESSION_FAILED;
    session->ended_at = told ? told->ended_at : MAX(session_now(), life_begun_at(session));
    session_set_text(
        &session->reason,
        told ? told->reason
             : N_("It was cut off: the server was restarted, a part of the service was killed, or its disk failed."));
    g_ptr_array_set_size(session->viewers, 0);
    g_ptr_array_set_size(session->processes, 0);
}

/* Its writer is gone; once that is known, another session may be saved under the same name. */
void abandoned_discard_part(const Settings *settings, const GPtrArray *sessions, const SessionRecord *session)
{
    for (guint i = 0; i < sessions->len; i++) {
        const SessionRecord *other = sessions->pdata[i];
        if (!g_str_equal(other->id, session->id) && save_is_busy(other) &&
            g_str_equal(other->save_name, session->save_name))
            return;
    }
    save_discard(settings, session->save_name);
}

static void discard_part(const Settings *settings, const SessionRecord *session)
{
    g_autoptr(GPtrArray) sessions = save_is_busy(session) ? store_list(settings, NULL) : NULL;
    if (sessions)
        abandoned_discard_part(settings, sessions, session);
}

/* Where the end cannot be written (a full disk), whoever looks next tries again: it is told and counted once. */
static void put_away(const Settings *settings, SessionRecord *session, GPtrArray *report)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SessionRecord) told = told_end(settings, session);
    describe_end(session, told);
    if (!session_logs_keep(settings, session->id, &error))
        report_add(report, "The logs of %s cannot be kept: %s", session->id, error->message);
    g_clear_error(&error);
    if (keep_or_remove(settings, session, &error))
        report_add(report, "Ended %s of %s: its supervisor was gone.", session->id, session->owner);
    else
        report_add(report, "%s of %s cannot be put away: %s", session->id, session->owner, error->message);
    g_autoptr(SessionRecord) now_told = told ? NULL : told_end(settings, session);
    if (!now_told)
        return;
    metrics_count_end(settings, session);
    journal_session(settings, "ERROR", session, session->reason);
}

static void end_session(const Settings *settings, SessionRecord *session, GPtrArray *report)
{
    g_autofree char *run_folder = store_run_folder(settings, session->id);
    end_processes(session);
    discard_part(settings, session);
    remove_tokens(settings, session);
    folder_remove(run_folder, NULL);
    put_away(settings, session, report);
}

/* What is read under the lock: the record that was looked at may be old. It may have ended in order, or been resumed.
 */
void abandoned_end(const Settings *settings, SessionRecord **session, AbandonedCheck check, GPtrArray *report)
{
    g_autofree char *id = g_strdup((*session)->id);
    g_autofree char *path = g_build_filename(settings->dir_snapshots, id, "end.lock", NULL);
    autofd int lock = file_lock(path, NULL); /* of what is left of it where its disk is full, there is none */
    g_autoptr(SessionRecord) now = store_load(settings, id, NULL);
    bool is_abandoned = now && check(settings, now);
    if (is_abandoned)
        end_session(settings, now, report);
    g_autoptr(SessionRecord) then = store_find(settings, id, NULL);
    bool is_told = then && !(is_abandoned && session_holds_room(then));
    session_free(*session);
    *session = is_told ? g_steal_pointer(&then) : g_steal_pointer(&now);
}

/* Of thousands, those whose pid was used again are found when somebody looks at them alone. */
static bool looks_abandoned(const Settings *settings, const GPtrArray *sessions, guint i)
{
    const SessionRecord *session = sessions->pdata[i];
    bool may_be = i < EXACT_MAX || process_pid_is_free(session_process(session, "supervisor").pid);
    return may_be && abandoned_is(settings, session);
}

bool abandoned_end_all(const Settings *settings, GPtrArray *sessions)
{
    bool some = false;
    for (guint i = sessions->len; i-- > 0;) {
        if (!looks_abandoned(settings, sessions, i))
            continue;
        SessionRecord *session = g_ptr_array_steal_index(sessions, i);
        abandoned_end(settings, &session, abandoned_is, NULL);
        some = true;
        if (session && (session_state_is_alive(session->state) || session_is_kept(session, session_now())))
            g_ptr_array_insert(sessions, (gint)i, session);
        else
            session_free(session);
    }
    return some && app_queue_advance(settings, NULL);
}
