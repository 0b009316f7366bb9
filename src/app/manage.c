/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <signal.h>
#include <string.h>
#include <sys/statvfs.h>

#include "app/app.h"
#include "app/abandoned.h"
#include "app/clean.h"
#include "app/queue.h"
#include "base/error.h"
#include "base/event.h"
#include "base/text.h"
#include "base/wait.h"
#include "core/life.h"
#include "core/store.h"

#define HISTORY_COUNT 20
#define FULL_DISK_BYTES 65536 /* no record fits any more */

static void note_stop_request(SessionRecord *session)
{
    if (session->stop_requested_at && session_state_is_alive(session->state))
        session->state = SESSION_STOPPING;
}

void app_note_state(const Settings *settings, SessionRecord **session)
{
    if (abandoned_is(settings, *session)) {
        abandoned_end(settings, session, abandoned_is, NULL);
        app_queue_advance(settings, NULL);
    } else if (clean_save_is_broken_off(*session)) {
        g_autofree char *id = g_strdup((*session)->id);
        clean_end_broken_saves(settings, NULL);
        session_free(*session);
        *session = store_find(settings, id, NULL);
    }
    if (*session)
        note_stop_request(*session);
}

void app_note_states(const Settings *settings, GPtrArray *sessions)
{
    abandoned_end_all(settings, sessions);
    for (guint i = 0; i < sessions->len; i++)
        note_stop_request(sessions->pdata[i]);
}

/* Nobody could write that into the record. */
static void note_full_disk(const Settings *settings, SessionRecord *session)
{
    struct statvfs disk;
    bool is_full =
        statvfs(settings->dir_snapshots, &disk) == 0 && (guint64)disk.f_bavail * disk.f_frsize < FULL_DISK_BYTES;
    if (is_full && session_state_is_alive(session->state))
        session_set_text(&session->note, N_("The server's disk is full: a machine that writes to its disk stands still "
                                            "until there is room again. Tell the administrator of this service."));
}

SessionRecord *app_see(const Settings *settings, const Identity *who, const char *id, GError **error)
{
    if (!policy_allows(settings, who, ACTION_LIST, NULL, error)) /* or nobody could find out which sessions there are */
        return NULL;
    g_autoptr(SessionRecord) session = store_find(settings, id, error);
    if (!session || !policy_allows(settings, who, ACTION_SEE, session, error))
        return NULL;
    app_note_state(settings, &session);
    if (!session) {
        g_propagate_error(error, session_not_found());
        return NULL;
    }
    note_full_disk(settings, session);
    return g_steal_pointer(&session);
}

GPtrArray *app_list(const Settings *settings, const Identity *who, GError **error)
{
    if (!policy_allows(settings, who, ACTION_LIST, NULL, error))
        return NULL;
    GPtrArray *sessions = store_list(settings, error);
    for (guint i = sessions ? sessions->len : 0; i-- > 0;) {
        const SessionRecord *session = sessions->pdata[i];
        bool is_over = !session_state_is_alive(session->state) && !session_is_kept(session, session_now());
        if (is_over || (!who->is_admin && !g_str_equal(session->owner, who->user)))
            g_ptr_array_remove_index(sessions, i);
    }
    if (sessions)
        app_note_states(settings, sessions);
    return sessions;
}

/* A session that lives again, or whose disk is kept, has a place of its own in the list. */
static bool is_listed(const GPtrArray *sessions, const SessionRecord *past)
{
    for (guint i = 0; i < sessions->len; i++) {
        if (g_str_equal(((const SessionRecord *)sessions->pdata[i])->id, past->id))
            return true;
    }
    return false;
}

GPtrArray *app_history(const Settings *settings, const Identity *who, const GPtrArray *sessions)
{
    GPtrArray *past = store_recall_last(settings, who->is_admin ? NULL : who->user, HISTORY_COUNT);
    for (guint i = past->len; i-- > 0;) {
        if (is_listed(sessions, past->pdata[i]))
            g_ptr_array_remove_index(past, i);
    }
    return past;
}

/* --- changes --- */

static bool request_stop(SessionRecord *session, void *data, GError **error)
{
    (void)error;
    const Identity *who = data;
    if (!session->stop_requested_at) {
        session->stop_requested_at = session_now();
        session_set_text(&session->stop_by, who->user);
    }
    return true;
}

SessionRecord *app_stop(const Settings *settings, const Identity *who, const char *id, GError **error)
{
    g_autoptr(SessionRecord) session = app_see(settings, who, id, error);
    if (!session || !policy_allows(settings, who, ACTION_STOP, session, error))
        return NULL;
    if (!session_state_is_alive(session->state))
        return g_steal_pointer(&session);
    if (session->state == SESSION_QUEUED && app_queue_leave(settings, id, N_("Taken out of the queue."), NULL))
        return store_recall(settings, id, error);
    g_autoptr(GError) cause = NULL;
    SessionRecord *stopped = store_change(settings, id, request_stop, (void *)who, &cause);
    if (stopped)
        return stopped;
    if (g_error_matches(cause, QWD_ERROR, QWD_ERROR_NOT_FOUND)) /* it ended meanwhile */
        return store_recall(settings, id, error);
    /* A stop must work even on a disk that takes nothing: the supervisor hears of it by a signal. */
    if (process_signal(session_process(session, "supervisor"), SIGUSR1, NULL)) {
        session->state = SESSION_STOPPING;
        return g_steal_pointer(&session);
    }
    g_propagate_error(error, g_steal_pointer(&cause));
    return NULL;
}

