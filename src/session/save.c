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
#include "vm/image_version.h"

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

/* --- what the new machine stands on --- */

/* Whether the image is still the one that QEMU has open, and that the session's disk was made over. */
static bool is_same_image(const Supervisor *supervisor)
{
    char *const *files = supervisor->image.files;
    g_autofree char *now = image_version_of(files);
    return image_version_matches(supervisor->session->image_version, now) &&
           image_files_are_open(files, supervisor->qemu.id.pid);
}

static bool refuse_changed(const Supervisor *supervisor, GError **error)
{
    return qwd_error_fail(error, QWD_ERROR_CONFLICT,
                          "The image of %s has been written to since this session began, so no machine can stand on "
                          "it. The administrator can save what the guest sees with qwdctl save --standalone.",
                          supervisor->session->plan->machine);
}

/* QEMU has the image open that the session began with, also when another one has its name by now: what is copied out of
 * QEMU is right, and stands alone. */
static bool choose_master(Supervisor *supervisor, GError **error)
{
    const SessionRecord *session = supervisor->session;
    const char *machine = session->plan->machine;
    supervisor->save_is_based = !session->save_standalone && !supervisor->image.is_iso;
    g_clear_pointer(&supervisor->save_note, g_free);
    if (supervisor->image.is_iso || is_same_image(supervisor))
        return true;
    gint64 bytes = image_version_open_bytes(session->image_version, supervisor->qemu.id.pid);
    if (bytes < 0 && supervisor->save_is_based)
        return refuse_changed(supervisor, error);
    if (bytes < 0)
        supervisor->save_note = g_strdup_printf(N_("The image of %s has been written to since the session began. Look "
                                                   "whether the new machine is whole."),
                                                machine);
    else if (supervisor->save_is_based)
        supervisor->save_note = g_strdup_printf(N_("The image of %s has been replaced since the session began, so the "
                                                   "new machine stands alone."),
                                                machine);
    supervisor->save_is_based = false;
    return save_check_room(supervisor->settings, supervisor->id, MAX(bytes, 0), error);
}

/* Another image may have come to its place during the copy. */
static bool check_master(const Supervisor *supervisor, GError **error)
{
    return !supervisor->save_is_based || is_same_image(supervisor) ||
           qwd_error_fail(error, QWD_ERROR_CONFLICT,
                          "The image of %s was replaced while the disk was copied. Save the session again.",
                          supervisor->session->plan->machine);
}

/* --- the copy's two ends --- */

/* The target takes its final name, or goes. */
static void finish(Supervisor *supervisor, GError *error)
{
    g_autoptr(GError) owned = error;
    g_autoptr(GError) cause = NULL;
    bool good = !owned && check_master(supervisor, &cause) &&
                save_own_publish(supervisor->settings, supervisor->session, &cause);
    if (!good)
        save_discard(supervisor->settings, supervisor->session->save_name);
    const char *note = supervisor->save_note ? supervisor->save_note : "";
    const char *reason = owned ? owned->message : cause ? cause->message : note;
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
    if (session->plan->use_master)
        return qwd_error_fail(error, QWD_ERROR_CONFLICT, "This session works on the machine's image itself.");
    if (!choose_master(supervisor, error))
        return false;
    g_autofree char *path = save_part_path(supervisor->settings, session->save_name);
    BackupTarget target = {.path = path,
                           .master = supervisor->save_is_based ? session->plan->image : NULL,
                           .master_format = supervisor->image.format,
                           .size_bytes = supervisor->image.is_iso ? session->plan->disk_mib * 1024 * 1024
                                                                  : supervisor->image.size_bytes};
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
    g_clear_pointer(&supervisor->save_note, g_free);
    if (supervisor->is_saving)
        save_discard(supervisor->settings, supervisor->session->save_name);
    supervisor->is_saving = false;
}
