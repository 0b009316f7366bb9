/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "app/save_own.h"

#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/text.h"
#include "core/saved.h"
#include "core/session_logs.h"
#include "core/store.h"
#include "engine/engine.h"

/* --- who may --- */

/* A machine is kept for a name, so the name must be proven. */
static bool is_offered(const Settings *settings)
{
    return g_str_equal(settings->session_save, "owner") && policy_login_is_configured(settings);
}

static bool has_disk(const SessionRecord *session)
{
    bool runs = session->state == SESSION_RUNNING && session->ready_at && !session->stop_requested_at;
    return !session->plan->use_master && (runs || session_is_kept(session, session_now()));
}

bool app_may_save_own(const Settings *settings, const Identity *who, const SessionRecord *session)
{
    return is_offered(settings) && has_disk(session) && policy_allows(settings, who, ACTION_SAVE_OWN, session, NULL);
}

static SessionRecord *find(const Settings *settings, const Identity *who, const char *id, GError **error)
{
    g_autoptr(SessionRecord) session = app_see(settings, who, id, error);
    if (!session || !policy_allows(settings, who, ACTION_SAVE_OWN, session, error))
        return NULL;
    if (!is_offered(settings))
        qwd_error_fail(error, QWD_ERROR_DENIED,
                       "This service does not let users save their sessions as machines. Ask its administrator to.");
    else if (!has_disk(session))
        qwd_error_fail(error, QWD_ERROR_CONFLICT,
                       "This session has no disk to save now. Save it while it runs, or while its disk is kept.");
    else
        return g_steal_pointer(&session);
    return NULL;
}

/* --- what is checked, under the lock of the store --- */

/* Names of users are separated by commas in the entry. */
static bool check_owner_name(const char *owner, GError **error)
{
    g_autofree char *stripped = g_strstrip(g_strdup(owner));
    bool good = *owner && g_str_equal(stripped, owner) && !strchr(owner, ',') && !text_has_controls(owner);
    return good || qwd_error_fail(error, QWD_ERROR_USAGE, "This user name cannot stand in the entry of a machine.");
}

/* What is being saved counts as if it were there. */
static bool check_others(const Settings *settings, const SessionRecord *session, const char *name, GError **error)
{
    g_autoptr(GPtrArray) sessions = store_list(settings, error);
    guint count = saved_count(settings, session->owner);
    for (guint i = 0; sessions && i < sessions->len; i++) {
        const SessionRecord *other = sessions->pdata[i];
        if (!save_is_busy(other))
            continue;
        if (g_str_equal(other->save_name, name) && !g_str_equal(other->id, session->id))
            return qwd_error_fail(error, QWD_ERROR_CONFLICT, "A session is being saved as %s. Choose another name.",
                                  name);
        count += g_str_equal(other->save_owner, session->owner);
    }
    if (!sessions)
        return false;
    return !settings->session_save_max || count < settings->session_save_max ||
           qwd_error_fail(error, QWD_ERROR_LIMIT,
                          "%s has %u saved machines, as many as one may have. Ask the administrator to remove one.",
                          session->owner, count);
}

/* It is written at the end; what hinders that is told before anything is copied. */
static bool check_entry(const Settings *settings, const SessionRecord *session, const SaveRequest *request,
                        GError **error)
{
    g_autofree char *text = save_entry(settings, session, request, error);
    return text != NULL;
}

/* --- an ended session --- */

static bool start_copier(const Settings *settings, const SessionRecord *session, GError **error)
{
    g_autofree char *program = g_build_filename(settings->dir_lib, "qwd-session", NULL);
    g_autofree char *folder = store_folder(settings, session->id);
    g_autofree char *log = g_build_filename(folder, SESSION_LOG_SUPERVISOR, NULL);
    EngineJob job = {.supervisor = program, .log_path = log, .id = session->id, .overrides = session->overrides};
    return engine_find("direct")->start(&job, error);
}

