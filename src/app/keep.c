/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "app/keep.h"

#include "app/app.h"
#include "app/gpu.h"
#include "app/queue.h"
#include "app/save.h"
#include "base/error.h"
#include "base/fd.h"
#include "core/kept.h"
#include "core/store.h"

/* --- putting away --- */

static bool note_kept(SessionRecord *session, void *data, GError **error)
{
    (void)error;
    const SessionRecord *ended = data;
    session->state = ended->state;
    session->ended_at = ended->ended_at;
    session->kept_until = ended->kept_until;
    session->idle_stop_at = session->unused_stop_at = 0;
    session_set_text(&session->reason, ended->reason);
    save_note_end(session);
    g_ptr_array_set_size(session->links, 0);
    g_ptr_array_set_size(session->viewers, 0);
    g_ptr_array_set_size(session->processes, 0);
    return true;
}

/* Called under the lock of the store. */
static void remove_surplus(const Settings *settings, const char *owner, GPtrArray *report)
{
    g_autoptr(GPtrArray) sessions = store_list(settings, NULL);
    if (!sessions)
        return;
    g_autoptr(GPtrArray) surplus = kept_surplus(settings, sessions, owner, session_now());
    for (guint i = 0; i < surplus->len; i++) {
        const SessionRecord *session = surplus->pdata[i];
        if (store_remove(settings, session->id, NULL) && report)
            g_ptr_array_add(report, g_strdup_printf("Removed the disk of %s of %s: the time to resume it is over.",
                                                    session->id, session->owner));
    }
}

static bool keep(const Settings *settings, const SessionRecord *ended)
{
    autofd int lock = store_lock(settings, NULL);
    if (lock < 0)
        return false;
    remove_surplus(settings, ended->owner, NULL);
    g_autoptr(SessionRecord) kept = store_change(settings, ended->id, note_kept, (void *)ended, NULL);
    return kept != NULL;
}

/* One line for each end: a supervisor that was killed while it cleared up has written it already. */
static bool remember(const Settings *settings, const SessionRecord *ended, GError **error)
{
    g_autoptr(SessionRecord) told = store_recall(settings, ended->id, NULL);
    return (told && told->ended_at == ended->ended_at) || store_remember(settings, ended, error);
}

/* On a full disk there is room for the line of history once the session's folder is gone. */
bool keep_or_remove(const Settings *settings, const SessionRecord *ended, GError **error)
{
    bool remembered = remember(settings, ended, NULL);
    SessionRecord kept = *ended; /* texts and lists stay the other's */
    kept.kept_until = kept_until(settings, ended, ended->ended_at);
    bool is_away = (kept.kept_until && keep(settings, &kept)) || store_remove(settings, ended->id, error);
    return (remembered || remember(settings, ended, is_away ? error : NULL)) && is_away;
}

void keep_remove_expired(const Settings *settings, GPtrArray *report)
{
    autofd int lock = store_lock(settings, NULL);
    if (lock >= 0)
        remove_surplus(settings, NULL, report);
}

/* --- asking for it again --- */

/* The ended session of somebody who may resume it; one that runs (again) as well. */
static SessionRecord *find_kept(const Settings *settings, const Identity *who, const char *id, GError **error)
{
    g_autoptr(SessionRecord) session = app_see(settings, who, id, error);
    if (!session || !policy_allows(settings, who, ACTION_RESUME, session, error))
        return NULL;
    if (!session_state_is_alive(session->state) && save_is_busy(session)) {
        qwd_error_fail(error, QWD_ERROR_CONFLICT,
                       "The disk of this session is being saved as a machine. Try again when that is done.");
        return NULL;
    }
    if (session_state_is_alive(session->state) || session_is_kept(session, session_now()))
        return g_steal_pointer(&session);
    qwd_error_fail(error, QWD_ERROR_CONFLICT,
                   "The disk of this session is not kept any more, so it cannot be resumed. Create a new session.");
    return NULL;
}

static bool revive(SessionRecord *session, void *data, GError **error)
{
    const SessionRecord *wanted = data;
    if (!session_is_kept(session, wanted->resumed_at))
        return qwd_error_fail(error, QWD_ERROR_CONFLICT, "This session is being resumed already.");
    kept_revive(session, wanted->resumed_at);
    session->state = wanted->state;
    gpu_copy(session->plan, wanted->plan);
    return true;
}

static bool commit_revival(const Settings *settings, const SessionRecord *session, GError **error)
{
    g_autoptr(SessionRecord) revived = store_change(settings, session->id, revive, (void *)session, error);
    return revived != NULL;
}

static bool take_back(SessionRecord *session, void *data, GError **error)
{
    const SessionRecord *before = data;
    session->resumed_at = before->resumed_at;
    return note_kept(session, data, error);
}

SessionRecord *app_resume(const Settings *settings, const Identity *who, const char *id, GError **error)
{
    g_autoptr(SessionRecord) kept = find_kept(settings, who, id, error);
    if (!kept || session_state_is_alive(kept->state)) /* pressed twice: it is on its way */
        return g_steal_pointer(&kept);
    g_autoptr(SessionRecord) session = store_load(settings, id, error);
    if (!session)
        return NULL;
    kept_revive(session, session_now());
    gpu_give_back(session->plan); /* the one of its last life may be somebody else's by now */
    if (app_queue_reenter(settings, session, commit_revival, error))
        return store_find(settings, id, error);
    /* A supervisor that could not be started costs nobody a disk. */
    g_autoptr(SessionRecord) now = store_load(settings, id, NULL);
    if (now && now->state == SESSION_STARTING && now->resumed_at == session->resumed_at)
        session_free(store_change(settings, id, take_back, kept, NULL));
    return NULL;
}

SessionRecord *app_discard(const Settings *settings, const Identity *who, const char *id, GError **error)
{
    autofd int lock = store_lock(settings, error);
    g_autoptr(SessionRecord) session = lock >= 0 ? find_kept(settings, who, id, error) : NULL;
    if (!session)
        return NULL;
    if (session_state_is_alive(session->state)) {
        qwd_error_fail(error, QWD_ERROR_CONFLICT, "This session runs, so its disk is in use. Stop it instead.");
        return NULL;
    }
    return store_remove(settings, id, error) ? store_find(settings, id, error) : NULL;
}
