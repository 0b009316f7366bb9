/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/host_addresses.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

#define MESSAGE_MAX_BYTES 65536 /* the kernel's are at most 32 KiB */
#define V4_OFFSET_BITS 96       /* of an IPv4 address in the form ::ffff:a.b.c.d */

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

HostAddresses *host_addresses_new(void)
{
    HostAddresses *host = g_new0(HostAddresses, 1);
    host->networks = g_array_new(FALSE, FALSE, sizeof(Cidr));
    host->fd = -1;
    host->stale = true;
    return host;
}

void host_addresses_free(HostAddresses *host)
{
    if (!host)
        return;
    g_array_unref(host->networks);
    fd_close_pointed(&host->fd);
    g_free(host);
}

/* --- reading them --- */

/* A message of the kernel, of one of the two kinds that are asked for. */
typedef struct {
    struct nlmsghdr header;
    union {
        struct rtmsg route;
        struct ifaddrmsg address;
    } body;
} Request;

typedef enum { PART_MORE, PART_DONE, PART_FAILED } Part;

static void add(HostAddresses *host, int family, const void *bytes, int prefix)
{
    struct in6_addr address;
    if (family == AF_INET)
        address = address_from_v4(bytes);
    else
        memcpy(&address, bytes, sizeof address);
    Cidr cidr = cidr_of(&address, family == AF_INET ? V4_OFFSET_BITS + prefix : prefix);
    g_array_append_val(host->networks, cidr);
}

static const void *find_attribute(const struct rtattr *attribute, size_t length, int type, size_t bytes)
{
    for (; RTA_OK(attribute, length); attribute = RTA_NEXT(attribute, length)) {
        if (attribute->rta_type == type && RTA_PAYLOAD(attribute) >= bytes)
            return RTA_DATA(attribute);
    }
    return NULL;
}

static size_t address_bytes(int family)
{
    return family == AF_INET ? 4 : 16;
}

/* Everything in the table `local` is delivered to the host itself, whatever the type of the route is, and so is a route
 * of the type `local` in any table that a rule (ip-rule(8)) leads to. One for all addresses is that of a transparent
 * proxy, whose rule is for marked packets only: it would take the whole network from guests. */
static bool is_of_host(const struct rtmsg *route)
{
    return route->rtm_table == RT_TABLE_LOCAL || (route->rtm_type == RTN_LOCAL && route->rtm_dst_len > 0);
}

static void add_route(HostAddresses *host, int family, const struct nlmsghdr *header)
{
    static const guint8 any[16];
    const struct rtmsg *route = NLMSG_DATA(header);
    if (header->nlmsg_type != RTM_NEWROUTE || route->rtm_family != family || !is_of_host(route))
        return;
    const void *destination = find_attribute(RTM_RTA(route), RTM_PAYLOAD(header), RTA_DST, address_bytes(family));
    add(host, family, destination ? destination : any, route->rtm_dst_len);
}

/* IFA_ADDRESS is the other end of a point-to-point interface. */
static void add_interface(HostAddresses *host, int family, const struct nlmsghdr *header)
{
    const struct ifaddrmsg *message = NLMSG_DATA(header);
    if (header->nlmsg_type != RTM_NEWADDR || message->ifa_family != family)
        return;
    size_t length = IFA_PAYLOAD(header), bytes = address_bytes(family);
    const void *own = find_attribute(IFA_RTA(message), length, IFA_LOCAL, bytes);
    if (!own)
        own = find_attribute(IFA_RTA(message), length, IFA_ADDRESS, bytes);
    if (own)
        add(host, family, own, (int)bytes * 8);
}

/* A table that does not exist is empty. */
static Part end_of_dump(const struct nlmsghdr *header)
{
    const int *error = NLMSG_DATA(header);
    bool has_code = header->nlmsg_len >= NLMSG_LENGTH(sizeof *error);
    if (header->nlmsg_type == NLMSG_ERROR)
        return has_code && *error == -ENOENT ? PART_DONE : PART_FAILED;
    return has_code && *error < 0 && *error != -ENOENT ? PART_FAILED : PART_DONE;
}

