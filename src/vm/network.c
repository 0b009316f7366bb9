/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/network.h"

#include <string.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/text.h"
#include "vm/name_servers.h"

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

/* Keeps the guest's packets from this host; see vm/packet_filter.h. */
static bool run_filter(char **argv, int qemu_fd, int passt_fd, ProcessId *id, GError **error)
{
    SpawnOptions options = {.argv = (const char *const *)argv, SPAWN_OPTIONS_INIT, .die_with_parent = true};
    options.pass_fds = (const int[]){qemu_fd, passt_fd};
    options.as_fds = (const int[]){3, 4};
    options.pass_count = 2;
    return process_spawn_reaped(&options, id, error);
}

/* QEMU - filter - passt: each is left when the one before it ends. */
static bool open_passt(const NetworkOptions *options, Network *network, GError **error)
{
    autofd int for_qemu = -1, to_qemu = -1, to_passt = -1, for_passt = -1;
    g_auto(NameServers) servers = {0};
    name_servers_find(options->name_servers, &servers);
    g_auto(GStrv) argv = filter_argv(options, &servers);
    if (!unix_pair(&for_qemu, &to_qemu, error) || !unix_pair(&to_passt, &for_passt, error) ||
        !passt_start(&network->passt, to_passt, fd_steal(&for_passt), &servers, error) ||
        !run_filter(argv, to_qemu, to_passt, &network->filter, error))
        return false;
    network->mode = NETWORK_PASST;
    network->qemu_fd = fd_steal(&for_qemu);
    if (!servers.addresses->len && !servers.forward)
        network->note = g_strdup(N_("This machine finds no names in the network, since this server has no name server "
                                    "for it. The administrator can set network_dns."));
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
    passt_end(&network->passt);
    if (g_str_equal(wish, "passt")) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    network->note = g_strdup_printf(N_("This machine has no network. (%s)"), cause->message);
    return true;
}

void network_close(Network *network)
{
    fd_close_pointed(&network->qemu_fd);
    g_clear_pointer(&network->note, g_free);
    process_end(&network->filter, END_DEADLINE_MS);
    passt_end(&network->passt);
}
