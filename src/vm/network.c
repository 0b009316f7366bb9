/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/network.h"

#include <string.h>
#include <sys/wait.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/text.h"
#include "base/wait.h"
#include "vm/name_servers.h"
#include "vm/packet_filter.h"

#define END_DEADLINE_MS 2000

static char **filter_argv(const NetworkOptions *options, const NameServers *servers)
{
    g_autoptr(GStrvBuilder) argv = g_strv_builder_new();
    g_auto(GStrv) rules = g_strsplit(options->rules, " ", -1);
    g_strv_builder_add(argv, options->filter);
    for (char **rule = rules; *rule; rule++) {
        if (**rule)
            g_strv_builder_add(argv, *rule);
    }
    for (guint i = 0; i < servers->addresses->len; i++) {
        g_autofree char *word = g_strconcat("dns=", servers->addresses->pdata[i], NULL);
        g_strv_builder_add(argv, word);
    }
    if (servers->forward)
        g_strv_builder_add(argv, "forward=" DNS_FORWARD_ADDRESS);
    return g_strv_builder_end(argv);
}

/* --- the filter's end --- */

static bool passt_has_ended(const Network *network)
{
    return WIFEXITED(network->filter_status) && WEXITSTATUS(network->filter_status) == PACKET_FILTER_EXIT_PASST;
}

/* The last message of the one that has ended first; of one without a message, how it ended. Free with g_free. */
static char *describe_end(Network *network)
{
    bool is_passt = passt_has_ended(network);
    g_autoptr(GError) how = NULL;
    g_autofree char *line = child_messages_last_line(is_passt ? &network->passt.messages : &network->filter_messages);
    if (*line)
        return g_steal_pointer(&line);
    if (is_passt || g_spawn_check_wait_status(network->filter_status, &how))
        return g_strdup("It exited without a message.");
    return g_strdup(how->message);
}

static void on_filter_exit(pid_t pid, int status, gpointer data)
{
    (void)pid;
    Network *network = data;
    network->filter_watch = 0;
    network->filter_status = status;
    if (!network->on_lost || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
        return;
    g_autofree char *words = describe_end(network);
    g_autofree char *reason = g_strdup_printf("%s: %s", passt_has_ended(network) ? "passt" : "qwd-net-filter", words);
    network->on_lost(network->data, reason);
}

static bool filter_has_ended(void *data)
{
    return ((const Network *)data)->filter_watch == 0;
}

/* --- opening it --- */

/* Keeps the guest's packets from this host; see vm/packet_filter.h. */
static bool run_filter(Network *network, char **argv, int qemu_fd, int passt_fd, GError **error)
{
    autofd int errors = -1;
    pid_t pid;
    if (!child_messages_open(&network->filter_messages, &errors, error))
        return false;
    SpawnOptions options = {.argv = (const char *const *)argv, SPAWN_OPTIONS_INIT, .die_with_parent = true};
    options.stderr_fd = errors;
    options.pass_fds = (const int[]){qemu_fd, passt_fd};
    options.as_fds = (const int[]){3, 4};
    options.pass_count = 2;
    if (!process_spawn(&options, &pid, error))
        return false;
    network->filter = process_id_of(pid);
    network->filter_watch = g_child_watch_add(pid, on_filter_exit, network);
    return true;
}

/* QEMU - filter - passt: each is left when the one before it ends. Returns QEMU's end; -1 on error. */
static int start_processes(Network *network, const NetworkOptions *options, const NameServers *servers, GError **error)
{
    autofd int for_qemu = -1, to_qemu = -1, to_passt = -1, for_passt = -1;
    g_auto(GStrv) argv = filter_argv(options, servers);
    bool good = unix_pair(&for_qemu, &to_qemu, error) && unix_pair(&to_passt, &for_passt, error) &&
                passt_start(&network->passt, fd_steal(&for_passt), servers, error) &&
                run_filter(network, argv, to_qemu, to_passt, error);
    return good ? fd_steal(&for_qemu) : -1;
}

/* The answer of passt comes through the filter: then both work. */
static bool await_both(Network *network, GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (passt_await(network->qemu_fd, &cause) && network->filter_watch)
        return true;
    if (cause && !g_error_matches(cause, QWD_ERROR, QWD_ERROR_UNAVAILABLE)) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    wait_until(filter_has_ended, network, END_DEADLINE_MS, NULL);
    g_autofree char *words = describe_end(network);
    if (passt_has_ended(network))
        return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "passt does not start: %s", words);
    return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "qwd-net-filter does not start: %s", words);
}

static bool open_passt(const NetworkOptions *options, Network *network, GError **error)
{
    g_auto(NameServers) servers = {0};
    name_servers_find(options->name_servers, &servers);
    network->qemu_fd = start_processes(network, options, &servers, error);
    if (network->qemu_fd < 0 || !await_both(network, error))
        return false;
    network->mode = NETWORK_PASST;
    if (!servers.addresses->len && !servers.forward)
        network->note = g_strdup(N_("This machine finds no names in the network, since this server has no name server "
                                    "for it. The administrator can set network_dns."));
    return true;
}

static void close_passt(Network *network)
{
    fd_close_pointed(&network->qemu_fd);
    process_end(&network->filter, END_DEADLINE_MS);
    wait_until(filter_has_ended, network, END_DEADLINE_MS, NULL);
    g_clear_handle_id(&network->filter_watch, g_source_remove);
    child_messages_close(&network->filter_messages);
    passt_end(&network->passt);
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
    close_passt(network);
    if (g_str_equal(wish, "passt")) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    network->note = g_strdup_printf(N_("This machine has no network. (%s)"), cause->message);
    return true;
}

void network_close(Network *network)
{
    network->on_lost = NULL;
    close_passt(network);
    g_clear_pointer(&network->note, g_free);
}
