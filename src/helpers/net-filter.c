/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwd-net-filter: stands between QEMU (descriptor 3) and passt (descriptor 4) and keeps a guest's packets from this
 * host. It ends when one of them does: with 0 when QEMU has. What it reads comes from a guest: a process of its own,
 * with nothing to lose. */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sandbox.h"
#include "vm/dhcp.h"
#include "vm/packet_filter.h"

enum { QEMU_FD = 3, PASST_FD = 4 };

static ssize_t read_some(int fd, guint8 *bytes, size_t room)
{
    ssize_t n;
    do
        n = read(fd, bytes, room);
    while (n < 0 && errno == EINTR);
    return n;
}

typedef struct {
    HostAddresses *host;
    PacketFilter *filter;
    struct in_addr forward; /* 0.0.0.0: none */
} Job;

/* The whole frames at the beginning of the bytes get the name server. Returns their length; -1 for no such stream. */
static ssize_t set_name_servers(const Job *job, guint8 *bytes, size_t length)
{
    size_t seen = 0;
    while (length - seen >= FRAME_LENGTH_BYTES) {
        size_t frame = frame_length(bytes + seen);
        if (frame > FRAME_MAX_BYTES)
            return -1;
        if (length - seen < FRAME_LENGTH_BYTES + frame)
            break;
        dhcp_set_name_server(bytes + seen + FRAME_LENGTH_BYTES, frame, &job->forward);
        seen += FRAME_LENGTH_BYTES + frame;
    }
    return (ssize_t)seen;
}

/* From the outside everything passes. */
static gpointer copy_inwards(gpointer data)
{
    static guint8 bytes[2 * FRAME_MAX_BYTES];
    const Job *job = data;
    size_t length = 0;
    ssize_t n;
    while ((n = read_some(PASST_FD, bytes + length, sizeof bytes - length)) > 0) {
        length += (size_t)n;
        ssize_t whole = job->forward.s_addr ? set_name_servers(job, bytes, length) : (ssize_t)length;
        if (whole < 0)
            break;
        if (!fd_write_all(QEMU_FD, bytes, (size_t)whole))
            _exit(0);
        length -= (size_t)whole;
        memmove(bytes, bytes + whole, length);
    }
    _exit(PACKET_FILTER_EXIT_PASST);
}

/* What the kernel has told of this host's addresses by then counts for the frames that have just been read. */
static void filter_outwards(const Job *job)
{
    static guint8 bytes[2 * FRAME_MAX_BYTES];
    size_t length = 0, passing;
    ssize_t n;
    while ((n = read_some(QEMU_FD, bytes + length, sizeof bytes - length)) > 0) {
        host_addresses_update(job->host);
        length += (size_t)n;
        ssize_t seen = packet_filter_stream(job->filter, bytes, length, &passing);
        if (seen < 0) {
            fputs("qwd-net-filter: QEMU sends something else than frames.\n", stderr);
            _exit(2);
        }
        if (!fd_write_all(PASST_FD, bytes, passing))
            _exit(PACKET_FILTER_EXIT_PASST);
        length -= (size_t)seen;
        memmove(bytes, bytes + seen, length);
    }
}

static bool add_rule(PacketFilter *filter, const char *network, bool allowed)
{
    Cidr cidr;
    if (!cidr_parse(network, &cidr))
        return false;
    packet_filter_add_rule(filter, &cidr, allowed);
    return true;
}

static bool add_name_server(PacketFilter *filter, const char *text)
{
    struct in6_addr address;
    if (!address_parse(text, &address))
        return false;
    packet_filter_add_name_server(filter, &address);
    return true;
}

/* "+NETWORK" and "-NETWORK" are rules; "dns=ADDRESS" a name server, "forward=ADDRESS" that of this host's resolver. */
static bool read_word(Job *job, const char *word)
{
    if (*word == '+' || *word == '-')
        return add_rule(job->filter, word + 1, *word == '+');
    if (g_str_has_prefix(word, "dns="))
        return add_name_server(job->filter, word + strlen("dns="));
    const char *address = g_str_has_prefix(word, "forward=") ? word + strlen("forward=") : "";
    return inet_pton(AF_INET, address, &job->forward) == 1 && add_name_server(job->filter, address);
}

/* A word that is not understood could be a rule that denies. */
int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    g_autoptr(HostAddresses) host = host_addresses_new();
    g_autoptr(PacketFilter) filter = packet_filter_new(host);
    Job job = {.host = host, .filter = filter};
    for (int i = 1; i < argc; i++) {
        if (!read_word(&job, argv[i])) {
            fprintf(stderr, "qwd-net-filter: \"%s\" is no rule.\n", argv[i]);
            return 2;
        }
    }
    sandbox_no_files();
    g_thread_unref(g_thread_new("inwards", copy_inwards, &job));
    filter_outwards(&job);
    _exit(0);
}
