/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "server/pump.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

#define BUFFER_BYTES 32768
#define LINGER_MS 10000

/* One direction. A chunk is read only when the one before is written, so a slow reader slows its writer down. */
typedef struct {
    int from, to;
    char *data;
    size_t begin, end; /* what waits in data */
    size_t size;
    bool done; /* the source has ended, the sink has been told */
} Flow;

typedef enum { STEP_BLOCKED, STEP_MOVED, STEP_FAILED } Step;

static Flow flow_new(const PumpSide *from, int to)
{
    Flow flow = {.from = from->fd, .to = to, .end = from->early_length};
    flow.size = MAX(BUFFER_BYTES, from->early_length);
    flow.data = g_malloc(flow.size);
    if (from->early_length > 0)
        memcpy(flow.data, from->early, from->early_length);
    return flow;
}

static bool is_temporary(int cause)
{
    return cause == EAGAIN || cause == EINTR;
}

static Step flow_finish(Flow *flow)
{
    flow->done = true;
    return shutdown(flow->to, SHUT_WR) == 0 ? STEP_BLOCKED : STEP_FAILED;
}

static Step flow_read(Flow *flow)
{
    ssize_t n = recv(flow->from, flow->data, flow->size, 0);
    if (n < 0)
        return is_temporary(errno) ? STEP_BLOCKED : STEP_FAILED;
    if (n == 0)
        return flow_finish(flow);
    flow->begin = 0;
    flow->end = (size_t)n;
    return STEP_MOVED;
}

static Step flow_write(Flow *flow)
{
    ssize_t n = send(flow->to, flow->data + flow->begin, flow->end - flow->begin, MSG_NOSIGNAL);
    if (n < 0)
        return is_temporary(errno) ? STEP_BLOCKED : STEP_FAILED;
    flow->begin += (size_t)n;
    return STEP_MOVED;
}

/* The next thing to do in this direction. */
static Step flow_step(Flow *flow)
{
    if (flow->begin < flow->end)
        return flow_write(flow);
    return flow->done ? STEP_BLOCKED : flow_read(flow);
}

/* A few steps at a time, so that one direction in full flow does not starve the other. */
static bool flow_advance(Flow *flow)
{
    Step step = STEP_MOVED;
    for (int i = 0; i < 8 && step == STEP_MOVED; i++)
        step = flow_step(flow);
    return step != STEP_FAILED;
}

static void want(struct pollfd *item, bool wanted, short events)
{
    if (wanted)
        item->events |= events;
}

/* What the flow waits for. A socket that nothing is wanted from is left out: poll(2) would report its end at once,
 * again and again. */
static void flow_wants(const Flow *flow, struct pollfd *from, struct pollfd *to)
{
    bool full = flow->begin < flow->end;
    want(to, full, POLLOUT);
    want(from, !full && !flow->done, POLLIN);
}

static bool wait_for_flows(const Flow flows[2], int stop_fd)
{
    struct pollfd items[3] = {{.fd = flows[0].from}, {.fd = flows[1].from}, {.fd = stop_fd, .events = POLLIN}};
    flow_wants(&flows[0], &items[0], &items[1]);
    flow_wants(&flows[1], &items[1], &items[0]);
    for (int i = 0; i < 2; i++) {
        if (items[i].events == 0)
            items[i].fd = -1;
    }
    int count = poll(items, 3, flows[0].done || flows[1].done ? LINGER_MS : -1);
    if (count < 0)
        return errno == EINTR;
    return count > 0 && !items[2].revents;
}

/* Small messages (a key, a pointer's move) leave at once, and a peer that vanished is noticed within two minutes. */
static void prepare_socket(int fd)
{
    static const struct {
        int level, option, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},    {SOL_SOCKET, SO_KEEPALIVE, 1}, {IPPROTO_TCP, TCP_KEEPIDLE, 60},
        {IPPROTO_TCP, TCP_KEEPINTVL, 15}, {IPPROTO_TCP, TCP_KEEPCNT, 4},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(options); i++)
        setsockopt(fd, options[i].level, options[i].option, &options[i].value, sizeof options[i].value);
}

void pump_run(const PumpSide *a, const PumpSide *b, int stop_fd)
{
    Flow flows[2] = {flow_new(a, b->fd), flow_new(b, a->fd)};
    prepare_socket(a->fd);
    prepare_socket(b->fd);
    bool good = fd_set_nonblocking(a->fd, NULL) && fd_set_nonblocking(b->fd, NULL);
    while (good && !(flows[0].done && flows[1].done))
        good = flow_advance(&flows[0]) && flow_advance(&flows[1]) && wait_for_flows(flows, stop_fd);
    g_free(flows[0].data);
    g_free(flows[1].data);
}
