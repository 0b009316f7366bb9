/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/network.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"

#define PASST_START_DEADLINE_MS 120000 /* a busy host is no fault: only a hang counts */
#define END_DEADLINE_MS 2000
#define RESOLV_CONF_MAX_BYTES 65536

static bool read_pid(const char *path, ProcessId *id, GError **error)
{
    g_autofree char *text = file_read(path, 64, NULL, error);
    if (!text)
        return false;
    *id = process_id_of((pid_t)g_ascii_strtoll(text, NULL, 10));
    return id->start_ticks != 0 || qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "passt has ended.");
}

/* --- name servers --- */

/* Adds "--dns ADDRESS" for each name server of a resolv.conf(5) that is not this host itself, which the guest must not
 * reach. Returns whether there is one. */
static bool add_name_servers(GStrvBuilder *argv, const char *path, bool add)
{
    g_autofree char *text = file_read(path, RESOLV_CONF_MAX_BYTES, NULL, NULL);
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
    bool found = false;
    for (char **line = lines; *line; line++) {
        g_auto(GStrv) words = g_strsplit_set(*line, " \t", 2);
        if (!words[0] || !words[1] || !g_str_equal(words[0], "nameserver"))
            continue;
        const char *address = g_strstrip(words[1]);
        if (g_str_has_prefix(address, "127.") || g_str_equal(address, "::1"))
            continue;
        found = true;
        if (add)
            g_strv_builder_add_many(argv, "--dns", address, NULL);
    }
    return found;
}

/* passt hands the host's name servers to the guest. Where the host asks one of its own (systemd-resolved), that one's
 * servers are handed on. */
static void add_resolver(GStrvBuilder *argv)
{
    if (!add_name_servers(argv, "/etc/resolv.conf", false))
        add_name_servers(argv, "/run/systemd/resolve/resolv.conf", true);
}

/* --- passt --- */

static char **passt_argv(const char *pid_path)
{
    g_autoptr(GStrvBuilder) argv = g_strv_builder_new();
    g_strv_builder_add_many(argv, "passt", "--quiet", "--no-map-gw", "--pid", pid_path, "--fd", "3", NULL);
    add_resolver(argv);
    return g_strv_builder_end(argv);
}

/* passt goes into the background when it is ready, so the end of its first process is the event to wait for. */
static bool run_passt(const char *pid_path, int fd, GError **error)
{
    g_auto(GStrv) argv = passt_argv(pid_path);
    SpawnOptions options = {.argv = (const char *const *)argv, SPAWN_OPTIONS_INIT};
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

static void on_filter_exit(pid_t pid, int status, gpointer data)
{
    (void)pid;
    (void)status;
    (void)data;
}

/* Keeps the guest's packets from this host; see vm/packet_filter.h. */
static bool run_filter(const char *program, int qemu_fd, int passt_fd, ProcessId *id, GError **error)
{
    const char *argv[] = {program, NULL};
    SpawnOptions options = {.argv = argv, SPAWN_OPTIONS_INIT, .die_with_parent = true};
    options.pass_fds = (const int[]){qemu_fd, passt_fd};
    options.as_fds = (const int[]){3, 4};
    options.pass_count = 2;
    pid_t pid;
    if (!process_spawn(&options, &pid, error))
        return false;
    *id = process_id_of(pid);
    g_child_watch_add(pid, on_filter_exit, NULL);
    return true;
}

/* QEMU - filter - passt: each is left when the one before it ends. */
static bool open_passt(const NetworkOptions *options, Network *network, GError **error)
{
    autofd int for_qemu = -1, to_qemu = -1, to_passt = -1, for_passt = -1;
    g_autofree char *pid_path = g_build_filename(options->run_folder, "passt.pid", NULL);
    if (!unix_pair(&for_qemu, &to_qemu, error) || !unix_pair(&to_passt, &for_passt, error) ||
        !run_passt(pid_path, for_passt, error) || !read_pid(pid_path, &network->passt, error) ||
        !run_filter(options->filter, to_qemu, to_passt, &network->filter, error))
        return false;
    network->mode = NETWORK_PASST;
    network->qemu_fd = fd_steal(&for_qemu);
    return true;
}

bool network_open(const NetworkOptions *options, Network *network, GError **error)
{
    const char *wish = options->wish;
    g_autoptr(GError) cause = NULL;
    *network = (Network){.mode = NETWORK_NONE, .qemu_fd = -1};
    if (g_str_equal(wish, "none"))
        return true;
    network->mode = NETWORK_RESTRICTED;
    if (g_str_equal(wish, "restricted") || open_passt(options, network, &cause))
        return true;
    if (g_str_equal(wish, "passt")) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    network->note = g_strdup_printf(N_("This machine has no network. (%s)"), cause->message);
    return true;
}

static void end(ProcessId *id)
{
    if (id->pid && !process_wait_gone(*id, END_DEADLINE_MS)) {
        process_signal(*id, SIGKILL, NULL);
        process_wait_gone(*id, END_DEADLINE_MS);
    }
    *id = (ProcessId){0};
}

void network_close(Network *network)
{
    fd_close_pointed(&network->qemu_fd);
    g_clear_pointer(&network->note, g_free);
    end(&network->filter);
    end(&network->passt);
}
