/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The life of a session, from its start steps to its end. */
#include <glib-unix.h>
#include <signal.h>
#include <unistd.h>

#include "app/journal.h"
#include "app/keep.h"
#include "app/metrics.h"
#include "base/error.h"
#include "base/event.h"
#include "base/text.h"
#include "base/wait.h"
#include "core/session_logs.h"
#include "core/store.h"
#include "session/supervisor.h"

/* --- the record --- */

/* Follows changes that others make to the record: stop requests, another end time. */
static void follow_record(void *data)
{
    Supervisor *supervisor = data;
    g_autoptr(GError) error = NULL;
    SessionRecord *session = store_load(supervisor->settings, supervisor->id, &error);
    if (!session) {
        bool absent = g_error_matches(error, QWD_ERROR, QWD_ERROR_NOT_FOUND);
        supervisor_end(supervisor, SESSION_FAILED,
                       absent ? N_("Its folder on the server was removed.") : error->message);
        return;
    }
    supervisor_take_record(supervisor, session);
    times_follow(supervisor);
    display_follow_record(supervisor);
    save_follow_record(supervisor);
    if (supervisor->session->stop_requested_at) {
        g_autofree char *reason = g_strdup_printf(N_("Stopped by %s."), supervisor->session->stop_by);
        supervisor_end(supervisor, SESSION_ENDED, reason);
    }
}

/* --- start --- */

static void note_step_begin(SessionRecord *session, const void *data)
{
    const Step *step = data;
    session->state = SESSION_STARTING;
    if (!session->started_at)
        session->started_at = session_now();
    session_set_text(&session->step, step->name);
    session_set_process(session, "supervisor", process_id_of(getpid()));
}

static void note_step_end(SessionRecord *session, const void *data)
{
    const SessionStep *step = data;
    session_add_step(session, step->name, step->duration_ms);
}

static void note_ready(SessionRecord *session, const void *data)
{
    const Supervisor *supervisor = data;
    session->state = SESSION_RUNNING;
    session->ready_at = session_now();
    session_set_text(&session->step, "");
    session_set_text(&session->note, trouble_lasting_note(supervisor));
    session_set_text(&session->accelerator, supervisor->accelerator.name);
}

static bool run_step(Supervisor *supervisor, const Step *step, GError **error)
{
    gint64 begin_us = g_get_monotonic_time();
    if (!supervisor_change(supervisor, note_step_begin, step, error) || !step->start(supervisor, error))
        return false;
    SessionStep done = {.name = (char *)step->name, .duration_ms = (g_get_monotonic_time() - begin_us) / 1000};
    return supervisor_change(supervisor, note_step_end, &done, error);
}

/* Returns how many steps there are to undo: those that succeeded, and the one that failed. */
static size_t run_steps(Supervisor *supervisor, GError **error)
{
    for (size_t i = 0; i < supervisor_step_count; i++) {
        if (supervisor->ending)
            return i;
        if (!run_step(supervisor, &supervisor_steps[i], error))
            return i + 1;
    }
    if (!supervisor->ending)
        supervisor_change(supervisor, note_ready, supervisor, error);
    return supervisor_step_count;
}

/* --- end --- */

static void note_stopping(SessionRecord *session, const void *data)
{
    const Supervisor *supervisor = data;
    session->state = SESSION_STOPPING;
    session_set_text(&session->reason, supervisor->end_reason);
}

static void undo_steps(Supervisor *supervisor, size_t count)
{
    while (count-- > 0) {
        if (supervisor_steps[count].undo)
            supervisor_steps[count].undo(supervisor);
    }
}

static void describe_end(Supervisor *supervisor)
{
    SessionRecord *session = supervisor->session;
    session->state = supervisor->end_state;
    session->ended_at = session_now();
    session_set_text(&session->reason, supervisor->end_reason);
    g_ptr_array_set_size(session->processes, 0);
    g_ptr_array_set_size(session->viewers, 0);
    metrics_count_end(supervisor->settings, session);
    bool failed = session->state == SESSION_FAILED;
    journal_session(supervisor->settings, failed ? "ERROR" : "STOP", session, session->reason);
}

/* The folder goes last, or is kept: that tells those who wait that nothing of the session runs any more. */
static void put_away(Supervisor *supervisor)
{
    g_autoptr(GError) error = NULL;
    if (!session_logs_keep(supervisor->settings, supervisor->id, &error))
        journal_session(supervisor->settings, "ERROR", supervisor->session, error->message);
    g_clear_error(&error);
    if (!keep_or_remove(supervisor->settings, supervisor->session, &error))
        journal_session(supervisor->settings, "ERROR", supervisor->session, error->message);
}

/* --- life --- */

/* From somebody who could not write the request to the record. */
static gboolean on_stop_request(gpointer data)
{
    supervisor_end(data, SESSION_ENDED, N_("Stopped on request."));
    return G_SOURCE_CONTINUE;
}

static gboolean on_terminate(gpointer data)
{
    supervisor_end(data, SESSION_ENDED, N_("The server ended it."));
    return G_SOURCE_CONTINUE;
}

static bool watch_events(Supervisor *supervisor, GError **error)
{
    signal(SIGPIPE, SIG_IGN);
    g_unix_signal_add(SIGUSR1, on_stop_request, supervisor);
    g_unix_signal_add(SIGTERM, on_terminate, supervisor);
    g_unix_signal_add(SIGINT, on_terminate, supervisor);
    g_unix_signal_add(SIGHUP, on_terminate, supervisor);
    supervisor->record_watch = watch_folder(supervisor->folder, follow_record, supervisor, error);
    return supervisor->record_watch != 0;
}

static void begin_life(Supervisor *supervisor)
{
    journal_session(supervisor->settings, "START", supervisor->session, NULL);
    metrics_count_ready(supervisor->settings, supervisor->session);
    script_run(supervisor);
}

static void live(Supervisor *supervisor)
{
    g_autoptr(GError) error = NULL;
    bool watching = watch_events(supervisor, &error);
    follow_record(supervisor);
    size_t count = watching ? run_steps(supervisor, &error) : 0;
    if (error)
        supervisor_end(supervisor, SESSION_FAILED, error->message);
    else if (!supervisor->ending)
        begin_life(supervisor);
    while (!supervisor->ending)
        g_main_context_iteration(NULL, TRUE);
    wait_cancel(false);
    supervisor_change(supervisor, note_stopping, supervisor, NULL);
    undo_steps(supervisor, count);
    g_clear_handle_id(&supervisor->record_watch, g_source_remove);
    times_stop(supervisor);
    describe_end(supervisor);
    put_away(supervisor);
}

bool supervisor_run(const Settings *settings, const char *id, GError **error)
{
    Supervisor supervisor = {.settings = settings, .id = g_strdup(id), .network.qemu_fd = -1, .script_fd = -1};
    supervisor.session = store_load(settings, id, error);
    bool good = supervisor.session != NULL;
    if (good) {
        supervisor.folder = store_folder(settings, id);
        supervisor.run_folder = store_run_folder(settings, id);
        supervisor.display_folder = store_display_folder(settings);
        live(&supervisor);
    }
    supervisor_clear(&supervisor);
    return good;
}
