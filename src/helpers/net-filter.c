/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwd-net-filter: stands between QEMU (descriptor 3) and passt (descriptor 4) and keeps a guest's packets from this
 * host. It ends when one of them does. What it reads comes from a guest: a process of its own, with nothing to lose. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "vm/packet_filter.h"

enum { QEMU_FD = 3, PASST_FD = 4 };

static bool write_all(int fd, const guint8 *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        length -= (size_t)n;
    }
    return true;
}

static ssize_t read_some(int fd, guint8 *bytes, size_t room)
{
    ssize_t n;
    do
        n = read(fd, bytes, room);
    while (n < 0 && errno == EINTR);
    return n;
}

/* From the outside everything passes. */
static gpointer copy_inwards(gpointer unused)
{
    static guint8 bytes[FRAME_MAX_BYTES];
    ssize_t n;
    (void)unused;
    while ((n = read_some(PASST_FD, bytes, sizeof bytes)) > 0 && write_all(QEMU_FD, bytes, (size_t)n)) {
    }
    _exit(0);
}

/* What the kernel has told of this host's addresses by then counts for the frames that have just been read. */
static void filter_outwards(HostAddresses *host, const PacketFilter *filter)
{
    static guint8 bytes[2 * FRAME_MAX_BYTES];
    size_t length = 0, passing;
    ssize_t n;
    while ((n = read_some(QEMU_FD, bytes + length, sizeof bytes - length)) > 0) {
        host_addresses_update(host);
        length += (size_t)n;
        ssize_t seen = packet_filter_stream(filter, bytes, length, &passing);
        if (seen < 0 || !write_all(PASST_FD, bytes, passing))
            return;
        length -= (size_t)seen;
        memmove(bytes, bytes + seen, length);
    }
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    g_autoptr(HostAddresses) host = host_addresses_new();
    g_autoptr(PacketFilter) filter = packet_filter_new(host);
    g_thread_unref(g_thread_new("inwards", copy_inwards, NULL));
    filter_outwards(host, filter);
    _exit(0);
}
