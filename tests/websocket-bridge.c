/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "websocket-bridge.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#define BUFFER_BYTES 65536
#define HEAD_MAX_BYTES 8192
#define ACCEPT_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

enum { OPCODE_BINARY = 2, OPCODE_CLOSE = 8, OPCODE_PING = 9, OPCODE_PONG = 10 };

/* --- connecting --- */

int tcp_connect(const char *host, const char *port, GError **error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    int code = getaddrinfo(host, port, &hints, &list);
    if (code != 0) {
        qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "%s: %s", host, gai_strerror(code));
        return -1;
    }
    autofd int fd = -1;
    for (const struct addrinfo *info = list; info && fd < 0; info = info->ai_next) {
        fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC, 0);
        if (connect(fd, info->ai_addr, info->ai_addrlen) < 0)
            fd_close_pointed(&fd);
    }
    freeaddrinfo(list);
    if (fd < 0) {
        qwd_error_errno(error, errno, "Cannot connect to %s port %s", host, port);
        return -1;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd_steal(&fd);
}

static bool send_all(int fd, const void *bytes, size_t length)
{
    for (const char *at = bytes; length > 0;) {
        ssize_t n = send(fd, at, length, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return false;
        at += MAX(n, 0);
        length -= (size_t)MAX(n, 0);
    }
    return true;
}

/* Byte by byte, so that nothing behind the head is taken. */
static char *read_head(int fd)
{
    g_autoptr(GString) head = g_string_new(NULL);
    char byte;
    while (head->len < HEAD_MAX_BYTES && recv(fd, &byte, 1, 0) == 1) {
        g_string_append_c(head, byte);
        if (g_str_has_suffix(head->str, "\r\n\r\n"))
            break;
    }
    return g_string_free(g_steal_pointer(&head), FALSE);
}

static char *accept_value(const char *key)
{
    uint8_t digest[20];
    size_t length = sizeof digest;
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA1);
    g_checksum_update(sum, (const guchar *)key, -1);
    g_checksum_update(sum, (const guchar *)ACCEPT_GUID, -1);
    g_checksum_get_digest(sum, digest, &length);
    return g_base64_encode(digest, length);
}

static bool upgrade(int fd, GUri *uri, const char *headers, GError **error)
{
    static const char key[] = "dGhlIHNhbXBsZSBub25jZQ==";
    const char *query = g_uri_get_query(uri);
    g_autofree char *request = g_strdup_printf(
        "GET %s%s%s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: binary\r\nSec-WebSocket-Key: %s\r\n%s\r\n",
        g_uri_get_path(uri), query ? "?" : "", query ? query : "", g_uri_get_host(uri), g_uri_get_port(uri), key,
        headers);
    if (!send_all(fd, request, strlen(request)))
        return qwd_error_errno(error, errno, "Cannot send");
    g_autofree char *head = read_head(fd);
    g_autofree char *accept = accept_value(key);
    if (g_str_has_prefix(head, "HTTP/1.1 101 ") && strstr(head, accept))
        return true;
    head[strcspn(head, "\r\n")] = '\0';
    return qwd_error_fail(error, QWD_ERROR_DENIED, "%s", *head ? head : "no answer");
}

/* --- frames --- */

typedef struct {
    int web, local;
    uint8_t head[14]; /* of the frame that comes in */
    size_t head_length;
    guint64 left; /* of its payload */
    uint8_t control[125];
    size_t control_length;
} Bridge;

/* Masked with zeros, which is a mask. */
static bool send_frame(Bridge *bridge, uint8_t opcode, const void *bytes, size_t length)
{
    uint8_t head[8] = {(uint8_t)(0x80 | opcode), (uint8_t)(0x80 | length)};
    size_t head_length = 6;
    if (length > 125) {
        head[1] = 0x80 | 126;
        head[2] = (uint8_t)(length >> 8);
        head[3] = (uint8_t)length;
        head_length = 8;
    }
    return send_all(bridge->web, head, head_length) && send_all(bridge->web, bytes, length);
}

