/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "session/supervisor.h"

#include "base/wait.h"
#include "core/store.h"

void supervisor_end(Supervisor *supervisor, SessionState state, const char *reason)
{
    if (supervisor->ending)
        return;
    supervisor->ending = true;
    supervisor->end_state = state;
    supervisor->end_reason = g_strdup(reason);
    wait_cancel(true);
}

typedef struct {
    SupervisorChange change;
    const void *data;
} Change;

static bool apply_change(SessionRecord *session, void *data, GError **error)
{
    (void)error;
    const Change *change = data;
    change->change(session, change->data);
    return true;
}

void supervisor_take_record(Supervisor *supervisor, SessionRecord *session)
{
    plan_free(session->plan);
    session->plan = g_steal_pointer(&supervisor->session->plan);
    session_free(supervisor->session);
    supervisor->session = session;
}

bool supervisor_change(Supervisor *supervisor, SupervisorChange change, const void *data, GError **error)
{
    Change both = {.change = change, .data = data};
    SessionRecord *session = store_change(supervisor->settings, supervisor->id, apply_change, &both, error);
    if (!session)
        return false;
    supervisor_take_record(supervisor, session);
    return true;
}

void supervisor_clear(Supervisor *supervisor)
{
    session_free(supervisor->session);
    g_free(supervisor->id);
    g_free(supervisor->folder);
    g_free(supervisor->run_folder);
    g_free(supervisor->display_folder);
    g_free(supervisor->end_reason);
    g_free(supervisor->disk_path);
    g_free(supervisor->folder_note);
    g_free(supervisor->cdrom_path);
    g_free(supervisor->firmware_vars);
    g_free(supervisor->seed_path);
    g_strfreev(supervisor->qemu_options);
    image_info_clear(&supervisor->image);
    accelerator_clear(&supervisor->accelerator);
}
