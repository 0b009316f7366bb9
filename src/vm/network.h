/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The guest's network. passt(1) translates between the guest and ordinary sockets of an unprivileged process,
 * one for each session: the guest reaches what this host reaches, but neither the host itself nor another session.
 * A filter before passt sees to that (vm/packet_filter.h). */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "base/process.h"
#include "vm/passt.h"

typedef enum {
    NETWORK_NONE,
    NETWORK_RESTRICTED, /* QEMU's user network with restrict=on: an address, and nothing else to reach */
    NETWORK_PASST,
} NetworkMode;

typedef struct {
    NetworkMode mode;
    int qemu_fd;      /* NETWORK_PASST: the end for QEMU; else -1 */
    ProcessId filter; /* ends by itself when QEMU closes its end, and passt with it */
    ChildMessages filter_messages;
    guint filter_watch; /* 0: it has ended */
    int filter_status;  /* how (waitpid(2)) */
    Passt passt;
    char *note;                                      /* something the session's user should know; NULL nothing */
    void (*on_lost)(void *data, const char *reason); /* it has ended, and not because QEMU has; NULL: nobody cares */
    void *data;                                      /* for on_lost */
} Network;

typedef struct {
    const char *wish;         /* "auto", "passt", "restricted", "none" */
    const char *filter;       /* the program qwd-net-filter */
    const char *rules;        /* "+NETWORK" it may reach, "-NETWORK" not, separated by spaces: vm/packet_filter.h */
    const char *name_servers; /* vm/name_servers.h; "" this host's */
} NetworkOptions;

/* Opens the network that is wished for. With "auto" a passt that is missing or does not start becomes
 * NETWORK_RESTRICTED with a note; with "passt" it is an error. The struct must stay where it is until network_close;
 * on_lost is set when it is open. */
bool network_open(const NetworkOptions *options, Network *network, GError **error);

/* Closes our end and sees to it that filter and passt are gone. */
void network_close(Network *network);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Network, network_close)
