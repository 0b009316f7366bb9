/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/network.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"

#define PASST_START_DEADLINE_MS 10000
#define PASST_END_DEADLINE_MS 2000

static bool read_pid(const char *path, ProcessId *id, GError **error)
{
    g_autofree char *text = file_read(path, 64, NULL, error);
    if (!text)
        return false;
    *id = process_id_of((pid_t)g_ascii_strtoll(text, NULL, 10));
    return id->start_ticks != 0 || qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "passt has ended.");
}

/* passt goes into the background when it is ready, so the end of its first process is the event to wait for. */
static bool run_passt(const char *pid_path, int fd, GError **error)
{
    const char *argv[] = {"passt", "--quiet", "--no-map-gw", "--pid", pid_path, "--fd", "3", NULL};
    SpawnOptions options = {.argv = argv, SPAWN_OPTIONS_INIT};
    options.pass_fds = &fd;
    options.as_fds = (const int[]){3};
    options.pass_count = 1;
    g_auto(ProcessResult) result = {0};
    if (!process_run_options(options, PASST_START_DEADLINE_MS, &result, error))
        return false;
    if (result.exit_code == 0)
        return true;
    g_autofree char *last = text_last_line(result.errors);
    return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "passt does not start: %s", last);
}

static bool open_passt(const char *run_folder, Network *network, GError **error)
{
    autofd int for_qemu = -1, for_passt = -1;
    g_autofree char *pid_path = g_build_filename(run_folder, "passt.pid", NULL);
    if (!unix_pair(&for_qemu, &for_passt, error) || !run_passt(pid_path, for_passt, error) ||
        !read_pid(pid_path, &network->passt, error))
        return false;
    network->mode = NETWORK_PASST;
    network->qemu_fd = fd_steal(&for_qemu);
    return true;
}

bool network_open(const char *wish, const char *run_folder, Network *network, GError **error)
{
    g_autoptr(GError) cause = NULL;
    *network = (Network){.mode = NETWORK_NONE, .qemu_fd = -1};
    if (g_str_equal(wish, "none"))
        return true;
    network->mode = NETWORK_RESTRICTED;
    if (g_str_equal(wish, "restricted") || open_passt(run_folder, network, &cause))
        return true;
    if (g_str_equal(wish, "passt")) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    network->note = g_strdup_printf("This machine has no network. (%s)", cause->message);
    return true;
}

void network_close(Network *network)
{
    fd_close_pointed(&network->qemu_fd);
    g_clear_pointer(&network->note, g_free);
    if (network->passt.pid && !process_wait_gone(network->passt, PASST_END_DEADLINE_MS)) {
        process_signal(network->passt, SIGKILL, NULL);
        process_wait_gone(network->passt, PASST_END_DEADLINE_MS);
    }
    network->passt = (ProcessId){0};
}
