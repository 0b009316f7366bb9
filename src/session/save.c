/* SPDX-License-Identifier: AGPL-3.0-or-later
 * A session's disk becomes a machine: somebody has asked for it in the record (app/save.h), QEMU copies the disk, and
 * the image gets its name when it is whole. The guest goes on meanwhile; what it writes during the copy is not in it.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "app/save.h"
#include "app/save_own.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "base/wait.h"
#include "session/supervisor.h"
#include "vm/agent.h"
#include "vm/backup.h"

#define PROGRESS_S 1
#define AGENT_DEADLINE_MS 3000
#define FREEZE_DEADLINE_MS 10000

/* --- the record --- */

typedef struct {
    const char *state, *reason;
    gint64 percent;
} Progress;

static void note_progress(SessionRecord *session, const void *data)
{
    const Progress *progress = data;
    session_set_text(&session->save_state, progress->state);
    session_set_text(&session->save_reason, progress->reason);
    session->save_percent = progress->percent;
}

/* The target takes its final name, or goes. */
static void finish(Supervisor *supervisor, GError *error)
{
    g_autoptr(GError) owned = error;
    g_autoptr(GError) cause = NULL;
    bool good = !owned && save_own_publish(supervisor->settings, supervisor->session, &cause);
    if (!good)
        save_discard(supervisor->settings, supervisor->session->save_name);
    const char *reason = owned ? owned->message : cause ? cause->message : "";
    Progress progress = {.state = good ? SAVE_DONE : SAVE_FAILED, .reason = reason, .percent = good ? 100 : 0};
    g_clear_handle_id(&supervisor->save_timer, g_source_remove);
    supervisor->is_saving = false;
    supervisor_change(supervisor, note_progress, &progress, NULL);
}

static gboolean on_tick(gpointer data)
{
    Supervisor *supervisor = data;
    Progress progress = {.state = SAVE_RUNNING, .reason = "", .percent = backup_percent(supervisor->qmp)};
    if (supervisor->is_saving && !supervisor->ending)
        supervisor_change(supervisor, note_progress, &progress, NULL);
    return G_SOURCE_CONTINUE;
}

/* --- the copy --- */

static bool is_ready(void *agent)
{
    return agent_is_ready(agent);
}

/* The guest's file systems as they would be after unmounting, where an agent can see to that; as after a power cut
 * otherwise, which they are made for. */
static Agent *freeze(const Supervisor *supervisor)
{
    g_autofree char *path = g_build_filename(supervisor->run_folder, "agent", NULL);
    g_autoptr(Agent) agent = agent_new(path, NULL);
    if (!agent || !wait_unless_cancelled(is_ready, agent, AGENT_DEADLINE_MS, NULL))
        return NULL;
    json_t *frozen = agent_execute(agent, "guest-fsfreeze-freeze", NULL, FREEZE_DEADLINE_MS, NULL);
    json_decref(frozen);
    return g_steal_pointer(&agent);
}

/* Also when it seems that nothing is frozen: a guest that stays frozen is lost. */
static void thaw(Agent *agent)
{
    if (agent)
        json_decref(agent_execute(agent, "guest-fsfreeze-thaw", NULL, FREEZE_DEADLINE_MS, NULL));
    agent_free(agent);
}

static bool start(Supervisor *supervisor, GError **error)
{
    const SessionRecord *session = supervisor->session;
    bool based = !session->save_standalone && !supervisor->image.is_iso;
    g_autofree char *path = save_part_path(supervisor->settings, session->save_name);
    BackupTarget target = {.path = path,
                           .master = based ? session->plan->image : NULL,
                           .master_format = supervisor->image.format,
                           .size_bytes = supervisor->image.is_iso ? session->plan->disk_mib * 1024 * 1024
                                                                  : supervisor->image.size_bytes};
    if (session->plan->use_master)
        return qwd_error_fail(error, QWD_ERROR_CONFLICT, "This session works on the machine's image itself.");
    if (!save_part_create(path, error))
        return false;
    Agent *agent = freeze(supervisor);
    bool good = backup_start(supervisor->qmp, &target, error);
    thaw(agent);
    return good;
}

void save_follow_record(Supervisor *supervisor)
{
    GError *error = NULL;
    bool asked = g_str_equal(supervisor->session->save_state, SAVE_ASKED);
    if (!asked || supervisor->is_saving || supervisor->ending || !supervisor->session->ready_at)
        return;
    Progress progress = {.state = SAVE_RUNNING, .reason = ""};
    supervisor->is_saving = true;
    supervisor_change(supervisor, note_progress, &progress, NULL);
    if (start(supervisor, &error))
        supervisor->save_timer = g_timeout_add_seconds(PROGRESS_S, on_tick, supervisor);
    else
        finish(supervisor, error);
}

/* --- its end --- */

/* Not from within the event: QEMU's answers are read in the same place. */
static gboolean on_copied(gpointer data)
{
    Supervisor *supervisor = data;
    GError *error = g_steal_pointer(&supervisor->save_error);
    g_autoptr(GError) cause = NULL;
    supervisor->save_end = 0;
    if (!backup_close(supervisor->qmp, &cause) && !error)
        error = g_steal_pointer(&cause);
    finish(supervisor, error);
    return G_SOURCE_REMOVE;
}

void save_on_event(Supervisor *supervisor, const char *name, const json_t *data)
{
    bool completed = g_str_equal(name, "BLOCK_JOB_COMPLETED"), cancelled = g_str_equal(name, "BLOCK_JOB_CANCELLED");
    if ((!completed && !cancelled) || !g_str_equal(json_get_text(data, "device", ""), BACKUP_JOB) ||
        supervisor->save_end)
        return;
    const char *trouble = json_get_text(data, "error", cancelled ? N_("it was given up") : NULL);
    if (trouble)
        qwd_error_fail(&supervisor->save_error, QWD_ERROR_UNAVAILABLE, "The disk could not be copied: %s.", trouble);
    supervisor->save_end = g_idle_add(on_copied, supervisor);
}

void save_stop(Supervisor *supervisor)
{
    g_clear_handle_id(&supervisor->save_timer, g_source_remove);
    g_clear_handle_id(&supervisor->save_end, g_source_remove);
    g_clear_error(&supervisor->save_error);
    if (supervisor->is_saving)
        save_discard(supervisor->settings, supervisor->session->save_name);
    supervisor->is_saving = false;
}
