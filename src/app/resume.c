/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Asking for an ended session again: another life with its disk, or none. */
#include "app/app.h"
#include "app/gpu.h"
#include "app/queue.h"
#include "base/error.h"
#include "base/fd.h"
#include "core/kept.h"
#include "core/saving.h"
#include "core/store.h"

static bool check_kept(const SessionRecord *session, GError **error)
{
    if (!session_state_is_alive(session->state) && save_is_busy(session))
        return qwd_error_fail(error, QWD_ERROR_CONFLICT,
                              "The disk of this session is being saved as a machine. Try again when that is done.");
    return session_state_is_alive(session->state) || session_is_kept(session, session_now()) ||
           qwd_error_fail(error, QWD_ERROR_CONFLICT,
                          "The disk of this session is not kept any more, so it cannot be resumed. Create a new "
                          "session.");
}

/* The ended session of somebody who may resume it; one that runs (again) as well. */
static SessionRecord *find_kept(const Settings *settings, const Identity *who, const char *id, GError **error)
{
    g_autoptr(SessionRecord) session = app_see(settings, who, id, error);
    bool good = session && policy_allows(settings, who, ACTION_RESUME, session, error) && check_kept(session, error);
    return good ? g_steal_pointer(&session) : NULL;
}

static bool revive(SessionRecord *session, void *data, GError **error)
{
    const SessionRecord *wanted = data;
    if (!session_is_kept(session, wanted->resumed_at))
        return qwd_error_fail(error, QWD_ERROR_CONFLICT, "This session is being resumed already.");
    kept_revive(session, wanted->admitted_ms);
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
    (void)error;
    const SessionRecord *before = data;
    session->resumed_at = before->resumed_at;
    kept_note(session, before);
    return true;
}

SessionRecord *app_resume(const Settings *settings, const Identity *who, const char *id, GError **error)
{
    g_autoptr(SessionRecord) kept = find_kept(settings, who, id, error);
    if (!kept || session_state_is_alive(kept->state)) /* pressed twice: it is on its way */
        return g_steal_pointer(&kept);
    g_autoptr(SessionRecord) session = store_load(settings, id, error);
    if (!session)
        return NULL;
    kept_revive(session, g_get_real_time() / 1000);
    gpu_give_back(session->plan); /* the one of its last life may be somebody else's by now */
    g_autoptr(GError) cause = NULL;
    if (app_queue_reenter(settings, session, commit_revival, &cause))
        return store_find(settings, id, error);
    g_autoptr(SessionRecord) now = store_load(settings, id, NULL);
    bool was_refused = g_error_matches(cause, QWD_ERROR, QWD_ERROR_CONFLICT);
    if (was_refused && now && session_state_is_alive(now->state)) /* by another press, at the same moment */
        return g_steal_pointer(&now);
    /* A supervisor that could not be started costs nobody a disk. */
    if (!was_refused && now && now->state == SESSION_STARTING && now->resumed_at == session->resumed_at)
        session_free(store_change(settings, id, take_back, kept, NULL));
    g_propagate_error(error, g_steal_pointer(&cause));
    return NULL;
}

SessionRecord *app_discard(const Settings *settings, const Identity *who, const char *id, GError **error)
{
    autofd int lock = -1;
    g_autoptr(SessionRecord) seen = find_kept(settings, who, id, error);
    if (!seen || (lock = store_lock(settings, error)) < 0)
        return NULL;
    g_autoptr(SessionRecord) session = store_find(settings, id, error); /* as it is now that nobody changes it */
    if (!session || !check_kept(session, error))
        return NULL;
    if (session_state_is_alive(session->state)) {
        qwd_error_fail(error, QWD_ERROR_CONFLICT, "This session runs, so its disk is in use. Stop it instead.");
        return NULL;
    }
    return store_remove(settings, id, error) ? store_find(settings, id, error) : NULL;
}