static Part read_messages(HostAddresses *host, int family, const struct nlmsghdr *header, size_t length)
{
    for (; NLMSG_OK(header, length); header = NLMSG_NEXT(header, length)) {
        if (header->nlmsg_flags & NLM_F_DUMP_INTR)
            return PART_FAILED; /* something changed meanwhile, and may be missing */
        if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR)
            return end_of_dump(header);
        add_route(host, family, header);
        add_interface(host, family, header);
    }
    return length == 0 ? PART_MORE : PART_FAILED;
}

static int open_netlink(guint32 groups)
{
    int on = 1;
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
    autofd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return -1;
    /* The kernel sends only what is asked for, not a whole table of routes. An old one does not know this. */
    setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
    return fd_steal(&fd);
}

static ssize_t receive(int fd, void *bytes, size_t room, int flags)
{
    ssize_t n;
    do
        n = recv(fd, bytes, room, flags);
    while (n < 0 && errno == EINTR);
    return n;
}

static bool dump(HostAddresses *host, int family, Request request, size_t body_bytes)
{
    static _Alignas(struct nlmsghdr) char bytes[MESSAGE_MAX_BYTES];
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request.header.nlmsg_len = (guint32)NLMSG_LENGTH(body_bytes);
    autofd int fd = open_netlink(0);
    if (fd < 0 || send(fd, &request, request.header.nlmsg_len, 0) < 0)
        return false;
    Part part = PART_MORE;
    while (part == PART_MORE) {
        ssize_t n = receive(fd, bytes, sizeof bytes, MSG_TRUNC);
        if (n <= 0 || n > (ssize_t)sizeof bytes)
            return false;
        part = read_messages(host, family, (const struct nlmsghdr *)bytes, (size_t)n);
    }
    return part == PART_DONE;
}

static bool dump_routes(HostAddresses *host, int family, int table, int type)
{
    struct rtmsg route = {.rtm_family = (guint8)family, .rtm_table = (guint8)table, .rtm_type = (guint8)type};
    Request request = {.header.nlmsg_type = RTM_GETROUTE, .body.route = route};
    return dump(host, family, request, sizeof route);
}

static bool dump_interfaces(HostAddresses *host, int family)
{
    struct ifaddrmsg address = {.ifa_family = (guint8)family};
    Request request = {.header.nlmsg_type = RTM_GETADDR, .body.address = address};
    return dump(host, family, request, sizeof address);
}

static bool read_family(HostAddresses *host, int family)
{
    return dump_interfaces(host, family) && dump_routes(host, family, RT_TABLE_LOCAL, RTN_UNSPEC) &&
           dump_routes(host, family, RT_TABLE_UNSPEC, RTN_LOCAL);
}

/* --- following them --- */

/* Notifications say only that something has changed; a lost one (ENOBUFS) says the same. */
static bool has_changed(int fd)
{
    char bytes[4096];
    bool changed = false;
    while (receive(fd, bytes, sizeof bytes, MSG_DONTWAIT) >= 0 || errno == ENOBUFS)
        changed = true;
    return changed;
}

/* The subscription comes first: a change while they are read is seen at the next call. */
void host_addresses_update(HostAddresses *host)
{
    if (host->fd < 0)
        host->fd = open_netlink(RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE);
    if (host->fd >= 0 && has_changed(host->fd))
        host->stale = true;
    if (!host->stale)
        return;
    g_array_set_size(host->networks, 0);
    host->v4_read = host->fd >= 0 && read_family(host, AF_INET);
    host->v6_read = host->fd >= 0 && read_family(host, AF_INET6);
    host->stale = !host->v4_read || !host->v6_read;
}

bool host_addresses_may_contain(const HostAddresses *host, const struct in6_addr *address)
{
    if (IN6_IS_ADDR_V4MAPPED(address) ? !host->v4_read : !host->v6_read)
        return true;
    for (guint i = 0; i < host->networks->len; i++) {
        if (cidr_contains(&g_array_index(host->networks, Cidr, i), address))
            return true;
    }
    return false;
}