static bool ask_kept(SessionRecord *session, void *data, GError **error)
{
    if (!session_is_kept(session, session_now()))
        return qwd_error_fail(error, QWD_ERROR_CONFLICT, "This session is being resumed.");
    if (!save_note_asked(session, data, error))
        return false;
    g_ptr_array_set_size(session->processes, 0); /* an earlier copier */
    return true;
}

static SessionRecord *save_kept(const Settings *settings, const SaveRequest *request, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(SessionRecord) session = store_change(settings, request->session_id, ask_kept, (void *)request, error);
    if (!session || start_copier(settings, session, &cause))
        return g_steal_pointer(&session);
    save_note_outcome(settings, request->session_id, cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return NULL;
}

static bool ask_running(SessionRecord *session, void *data, GError **error)
{
    return has_disk(session) ? save_note_asked(session, data, error)
                             : qwd_error_fail(error, QWD_ERROR_CONFLICT, "This session is about to end.");
}

SessionRecord *app_save_own(const Settings *settings, const Identity *who, const SaveOwnRequest *wanted, GError **error)
{
    autofd int lock = -1;
    g_autoptr(SessionRecord) session = find(settings, who, wanted->session_id, error);
    g_autofree char *name = session ? saved_name(session->owner, wanted->name, error) : NULL;
    if (!name || !check_owner_name(session->owner, error) || (lock = store_lock(settings, error)) < 0)
        return NULL;
    SaveRequest request = {.session_id = session->id, .name = name, .owner = session->owner, .title = wanted->title};
    if (!check_others(settings, session, name, error) || !save_check(settings, session, &request, error) ||
        !check_entry(settings, session, &request, error))
        return NULL;
    if (session_state_is_alive(session->state))
        return store_change(settings, session->id, ask_running, &request, error);
    return save_kept(settings, &request, error);
}

/* --- the machine --- */

bool save_own_publish(const Settings *settings, const SessionRecord *session, GError **error)
{
    const char *name = session->save_name;
    if (!save_publish(settings, name, *session->save_owner ? 0600 : 0644, error))
        return false;
    if (!*session->save_owner)
        return true;
    SaveRequest request = {.name = name, .owner = session->save_owner, .title = session->save_title};
    g_autofree char *text = save_entry(settings, session, &request, error);
    if (text && saved_write(settings, name, text, error))
        return true;
    g_autofree char *image = g_build_filename(settings->dir_machines, name, NULL);
    unlink(image);
    return false;
}

/* --- in the process that copies --- */

static bool is_waiting(const SessionRecord *session)
{
    return g_str_equal(session->save_state, SAVE_ASKED) && session_is_kept(session, session_now());
}

bool save_own_is_asked(const Settings *settings, const char *id)
{
    g_autoptr(SessionRecord) session = store_load(settings, id, NULL);
    return session && is_waiting(session);
}

static bool begin(SessionRecord *session, void *data, GError **error)
{
    (void)data;
    if (!is_waiting(session))
        return qwd_error_fail(error, QWD_ERROR_CONFLICT, "Nobody waits for this disk.");
    session_set_text(&session->save_state, SAVE_RUNNING);
    session_set_process(session, SAVE_PROCESS, process_id_of(getpid()));
    return true;
}

typedef struct {
    const Settings *settings;
    const char *id;
} Copier;

static bool set_percent(SessionRecord *session, void *data, GError **error)
{
    (void)error;
    session->save_percent = *(const int *)data;
    return true;
}

static void note_percent(int percent, void *data)
{
    const Copier *copier = data;
    session_free(store_change(copier->settings, copier->id, set_percent, &percent, NULL));
}

bool save_own_perform(const Settings *settings, const char *id, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(SessionRecord) session = store_change(settings, id, begin, NULL, error);
    if (!session)
        return false;
    Copier copier = {settings, id};
    SaveRequest request = {.session_id = id, .name = session->save_name, .on_percent = note_percent, .data = &copier};
    bool good = save_copy(settings, session, &request, &cause) && save_own_publish(settings, session, &cause);
    if (!good)
        save_discard(settings, session->save_name);
    save_note_outcome(settings, id, cause);
    if (cause)
        g_propagate_error(error, g_steal_pointer(&cause));
    return good;
}
