/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The virtual machine of a session: starting QEMU, its events, powering it down. */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "base/wait.h"
#include "core/runner.h"
#include "core/session_logs.h"
#include "session/supervisor.h"
#include "vm/image_version.h"
#include "vm/options.h"
#include "vm/qemu.h"

#define LOG_MAX_BYTES (1024 * 1024)
#define COMMAND_DEADLINE_MS 5000
#define QUIT_DEADLINE_MS 5000
#define KILL_DEADLINE_MS 10000
#define EXIT_DEADLINE_MS 30000 /* of one that has closed its monitor; a busy host may keep it waiting */

/* --- QEMU's end --- */

static char *last_words(const Supervisor *supervisor)
{
    g_autofree char *path = g_build_filename(supervisor->folder, SESSION_LOG_QEMU, NULL);
    if (supervisor->qemu_log)
        bounded_log_catch_up(supervisor->qemu_log);
    g_autofree char *text = file_read_end(path, LOG_MAX_BYTES, NULL);
    return qemu_explain(text ? text : "");
}

static void end_after_exit(Supervisor *supervisor, int status)
{
    if (supervisor->guest_powered_off && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        supervisor_end(supervisor, SESSION_ENDED, N_("The machine was shut down from inside."));
        return;
    }
    g_autofree char *words = last_words(supervisor);
    g_autofree char *reason = g_strdup_printf(N_("The machine ended unexpectedly. %s"), words);
    supervisor_end(supervisor, SESSION_FAILED, reason);
}

static void on_qemu_exit(pid_t pid, int status, gpointer data)
{
    (void)pid;
    Supervisor *supervisor = data;
    supervisor->qemu.running = false;
    supervisor->qemu.watch = 0;
    supervisor->qemu.status = status;
    if (supervisor->machine_is_up)
        end_after_exit(supervisor, status);
}

static void on_event(const char *name, const json_t *data, void *user)
{
    Supervisor *supervisor = user;
    save_on_event(supervisor, name, data);
    if (g_str_equal(name, "SHUTDOWN"))
        supervisor->guest_powered_off = json_get_bool(data, "guest", false);
    else
        trouble_on_event(supervisor, name, data);
}

static bool has_exited(void *data)
{
    return !((const Supervisor *)data)->qemu.running;
}

/* --- start --- */

static QemuSpec spec_of(const Supervisor *supervisor)
{
    const Plan *plan = supervisor->session->plan;
    return (QemuSpec){.id = supervisor->id,
                      .program = supervisor_program(supervisor),
                      .arch = plan->arch,
                      .disk = plan->disk,
                      .display = plan->display,
                      .os = plan->os,
                      .cpus = plan->cpus,
                      .memory_mib = plan->memory_mib,
                      .clipboard = plan->clipboard,
                      .accelerator = &supervisor->accelerator,
                      .network = supervisor->network.mode,
                      .disk_path = supervisor->disk_path,
                      .disk_format = plan->use_master ? supervisor->image.format : "qcow2",
                      .disk_is_master = plan->use_master,
                      .cdrom_path = supervisor->cdrom_path,
                      .firmware_code = supervisor->firmware_code,
                      .firmware_vars = supervisor->firmware_vars,
                      .run_folder = supervisor->run_folder,
                      .script_port = supervisor->script_fd >= 0 ? RUNNER_PORT : NULL,
                      .seed_path = supervisor->seed_path,
                      .more_options = (const char *const *)supervisor->qemu_options};
}

enum { QEMU_FDS = 4 + FOLDERS_MAX };

typedef struct {
    int pass[QEMU_FDS], as[QEMU_FDS];
    size_t count;
} FdList;

static void add_fd(FdList *list, int fd, int number)
{
    if (fd < 0)
        return;
    list->pass[list->count] = fd;
    list->as[list->count++] = number;
}