static size_t head_bytes(const Bridge *bridge)
{
    if (bridge->head_length < 2)
        return 2;
    int length = bridge->head[1] & 0x7f;
    return length == 127 ? 10 : length == 126 ? 4 : 2;
}

/* A complete head: servers do not mask. */
static void begin_frame(Bridge *bridge)
{
    bridge->left = bridge->head[1] & 0x7f;
    if (bridge->left > 125) {
        bridge->left = 0;
        for (size_t i = 2; i < bridge->head_length; i++)
            bridge->left = bridge->left << 8 | bridge->head[i];
    }
    bridge->control_length = 0;
}

static bool finish_frame(Bridge *bridge)
{
    int opcode = bridge->head[0] & 0x0f;
    bridge->head_length = 0;
    if (opcode == OPCODE_PING)
        return send_frame(bridge, OPCODE_PONG, bridge->control, bridge->control_length);
    return opcode != OPCODE_CLOSE;
}

static bool take_payload(Bridge *bridge, const uint8_t *bytes, size_t length)
{
    bridge->left -= length;
    if ((bridge->head[0] & 0x0f) <= OPCODE_BINARY)
        return send_all(bridge->local, bytes, length);
    length = MIN(length, sizeof bridge->control - bridge->control_length);
    memcpy(bridge->control + bridge->control_length, bytes, length);
    bridge->control_length += length;
    return true;
}

static bool take_bytes(Bridge *bridge, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        size_t n = 1;
        if (bridge->head_length < head_bytes(bridge)) {
            bridge->head[bridge->head_length++] = *bytes;
            if (bridge->head_length == head_bytes(bridge))
                begin_frame(bridge);
        } else {
            n = (size_t)MIN((guint64)length, bridge->left);
            if (!take_payload(bridge, bytes, n))
                return false;
        }
        bytes += n;
        length -= n;
        if (bridge->head_length == head_bytes(bridge) && bridge->left == 0 && !finish_frame(bridge))
            return false;
    }
    return true;
}

/* --- the thread --- */

static bool serve_web(Bridge *bridge)
{
    uint8_t buffer[BUFFER_BYTES];
    ssize_t n = recv(bridge->web, buffer, sizeof buffer, 0);
    return n > 0 && take_bytes(bridge, buffer, (size_t)n);
}

static bool serve_local(Bridge *bridge)
{
    uint8_t buffer[16384];
    ssize_t n = recv(bridge->local, buffer, sizeof buffer, 0);
    return n > 0 && send_frame(bridge, OPCODE_BINARY, buffer, (size_t)n);
}

static gpointer serve(gpointer data)
{
    Bridge *bridge = data;
    bool good = true;
    while (good) {
        struct pollfd items[] = {{.fd = bridge->web, .events = POLLIN}, {.fd = bridge->local, .events = POLLIN}};
        good = poll(items, 2, -1) > 0;
        if (good && items[0].revents)
            good = serve_web(bridge);
        if (good && items[1].revents)
            good = serve_local(bridge);
    }
    fd_close_pointed(&bridge->web);
    fd_close_pointed(&bridge->local);
    g_free(bridge);
    return NULL;
}

int websocket_bridge(const char *url, const char *headers, GError **error)
{
    g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_ENCODED, error);
    if (!uri)
        return -1;
    g_autofree char *port = g_strdup_printf("%d", g_uri_get_port(uri));
    autofd int web = tcp_connect(g_uri_get_host(uri), port, error);
    int ours, theirs;
    if (web < 0 || !upgrade(web, uri, headers, error) || !unix_pair(&ours, &theirs, error))
        return -1;
    Bridge *bridge = g_new0(Bridge, 1);
    bridge->web = fd_steal(&web);
    bridge->local = theirs;
    g_thread_unref(g_thread_new("websocket", serve, bridge));
    return ours;
}
