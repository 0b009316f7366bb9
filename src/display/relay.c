/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "display/relay.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/fd.h"

#define BUFFER_BYTES (64 * 1024)

/* Turns of read and write in one dispatch before the other viewers have theirs; enough to empty a socket's buffer. */
#define TURNS_MAX 4

typedef struct {
    int fd;
    void *tag; /* of the source; NULL: not polled */
} Side;

/* Bytes on their way: read when there are none, then written until there are none. */
typedef struct {
    Side *from, *to;
    RfbFilter *filter; /* or NULL */
    size_t start, end;
    bool used;     /* something was read once */
    bool finished; /* nothing more is read: its reader has met the end, or nobody is there to write to */
    uint8_t bytes[BUFFER_BYTES];
} Stream;

struct Relay {
    GSource *source;
    Side client, server;
    Stream up, down; /* client to server, server to client */
    RfbFilter filter;
    bool joined, greeted, half_shut;
    const RelayEvents *events;
    void *data;
};

/* --- moving bytes --- */

static bool is_empty(const Stream *stream)
{
    return stream->start == stream->end;
}

static bool is_not_now(ssize_t result)
{
    return result < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Room stays free for what the filter held back of an earlier read. */
static ssize_t receive_filtered(Stream *stream)
{
    uint8_t raw[BUFFER_BYTES - RFB_HEAD_MAX_BYTES];
    ssize_t n = recv(stream->from->fd, raw, sizeof raw, MSG_DONTWAIT);
    if (n > 0)
        stream->end = rfb_filter_run(stream->filter, raw, (size_t)n, stream->bytes);
    return n;
}

static ssize_t receive_plain(Stream *stream)
{
    ssize_t n = recv(stream->from->fd, stream->bytes, sizeof stream->bytes, MSG_DONTWAIT);
    if (n > 0)
        stream->end = (size_t)n;
    return n;
}

/* True when something was read. Every error but "not now" is the end: who reset the connection has no more to say. */
static bool stream_read(Stream *stream)
{
    stream->start = stream->end = 0;
    ssize_t n = stream->filter ? receive_filtered(stream) : receive_plain(stream);
    if (is_not_now(n))
        return false;
    stream->used = stream->used || n > 0;
    stream->finished = n <= 0;
    return n > 0;
}

/* True when all was written. What nobody is there to read is dropped. */
static bool stream_write(Stream *stream)
{
    if (is_empty(stream))
        return true;
    ssize_t n =
        send(stream->to->fd, stream->bytes + stream->start, stream->end - stream->start, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (is_not_now(n))
        return false;
    stream->finished = stream->finished || n < 0;
    stream->start = n < 0 ? stream->end : stream->start + (size_t)n;
    return is_empty(stream);
}

static void stream_pump(Stream *stream)
{
    int turns = TURNS_MAX;
    while (stream_write(stream) && !stream->finished && turns-- > 0 && stream_read(stream))
        continue;
}

/* --- polling --- */

static void side_poll(Relay *relay, Side *side, GIOCondition condition)
{
    if (side->tag)
        g_source_modify_unix_fd(relay->source, side->tag, condition);
}

/* A side whose peer is gone would be reported again and again; it is read without being asked then. */
static void side_unpoll(Relay *relay, Side *side)
{
    g_source_remove_unix_fd(relay->source, side->tag);
    side->tag = NULL;
}

static GIOCondition side_take(Relay *relay, const Side *side)
{
    return side->tag ? g_source_query_unix_fd(relay->source, side->tag) : 0;
}

static bool wants_read(const Stream *stream)
{
    return is_empty(stream) && !stream->finished;
}

static void update_polling(Relay *relay)
{
    bool drains_dead_server = relay->joined && !relay->server.tag && !relay->down.finished;
    side_poll(relay, &relay->client,
              (relay->joined && wants_read(&relay->up) ? G_IO_IN : 0) |
                  (!is_empty(&relay->down) || drains_dead_server ? G_IO_OUT : 0));
    side_poll(relay, &relay->server, (wants_read(&relay->down) ? G_IO_IN : 0) | (!is_empty(&relay->up) ? G_IO_OUT : 0));
}

/* --- the course of a relay --- */

/* A viewer that shuts down its half still gets what the server says to that. */
static void pass_on_half_close(Relay *relay)
{
    if (!relay->half_shut && relay->up.finished && is_empty(&relay->up)) {
        relay->half_shut = true;
        shutdown(relay->server.fd, SHUT_WR);
    }
}

static void report(Relay *relay)
{
    if (rfb_filter_take_input(&relay->filter))
        relay->events->input(relay->data);
    if (!relay->greeted && relay->down.used) {
        relay->greeted = true;
        relay->events->greeted(relay->data);
    }
}

static bool is_over(const Relay *relay, GIOCondition client)
{
    return client & (G_IO_HUP | G_IO_ERR) || rfb_filter_is_broken(&relay->filter) ||
           (relay->down.finished && is_empty(&relay->down));
}

static void exchange(Relay *relay, GIOCondition client)
{
    GIOCondition server = side_take(relay, &relay->server);
    if (client & ~G_IO_OUT || server & G_IO_OUT)
        stream_pump(&relay->up);
    if (server & ~G_IO_OUT || client & G_IO_OUT)
        stream_pump(&relay->down);
    if (server & (G_IO_HUP | G_IO_ERR)) {
        side_unpoll(relay, &relay->server);
        relay->up.finished = true;
    }
    pass_on_half_close(relay);
    report(relay);
}

static gboolean on_ready(GSource *source, GSourceFunc unused, gpointer data)
{
    (void)source;
    (void)unused;
    Relay *relay = data;
    GIOCondition client = side_take(relay, &relay->client);
    if (relay->joined)
        exchange(relay, client);
    if (is_over(relay, client)) {
        relay->events->ended(relay->data);
        return G_SOURCE_REMOVE;
    }
    update_polling(relay);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_functions = {.dispatch = on_ready};

Relay *relay_new(int client_fd, RfbRole role, const RelayEvents *events, void *data)
{
    Relay *relay = g_new0(Relay, 1);
    relay->events = events;
    relay->data = data;
    relay->client.fd = client_fd;
    relay->server.fd = -1;
    relay->up.from = relay->down.to = &relay->client;
    relay->up.to = relay->down.from = &relay->server;
    relay->up.filter = &relay->filter;
    rfb_filter_init(&relay->filter, role);
    relay->source = g_source_new(&source_functions, sizeof(GSource));
    relay->client.tag = g_source_add_unix_fd(relay->source, client_fd, 0);
    g_source_set_callback(relay->source, NULL, relay, NULL);
    g_source_attach(relay->source, NULL);
    return relay;
}

void relay_join(Relay *relay, int server_fd)
{
    relay->joined = true;
    relay->server.fd = server_fd;
    relay->server.tag = g_source_add_unix_fd(relay->source, server_fd, 0);
    update_polling(relay);
}

const char *relay_fault(const Relay *relay)
{
    return rfb_filter_fault(&relay->filter);
}

void relay_free(Relay *relay)
{
    if (!relay)
        return;
    g_source_destroy(relay->source);
    g_source_unref(relay->source);
    fd_close_pointed(&relay->client.fd);
    fd_close_pointed(&relay->server.fd);
    g_free(relay);
}