/* The descriptors that QEMU gets, those that there are. */
static FdList list_fds(const Supervisor *supervisor, int qmp_fd, int serial_fd)
{
    FdList list = {.count = 0};
    add_fd(&list, qmp_fd, QEMU_FD_QMP);
    add_fd(&list, supervisor->network.qemu_fd, QEMU_FD_NETWORK);
    add_fd(&list, serial_fd, QEMU_FD_SERIAL_LOG);
    add_fd(&list, supervisor->script_fd, QEMU_FD_SCRIPT);
    for (guint i = 0; i < supervisor->folder_fds->len; i++)
        add_fd(&list, g_array_index(supervisor->folder_fds, int, i), QEMU_FD_FOLDERS + (int)i);
    return list;
}

static size_t list_folders(const Supervisor *supervisor, QemuFolder *folders)
{
    guint count = supervisor->folder_fds->len;
    for (guint i = 0; i < count; i++) {
        const HostFolder *folder = supervisor->session->folders->pdata[i];
        folders[i] = (QemuFolder){.name = folder->name, .writable = folder->writable, .is_mapped = folder->is_personal};
    }
    return count;
}

static BoundedLog *open_log(const Supervisor *supervisor, const char *name, int *writer, GError **error)
{
    g_autofree char *path = g_build_filename(supervisor->folder, name, NULL);
    return bounded_log_open(path, supervisor->settings->session_log_max * 1048576, writer, error);
}

static bool open_logs(Supervisor *supervisor, int *log, int *serial, GError **error)
{
    supervisor->qemu_log = open_log(supervisor, SESSION_LOG_QEMU, log, error);
    supervisor->serial_log = supervisor->qemu_log ? open_log(supervisor, SESSION_LOG_SERIAL, serial, error) : NULL;
    return supervisor->serial_log != NULL;
}

/* qwd-confine would say it after it has been started. */
static bool check_program(const char *program, GError **error)
{
    g_autofree char *path = g_find_program_in_path(program);
    return path || qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "Cannot start %s: There is no such program.", program);
}

static bool spawn_qemu(Supervisor *supervisor, int qmp_fd, GError **error)
{
    g_auto(GStrv) gpu_devices = g_strsplit(supervisor->session->plan->gpu_devices, " ", -1);
    g_auto(GStrv) extra = qemu_options_parse(supervisor->settings->qemu_exec_options, error);
    autofd int log = -1, serial = -1;
    if (!extra || !open_logs(supervisor, &log, &serial, error))
        return false;
    QemuFolder folders[FOLDERS_MAX];
    QemuSpec spec = spec_of(supervisor);
    spec.gpu_devices = (const char *const *)gpu_devices;
    spec.extra = (const char *const *)extra;
    spec.folder_count = list_folders(supervisor, folders);
    spec.folders = folders;
    g_auto(GStrv) qemu = qemu_argv(&spec);
    if (!check_program(qemu[0], error))
        return false;
    g_auto(GStrv) argv = supervisor_confine(supervisor, &spec, qemu);
    FdList fds = list_fds(supervisor, qmp_fd, serial);
    SpawnOptions options = {.argv = (const char *const *)argv, SPAWN_OPTIONS_INIT, .die_with_parent = true};
    options.stdout_fd = options.stderr_fd = log;
    options.pass_fds = fds.pass;
    options.as_fds = fds.as;
    options.pass_count = fds.count;
    pid_t pid;
    if (!process_spawn(&options, &pid, error))
        return false;
    supervisor->qemu.id = process_id_of(pid);
    supervisor->qemu.running = true;
    supervisor->qemu.watch = g_child_watch_add(pid, on_qemu_exit, supervisor);
    return true;
}

static void note_processes(SessionRecord *session, const void *data)
{
    const Supervisor *supervisor = data;
    session_set_process(session, "qemu", supervisor->qemu.id);
    if (supervisor->network.mode != NETWORK_PASST)
        return;
    session_set_process(session, "net-filter", supervisor->network.filter);
    session_set_process(session, "passt", supervisor->network.passt.id);
}

