/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The start steps of a session, in order. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "app/keep.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/sysroot.h"
#include "core/host.h"
#include "session/supervisor.h"
#include "vm/gpu.h"
#include "vm/qemu.h"

#define FLASH_MAX_BYTES (128 * 1024 * 1024)

/* --- folders --- */

/* Tokens are the longest names of sockets, and as long as an id. */
static bool check_socket_paths(const Supervisor *supervisor, GError **error)
{
    return strlen(supervisor->display_folder) + 1 + strlen(supervisor->id) <= UNIX_PATH_MAX_BYTES ||
           qwd_error_fail(error, QWD_ERROR_CONFIG, "The path %s is too long for sockets. Choose a shorter dir_cfg.",
                          supervisor->settings->dir_cfg);
}

/* QEMU would say it less clearly, and later. */
static bool check_gpu(const Supervisor *supervisor, GError **error)
{
    const Plan *plan = supervisor->session->plan;
    if (!plan->gpu)
        return true;
    if (!*plan->gpu_group)
        return qwd_error_fail(error, QWD_ERROR_INTERNAL, "No GPU was reserved for this session.");
    return gpu_check_access(sysroot(), plan->gpu_group, plan->memory_mib, error);
}

static bool folders_start(Supervisor *supervisor, GError **error)
{
    /* Both hold sockets that are ways into the session: nobody else may even look. */
    return check_socket_paths(supervisor, error) && folder_make_private(supervisor->display_folder, error) &&
           folder_make_private(supervisor->run_folder, error) && check_gpu(supervisor, error);
}

/* Somebody may have both in one place: that folder goes last. */
static void folders_undo(Supervisor *supervisor)
{
    if (!g_str_equal(supervisor->run_folder, supervisor->folder))
        folder_remove(supervisor->run_folder, NULL);
}

/* --- accelerator --- */

const char *supervisor_program(const Supervisor *supervisor)
{
    const char *arch = supervisor->session->plan->arch, *chosen = supervisor->settings->qemu_exec;
    g_auto(Host) host = {0};
    host_read(&host);
    return *chosen && g_str_equal(arch, host.arch) ? chosen : qemu_program(arch);
}

static bool accelerator_start(Supervisor *supervisor, GError **error)
{
    const Plan *plan = supervisor->session->plan;
    g_auto(Host) host = {0};
    host_read(&host);
    AcceleratorQuery query = {.wish = plan->accel,
                              .guest_arch = plan->arch,
                              .host_arch = host.arch,
                              .qemu = supervisor_program(supervisor),
                              .cache_folder = supervisor->settings->dir_cache};
    return accelerator_choose(&query, &supervisor->accelerator, error);
}

/* --- disk --- */

static bool use_master(Supervisor *supervisor, GError **error)
{
    const Plan *plan = supervisor->session->plan;
    if (supervisor->image.is_iso)
        return qwd_error_fail(error, QWD_ERROR_USAGE,
                              "%s is an ISO image, which cannot be changed. Start it without snapshot_use_master.",
                              plan->machine);
    if (access(plan->image, W_OK) < 0)
        return qwd_error_fail(error, QWD_ERROR_DENIED, "The image of %s cannot be written by the service: %s.",
                              plan->machine, g_strerror(errno));
    if (!image_check_master(plan->image, &supervisor->image, error))
        return false;
    supervisor->disk_path = g_strdup(plan->image);
    return true;
}

static void note_image_version(SessionRecord *session, const void *data)
{
    session_set_text(&session->image_version, data);
}

/* A resumed session goes on with the disk that was kept, as long as the master is still what that is based on. */
static bool take_kept_disk(Supervisor *supervisor, GError **error)
{
    return keep_check_disk(supervisor->session, supervisor->disk_path, &supervisor->image, error);
}

static bool make_disk(Supervisor *supervisor, GError **error)
{
    const Plan *plan = supervisor->session->plan;
    supervisor->disk_path = g_build_filename(supervisor->folder, "disk.qcow2", NULL);
    bool is_kept = supervisor->session->resumed_at && g_file_test(supervisor->disk_path, G_FILE_TEST_EXISTS);
    if (is_kept) {
        supervisor->cdrom_path = supervisor->image.is_iso ? g_strdup(plan->image) : NULL;
        return take_kept_disk(supervisor, error);
    }
    if (!supervisor_change(supervisor, note_image_version, supervisor->image.version, error))
        return false;
    if (!supervisor->image.is_iso)
        return image_create_overlay(plan->image, supervisor->image.format, supervisor->disk_path, error);
    supervisor->cdrom_path = g_strdup(plan->image);
    return image_create_empty(supervisor->disk_path, plan->disk_mib, error);
}

/* A UEFI machine writes its boot settings: it gets a copy of its own. */
static bool copy_firmware(Supervisor *supervisor, GError **error)
{
    const Plan *plan = supervisor->session->plan;
    const char *vars;
    size_t length;
    if (!g_str_equal(plan->firmware, "uefi"))
        return true;
    if (!qemu_find_uefi(plan->arch, &supervisor->firmware_code, &vars, error))
        return false;
    supervisor->firmware_vars = g_build_filename(supervisor->folder, "firmware-vars.fd", NULL);
    if (supervisor->session->resumed_at && g_file_test(supervisor->firmware_vars, G_FILE_TEST_EXISTS))
        return true;
    g_autofree char *content = file_read(vars, FLASH_MAX_BYTES, &length, error);
    return content && file_write_atomic(supervisor->firmware_vars, content, length, 0600, FILE_WRITE_FAST, error);
}

static bool disk_start(Supervisor *supervisor, GError **error)
{
    const Plan *plan = supervisor->session->plan;
    g_autofree char *allowed_folder = g_path_get_dirname(plan->image);
    if (!image_inspect(plan->image, allowed_folder, &supervisor->image, error))
        return false;
    bool good = plan->use_master ? use_master(supervisor, error) : make_disk(supervisor, error);
    return good && copy_firmware(supervisor, error);
}

/* --- network --- */

static bool network_start(Supervisor *supervisor, GError **error)
{
    g_autofree char *filter = g_build_filename(supervisor->settings->dir_lib, "qwd-net-filter", NULL);
    NetworkOptions options = {.wish = supervisor->session->plan->network,
                              .filter = filter,
                              .rules = supervisor->session->plan->network_rules,
                              .name_servers = supervisor->settings->network_dns};
    if (!network_open(&options, &supervisor->network, error))
        return false;
    supervisor->network.on_lost = trouble_on_network_end;
    supervisor->network.data = supervisor;
    return true;
}

static void network_undo(Supervisor *supervisor)
{
    network_close(&supervisor->network);
}

/* The disk goes, or is kept, with the session's folder. */
const Step supervisor_steps[] = {
    {"prepare", folders_start, folders_undo},
    {"accelerator", accelerator_start, NULL},
    {"disk", disk_start, NULL},
    {"network", network_start, network_undo},
    {"folders", host_folders_open, host_folders_close},
    {"script", script_start, script_stop},
    {"starting", machine_start, machine_stop},
    {"display", display_start, display_stop},
};

const size_t supervisor_step_count = G_N_ELEMENTS(supervisor_steps);
