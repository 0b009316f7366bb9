/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "server/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

static int bind_and_listen(const struct addrinfo *info)
{
    int yes = 1;
    autofd int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, 128) < 0)
        return -1;
    return fd_steal(&fd);
}

int listener_open(const char *address, int port, GError **error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *all = NULL;
    g_autofree char *service = g_strdup_printf("%d", port);
    int code = getaddrinfo(address, service, &hints, &all);
    if (code != 0) {
        qwd_error_fail(error, QWD_ERROR_USAGE, "Cannot listen on %s: %s.", address, gai_strerror(code));
        return -1;
    }
    int fd = bind_and_listen(all);
    int cause = errno;
    freeaddrinfo(all);
    if (fd < 0)
        qwd_error_fail(error, cause == EADDRINUSE ? QWD_ERROR_CONFLICT : QWD_ERROR_USAGE,
                       "Cannot listen on %s, port %d: %s.", address, port, g_strerror(cause));
    return fd;
}

typedef union {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
} Address;

static Address own_address(int fd)
{
    Address address = {0};
    socklen_t length = sizeof address;
    getsockname(fd, &address.any, &length);
    return address;
}

bool listener_is_ipv6(int fd)
{
    return own_address(fd).any.sa_family == AF_INET6;
}

int listener_port(int fd)
{
    Address address = own_address(fd);
    return ntohs(address.any.sa_family == AF_INET6 ? address.six.sin6_port : address.four.sin_port);
}

char *listener_url(int fd)
{
    Address address = own_address(fd);
    char text[INET6_ADDRSTRLEN] = "";
    if (address.any.sa_family == AF_INET6) {
        bool all = IN6_IS_ADDR_UNSPECIFIED(&address.six.sin6_addr);
        inet_ntop(AF_INET6, all ? &in6addr_loopback : &address.six.sin6_addr, text, sizeof text);
        return g_strdup_printf("http://[%s]:%d", text, listener_port(fd));
    }
    if (address.four.sin_addr.s_addr == htonl(INADDR_ANY))
        address.four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    inet_ntop(AF_INET, &address.four.sin_addr, text, sizeof text);
    return g_strdup_printf("http://%s:%d", text, listener_port(fd));
}