/* When the monitor fails because QEMU has given up, QEMU's own words say why. */
static bool explain_failure(Supervisor *supervisor, GError **error)
{
    bool is_closed = !*error || g_error_matches(*error, QWD_ERROR, QWD_ERROR_UNAVAILABLE);
    if (!is_closed || !wait_unless_cancelled(has_exited, supervisor, EXIT_DEADLINE_MS, NULL)) {
        g_prefix_error(error, N_("The machine does not answer. "));
        return false;
    }
    g_clear_error(error);
    g_autofree char *words = last_words(supervisor);
    return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "The machine could not be started. %s", words);
}

/* QEMU has opened what was there after the disk had been made, or looked at. */
static bool check_image(const Supervisor *supervisor, GError **error)
{
    const Plan *plan = supervisor->session->plan;
    g_autofree char *now = image_version_of(supervisor->image.files);
    return plan->use_master || supervisor->image.is_iso ||
           image_version_matches(supervisor->session->image_version, now) ||
           qwd_error_fail(error, QWD_ERROR_CONFLICT,
                          "The image of %s was changed while the session was starting. Start it again.", plan->machine);
}

bool machine_start(Supervisor *supervisor, GError **error)
{
    autofd int ours = -1, theirs = -1;
    if (!unix_pair(&ours, &theirs, error) || !spawn_qemu(supervisor, theirs, error))
        return false;
    fd_close_pointed(&theirs);
    fd_close_pointed(&supervisor->network.qemu_fd);
    fd_close_pointed(&supervisor->script_fd);
    host_folders_close(supervisor);
    supervisor->qmp = qmp_new(fd_steal(&ours), on_event, supervisor);
    if (!supervisor_change(supervisor, note_processes, supervisor, error))
        return false;
    /* QEMU answers its monitor when all its sockets listen, the display's among them. */
    g_autoptr(GError) cause = NULL;
    int deadline_ms = (int)supervisor->settings->session_start_deadline * 1000;
    supervisor->machine_is_up = qmp_negotiate(supervisor->qmp, deadline_ms, &cause) && supervisor->qemu.running;
    if (supervisor->machine_is_up) {
        picture_start(supervisor);
        return check_image(supervisor, error);
    }
    explain_failure(supervisor, &cause);
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

/* --- stop --- */

static bool command(Supervisor *supervisor, const char *name)
{
    g_autoptr(JsonValue) answer = qmp_execute(supervisor->qmp, name, NULL, COMMAND_DEADLINE_MS, NULL);
    return answer != NULL;
}

/* Each way is harder than the one before. */
static void power_down(Supervisor *supervisor)
{
    int grace_ms = (int)supervisor->settings->session_stop_grace * 1000;
    bool deserves_grace = supervisor->end_state == SESSION_ENDED && supervisor->session->ready_at && grace_ms > 0 &&
                          !supervisor->stands_still;
    if (deserves_grace && command(supervisor, "system_powerdown"))
        wait_until(has_exited, supervisor, grace_ms, NULL);
    if (supervisor->qemu.running && supervisor->machine_is_up && command(supervisor, "quit"))
        wait_until(has_exited, supervisor, QUIT_DEADLINE_MS, NULL);
    if (supervisor->qemu.running) {
        process_signal(supervisor->qemu.id, SIGKILL, NULL);
        wait_until(has_exited, supervisor, KILL_DEADLINE_MS, NULL);
    }
}

void machine_stop(Supervisor *supervisor)
{
    picture_stop(supervisor);
    trouble_clear(supervisor);
    save_stop(supervisor);
    if (supervisor->qmp && supervisor->qemu.running)
        power_down(supervisor);
    g_clear_handle_id(&supervisor->qemu.watch, g_source_remove);
    g_clear_pointer(&supervisor->qmp, qmp_free);
    g_clear_pointer(&supervisor->qemu_log, bounded_log_close);
    g_clear_pointer(&supervisor->serial_log, bounded_log_close);
}