/* A living session of an owner who may extend it. */
static bool check_extendable(const Settings *settings, const Identity *who, const char *id, GError **error)
{
    g_autoptr(SessionRecord) session = app_see(settings, who, id, error);
    if (!session || !policy_allows(settings, who, ACTION_EXTEND, session, error))
        return false;
    return session_state_is_alive(session->state) ||
           qwd_error_fail(error, QWD_ERROR_CONFLICT,
                          "This session has ended, so it cannot be extended. Create a new one.");
}

typedef struct {
    const Settings *settings;
    LifeExtension wanted;
} Extension;

static bool extend(SessionRecord *session, void *data, GError **error)
{
    const Extension *extension = data;
    if (session->state == SESSION_QUEUED)
        return qwd_error_fail(error, QWD_ERROR_CONFLICT,
                              "This session waits for room: its time begins when it starts, so there is nothing to "
                              "extend yet.");
    return life_extend(extension->settings, session, &extension->wanted, error);
}

SessionRecord *app_extend(const Settings *settings, const Identity *who, const char *id, gint64 seconds, GError **error)
{
    Extension extension = {settings, {.seconds = seconds, .by_admin = who->is_admin, .now = session_now()}};
    return check_extendable(settings, who, id, error) ? store_change(settings, id, extend, &extension, error) : NULL;
}

static bool touch(SessionRecord *session, void *data, GError **error)
{
    (void)data;
    (void)error;
    session->touched_at = MAX(session->touched_at + 1, session_now()); /* another value each time */
    return true;
}

SessionRecord *app_stay(const Settings *settings, const Identity *who, const char *id, GError **error)
{
    return check_extendable(settings, who, id, error) ? store_change(settings, id, touch, NULL, error) : NULL;
}

bool app_purge(const Settings *settings, const Identity *who, int *count, GError **error)
{
    if (!policy_allows(settings, who, ACTION_PURGE, NULL, error))
        return false;
    g_autoptr(GPtrArray) sessions = store_list(settings, error);
    if (!sessions)
        return false;
    *count = 0;
    for (guint i = 0; i < sessions->len; i++) {
        const SessionRecord *session = sessions->pdata[i];
        if (!session_state_is_alive(session->state))
            continue;
        g_autoptr(SessionRecord) stopped = app_stop(settings, who, session->id, NULL);
        *count += stopped != NULL;
    }
    return true;
}

/* --- waiting --- */

typedef struct {
    const Settings *settings;
    const char *id;
    SessionRecord *session; /* the newest record seen; NULL: the session is gone */
    bool has_folder;        /* which is the last to go */
} Awaited;

static void look(void *data)
{
    Awaited *awaited = data;
    session_free(awaited->session);
    awaited->session = store_load(awaited->settings, awaited->id, NULL);
    g_autofree char *folder = store_folder(awaited->settings, awaited->id);
    awaited->has_folder = g_file_test(folder, G_FILE_TEST_EXISTS);
}

static bool is_ended(void *data)
{
    const Awaited *awaited = data;
    return !awaited->has_folder || (awaited->session && !session_state_is_alive(awaited->session->state));
}

static bool is_settled(void *data)
{
    const Awaited *awaited = data;
    return is_ended(data) || (awaited->session && awaited->session->state == SESSION_RUNNING);
}

/* Looks whenever something in the session's folder changes, the folder's end included. */
static bool wait_for(Awaited *awaited, WaitCondition condition, int deadline_ms, GError **error)
{
    g_autofree char *folder = store_folder(awaited->settings, awaited->id);
    guint watch = watch_folder(folder, look, awaited, NULL);
    look(awaited);
    bool good = wait_until(condition, awaited, deadline_ms, error);
    if (watch)
        g_source_remove(watch);
    return good;
}

int app_end_deadline_ms(const Settings *settings)
{
    return (int)(settings->session_stop_grace + 90) * 1000;
}

bool app_wait_ended(const Settings *settings, const char *id, int deadline_ms, GError **error)
{
    Awaited awaited = {.settings = settings, .id = id};
    bool good = wait_for(&awaited, is_ended, deadline_ms, error);
    session_free(awaited.session);
    return good;
}

SessionRecord *app_wait_ready(const Settings *settings, const char *id, int deadline_ms, GError **error)
{
    Awaited awaited = {.settings = settings, .id = id};
    if (!wait_for(&awaited, is_settled, deadline_ms, error)) {
        session_free(awaited.session);
        return NULL;
    }
    return awaited.session ? awaited.session : store_recall(settings, id, error);
}
