/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "server/upstream.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/units.h"
#include "server/head.h"

#define DEADLINE_US (10 * G_USEC_PER_SEC)

void upstream_clear(Upstream *upstream)
{
    fd_close_pointed(&upstream->fd);
    g_clear_pointer(&upstream->fields, g_ptr_array_unref);
    g_clear_pointer(&upstream->early, g_byte_array_unref);
}

typedef struct {
    int fd;
    int stop_fd;
    gint64 deadline_us;
} Exchange;

static bool wait_for(const Exchange *exchange, short events, GError **error)
{
    struct pollfd items[2] = {{.fd = exchange->fd, .events = events}, {.fd = exchange->stop_fd, .events = POLLIN}};
    for (;;) {
        gint64 left_us = exchange->deadline_us - g_get_monotonic_time();
        int count = left_us > 0 ? poll(items, 2, (int)(left_us / 1000 + 1)) : 0;
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0 || items[1].revents)
            return qwd_error_fail(error, QWD_ERROR_TIMEOUT, "websockify did not answer in time.");
        return true;
    }
}

/* --- connect --- */

static bool refused(int cause, GError **error)
{
    return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "websockify cannot be reached: %s.", g_strerror(cause));
}

/* Waits while there are more who want to connect than the socket has room for. */
static bool connect_to(Exchange *exchange, const char *path, GError **error)
{
    struct timeval deadline = {.tv_sec = DEADLINE_US / G_USEC_PER_SEC};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (g_strlcpy(address.sun_path, path, sizeof address.sun_path) >= sizeof address.sun_path)
        return refused(ENAMETOOLONG, error);
    exchange->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (exchange->fd < 0 || setsockopt(exchange->fd, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof deadline) < 0)
        return refused(errno, error);
    if (connect(exchange->fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd_set_nonblocking(exchange->fd, error);
    if (errno == EAGAIN)
        return qwd_error_fail(error, QWD_ERROR_TIMEOUT, "websockify did not answer in time.");
    return refused(errno, error);
}

/* --- ask --- */

static bool send_all(const Exchange *exchange, const char *text, GError **error)
{
    for (size_t left = strlen(text); left > 0;) {
        if (!wait_for(exchange, POLLOUT, error))
            return false;
        ssize_t n = send(exchange->fd, text, left, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return refused(errno, error);
        text += MAX(n, 0);
        left -= (size_t)MAX(n, 0);
    }
    return true;
}

static bool receive_some(const Exchange *exchange, GByteArray *data, GError **error)
{
    guint8 buffer[4096];
    if (!wait_for(exchange, POLLIN, error))
        return false;
    ssize_t n = recv(exchange->fd, buffer, sizeof buffer, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0)
        return qwd_error_fail(error, data->len ? QWD_ERROR_INTERNAL : QWD_ERROR_NOT_FOUND, "websockify hung up.");
    g_byte_array_append(data, buffer, (guint)n);
    return true;
}

/* Reads up to the empty line; *length is where it ends. */
static bool receive_head(const Exchange *exchange, GByteArray *data, size_t *length, GError **error)
{
    while ((*length = head_length((const char *)data->data, data->len)) == 0) {
        if (data->len > HEAD_MAX_BYTES)
            return qwd_error_fail(error, QWD_ERROR_INTERNAL, "websockify does not answer in HTTP.");
        if (!receive_some(exchange, data, error))
            return false;
    }
    return true;
}

/* "HTTP/1.1 101 Switching Protocols", then the fields. */
static bool parse_answer(Upstream *upstream, const char *head, size_t length, GError **error)
{
    const char *line_end = memchr(head, '\n', length);
    size_t line_length = (size_t)(line_end + 1 - head);
    g_autofree char *line = g_strndup(head, line_length);
    gint64 status;
    char *digits = g_str_has_prefix(line, "HTTP/1.") && line_length > 12 ? line + 9 : NULL;
    if (digits)
        digits[3] = '\0';
    if (!digits || !units_parse_integer(digits, 100, 599, &status))
        return qwd_error_fail(error, QWD_ERROR_INTERNAL, "websockify does not answer in HTTP.");
    upstream->status = (unsigned)status;
    upstream->fields = head_parse(head + line_length, length - line_length, error);
    return upstream->fields != NULL;
}

static bool exchange_heads(Upstream *upstream, const Exchange *exchange, const char *request, GError **error)
{
    size_t length;
    upstream->early = g_byte_array_new();
    if (!send_all(exchange, request, error) || !receive_head(exchange, upstream->early, &length, error) ||
        !parse_answer(upstream, (const char *)upstream->early->data, length, error))
        return false;
    g_byte_array_remove_range(upstream->early, 0, (guint)length);
    return true;
}

bool upstream_open(Upstream *upstream, const char *path, const char *request, int stop_fd, GError **error)
{
    Exchange exchange = {.fd = -1, .stop_fd = stop_fd, .deadline_us = g_get_monotonic_time() + DEADLINE_US};
    bool good = connect_to(&exchange, path, error) && exchange_heads(upstream, &exchange, request, error);
    upstream->fd = exchange.fd;
    if (!good)
        upstream_clear(upstream);
    return good;
}
