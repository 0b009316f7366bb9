/* SPDX-License-Identifier: AGPL-3.0-or-later
 * How it works: passt has no way to tell that it is ready, but it answers an ARP request, and a neighbour solicitation
 * on hosts without IPv4, as soon as it is. */
#include "vm/passt.h"

#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/text.h"
#include "base/wait.h"
#include "vm/packet_filter.h"

#define START_DEADLINE_MS 120000 /* a busy host is no fault: only a hang counts */
#define END_DEADLINE_MS 2000
#define MESSAGES_MAX_BYTES 16384

/* Ethernet and RFC 826: 240.0.0.1 at QEMU's usual address asks for 240.0.0.2, which no host has: passt does not answer
 * for the guest's own. The length of the frame comes first. */
static const guint8 arp_request[] = {
    0,    0,    0,    42,                                                            /* length */
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 0x08, 0x06, /* Ethernet */
    0,    1,    0x08, 0,    6,    4,    0,    1,                                     /* ARP: a request */
    0x52, 0x54, 0,    0x12, 0x34, 0x56, 240,  0,    0, 1,                            /* from */
    0,    0,    0,    0,    0,    0,    240,  0,    0, 2,                            /* for */
};

/* RFC 4861: fe80::1 asks for fe80::2. */
static const guint8 neighbour_solicitation[] = {
    0,    0,    0,    78,                                                                /* length */
    0x33, 0x33, 0xff, 0,    0, 2,  0x52, 0x54, 0,    0x12, 0x34, 0x56, 0x86, 0xdd,       /* Ethernet */
    0x60, 0,    0,    0,    0, 24, 58,   255,                                            /* IPv6 */
    0xfe, 0x80, 0,    0,    0, 0,  0,    0,    0,    0,    0,    0,    0,    0,    0, 1, /* from */
    0xff, 0x02, 0,    0,    0, 0,  0,    0,    0,    0,    0,    1,    0xff, 0,    0, 2, /* to */
    135,  0,    0x7d, 0xa1, 0, 0,  0,    0,    0xfe, 0x80, 0,    0,    0,    0,    0, 0,
    0,    0,    0,    0,    0, 0,  0,    2, /* ICMPv6 */
};

typedef struct {
    bool has_answered, has_ended;
} Start;

static bool is_decided(void *data)
{
    const Start *start = data;
    return start->has_answered || start->has_ended;
}

/* The frame is taken as a whole: passt sends each at once. */
static gboolean on_answer(int fd, GIOCondition condition, gpointer data)
{
    (void)condition;
    Start *start = data;
    guint8 length[FRAME_LENGTH_BYTES];
    if (recv(fd, length, sizeof length, MSG_WAITALL) != sizeof length) {
        start->has_ended = true;
        return G_SOURCE_REMOVE;
    }
    g_autofree guint8 *frame = g_malloc(FRAME_MAX_BYTES);
    size_t size = frame_length(length);
    start->has_answered = size <= FRAME_MAX_BYTES && recv(fd, frame, size, MSG_WAITALL) == (ssize_t)size;
    start->has_ended = !start->has_answered;
    return G_SOURCE_REMOVE;
}

static gboolean on_message(int fd, GIOCondition condition, gpointer data)
{
    (void)condition;
    Passt *passt = data;
    char buffer[1024];
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n > 0 && passt->messages->len < MESSAGES_MAX_BYTES)
        g_string_append_len(passt->messages, buffer, n);
    if (n > 0)
        return G_SOURCE_CONTINUE;
    passt->errors_source = 0;
    return G_SOURCE_REMOVE;
}

static char **passt_argv(const NameServers *servers)
{
    g_autoptr(GStrvBuilder) argv = g_strv_builder_new();
    g_strv_builder_add_many(argv, "passt", "--foreground", "--quiet", "--no-map-gw", "--fd", "3", NULL);
    for (guint i = 0; i < servers->addresses->len; i++)
        g_strv_builder_add_many(argv, "--dns", servers->addresses->pdata[i], NULL);
    if (servers->forward)
        g_strv_builder_add_many(argv, "--dns-forward", DNS_FORWARD_ADDRESS, NULL);
    return g_strv_builder_end(argv);
}

static bool spawn(Passt *passt, int passt_fd, const NameServers *servers, GError **error)
{
    int ends[2];
    g_auto(GStrv) argv = passt_argv(servers);
    if (!g_unix_open_pipe(ends, FD_CLOEXEC, error))
        return false;
    passt->errors = ends[0];
    passt->messages = g_string_new(NULL);
    autofd int write_end = ends[1];
    SpawnOptions options = {.argv = (const char *const *)argv, SPAWN_OPTIONS_INIT, .die_with_parent = true};
    options.stderr_fd = write_end;
    options.pass_fds = &passt_fd;
    options.as_fds = (const int[]){3};
    options.pass_count = 1;
    if (!process_spawn_reaped(&options, &passt->id, error))
        return false;
    passt->errors_source = g_unix_fd_add(passt->errors, G_IO_IN | G_IO_HUP | G_IO_ERR, on_message, passt);
    return true;
}

static bool has_closed_errors(void *data)
{
    return ((const Passt *)data)->errors_source == 0;
}

static bool fail_with_message(Passt *passt, GError **error)
{
    wait_until(has_closed_errors, passt, END_DEADLINE_MS, NULL);
    g_autofree char *last = text_last_line(passt->messages->str);
    return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "passt does not start: %s", last);
}

bool passt_start(Passt *passt, int our_fd, int passt_fd, const NameServers *servers, GError **error)
{
    Start start = {0};
    *passt = (Passt){0};
    bool good = spawn(passt, passt_fd, servers, error);
    close(passt_fd); /* passt's end is the only one: then its end is seen */
    if (!good)
        return false;
    send(our_fd, arp_request, sizeof arp_request, MSG_NOSIGNAL);
    send(our_fd, neighbour_solicitation, sizeof neighbour_solicitation, MSG_NOSIGNAL);
    guint source = g_unix_fd_add(our_fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_answer, &start);
    bool decided = wait_unless_cancelled(is_decided, &start, START_DEADLINE_MS, error);
    if (!decided)
        g_source_remove(source);
    return decided && (start.has_answered || fail_with_message(passt, error));
}

void passt_end(Passt *passt)
{
    process_end(&passt->id, END_DEADLINE_MS);
    g_clear_handle_id(&passt->errors_source, g_source_remove);
    if (passt->messages) {
        g_string_free(passt->messages, TRUE);
        close(passt->errors);
    }
    *passt = (Passt){0};
}
