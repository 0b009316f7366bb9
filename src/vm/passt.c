/* SPDX-License-Identifier: AGPL-3.0-or-later
 * How it works: passt has no way to tell that it is ready, but it answers an ARP request, and a neighbour solicitation
 * on hosts without IPv4, as soon as it is. */
#include "vm/passt.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/wait.h"
#include "vm/packet_filter.h"

#define START_DEADLINE_MS 120000 /* a busy host is no fault: only a hang counts */
#define END_DEADLINE_MS 2000

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

/* --- the process --- */

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

bool passt_start(Passt *passt, int passt_fd, const NameServers *servers, GError **error)
{
    autofd int end = passt_fd, errors = -1; /* passt's end is the only one: then its end is seen */
    g_auto(GStrv) argv = passt_argv(servers);
    *passt = (Passt){0};
    if (!child_messages_open(&passt->messages, &errors, error))
        return false;
    SpawnOptions options = {.argv = (const char *const *)argv, SPAWN_OPTIONS_INIT, .die_with_parent = true};
    options.stderr_fd = errors;
    options.pass_fds = &end;
    options.as_fds = (const int[]){3};
    options.pass_count = 1;
    return process_spawn_reaped(&options, &passt->id, error);
}

void passt_end(Passt *passt)
{
    process_end(&passt->id, END_DEADLINE_MS);
    child_messages_close(&passt->messages);
}

/* --- its readiness --- */

typedef struct {
    guint8 *bytes; /* of the first frame, its length before it */
    size_t length;
    bool has_answered, has_ended;
} Answer;

static bool is_decided(void *data)
{
    const Answer *answer = data;
    return answer->has_answered || answer->has_ended;
}

/* How long the frame is with all that is known of it; 0 when there is none like that. */
static size_t expected_bytes(const Answer *answer)
{
    if (answer->length < FRAME_LENGTH_BYTES)
        return FRAME_LENGTH_BYTES;
    size_t frame = frame_length(answer->bytes);
    return frame > 0 && frame <= FRAME_MAX_BYTES ? FRAME_LENGTH_BYTES + frame : 0;
}

/* Takes what is there of one frame, and nothing of the next one. */
static gboolean on_answer(int fd, GIOCondition condition, gpointer data)
{
    (void)condition;
    Answer *answer = data;
    ssize_t n = recv(fd, answer->bytes + answer->length, expected_bytes(answer) - answer->length, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    answer->length += n > 0 ? (size_t)n : 0;
    answer->has_ended = n <= 0 || expected_bytes(answer) == 0;
    answer->has_answered = !answer->has_ended && answer->length == expected_bytes(answer);
    return is_decided(answer) ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

bool passt_await(int fd, GError **error)
{
    g_autofree guint8 *bytes = g_malloc(FRAME_LENGTH_BYTES + FRAME_MAX_BYTES);
    Answer answer = {.bytes = bytes};
    send(fd, arp_request, sizeof arp_request, MSG_NOSIGNAL);
    send(fd, neighbour_solicitation, sizeof neighbour_solicitation, MSG_NOSIGNAL);
    guint source = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_answer, &answer);
    bool decided = wait_unless_cancelled(is_decided, &answer, START_DEADLINE_MS, error);
    if (!decided)
        g_source_remove(source);
    return decided && (answer.has_answered || qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "passt does not start."));
}
