/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/network.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "vm/route.h"

#define PASST_START_DEADLINE_MS 10000
#define PASST_END_DEADLINE_MS 2000
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

static void add_interface(GStrvBuilder *argv, const char *option, const char *interface)
{
    if (interface)
        g_strv_builder_add_many(argv, option, interface, NULL);
}

/* A guest can send packets to any address, 127.0.0.1 among them, and passt would connect to it here. Sockets that are
 * bound to the interface that leads outside do not get there; a protocol without such an interface is switched off. */
static bool add_interfaces(GStrvBuilder *argv, GError **error)
{
    g_autofree char *v4 = route_default_interface(ROUTE_V4), *v6 = route_default_interface(ROUTE_V6);
    if (!v4 && !v6)
        return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "This host has no route to the outside.");
    add_interface(argv, "--outbound-if4", v4);
    add_interface(argv, "--outbound-if6", v6);
    if (!v4 || !v6)
        g_strv_builder_add(argv, v4 ? "--ipv4-only" : "--ipv6-only");
    return true;
}

static char **passt_argv(const char *pid_path, GError **error)
{
    g_autoptr(GStrvBuilder) argv = g_strv_builder_new();
    g_strv_builder_add_many(argv, "passt", "--quiet", "--no-map-gw", "--pid", pid_path, "--fd", "3", NULL);
    if (!add_interfaces(argv, error))
        return NULL;
    add_resolver(argv);
    return g_strv_builder_end(argv);
}

/* passt goes into the background when it is ready, so the end of its first process is the event to wait for. */
static bool run_passt(const char *pid_path, int fd, GError **error)
{
    g_auto(GStrv) argv = passt_argv(pid_path, error);
    if (!argv)
        return false;
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
