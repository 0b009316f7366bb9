/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/frame.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

/* Where things stand in a frame (IEEE 802.3, RFC 791, RFC 8200). */
#define TYPE_OFFSET 12
#define HEAD_BYTES 14
#define V4_DESTINATION_OFFSET (HEAD_BYTES + 16)
#define V6_NEXT_HEADER_OFFSET (HEAD_BYTES + 6)
#define V6_DESTINATION_OFFSET (HEAD_BYTES + 24)
#define TYPE_IPV4 0x0800
#define TYPE_ARP 0x0806
#define TYPE_IPV6 0x86dd

#define LENGTH_BYTES 4

struct FrameFilter {
    GArray *own; /* of struct in6_addr; IPv4 ones in the form ::ffff:a.b.c.d */
};

FrameFilter *frame_filter_new(void)
{
    FrameFilter *filter = g_new(FrameFilter, 1);
    filter->own = g_array_new(FALSE, FALSE, sizeof(struct in6_addr));
    return filter;
}

void frame_filter_free(FrameFilter *filter)
{
    if (!filter)
        return;
    g_array_unref(filter->own);
    g_free(filter);
}

/* --- this host's addresses --- */

static struct in6_addr from_v4(const void *bytes)
{
    struct in6_addr address = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(address.s6_addr + 12, bytes, 4);
    return address;
}

static void add_interface(FrameFilter *filter, const struct sockaddr *address)
{
    struct in6_addr own;
    if (address && address->sa_family == AF_INET)
        own = from_v4(&((const struct sockaddr_in *)address)->sin_addr);
    else if (address && address->sa_family == AF_INET6)
        own = ((const struct sockaddr_in6 *)address)->sin6_addr;
    else
        return;
    g_array_append_val(filter->own, own);
}

void frame_filter_read_host(FrameFilter *filter)
{
    struct ifaddrs *interfaces;
    if (getifaddrs(&interfaces) < 0)
        return;
    g_array_set_size(filter->own, 0);
    for (const struct ifaddrs *interface = interfaces; interface; interface = interface->ifa_next)
        add_interface(filter, interface->ifa_addr);
    freeifaddrs(interfaces);
}

void frame_filter_add(FrameFilter *filter, const char *address)
{
    struct in_addr v4;
    struct in6_addr own;
    if (inet_pton(AF_INET, address, &v4) == 1)
        own = from_v4(&v4);
    else if (inet_pton(AF_INET6, address, &own) != 1)
        return;
    g_array_append_val(filter->own, own);
}

static bool is_own(const FrameFilter *filter, const struct in6_addr *address)
{
    for (guint i = 0; i < filter->own->len; i++) {
        if (memcmp(&g_array_index(filter->own, struct in6_addr, i), address, sizeof *address) == 0)
            return true;
    }
    return false;
}

/* --- frames --- */

/* 127.x.y.z is the loopback, and so is 0.x.y.z for connect(2). */
static bool v4_may_pass(const FrameFilter *filter, const guint8 *destination)
{
    struct in6_addr address = from_v4(destination);
    return destination[0] != 127 && destination[0] != 0 && !is_own(filter, &address);
}

/* A router has to be talked to about the network itself under the host's link-local address. */
static bool v6_may_pass(const FrameFilter *filter, const guint8 *destination, guint8 next_header)
{
    struct in6_addr address;
    memcpy(&address, destination, sizeof address);
    if (IN6_IS_ADDR_LOOPBACK(&address) || IN6_IS_ADDR_UNSPECIFIED(&address) || IN6_IS_ADDR_V4MAPPED(&address) ||
        IN6_IS_ADDR_V4COMPAT(&address))
        return false;
    return !is_own(filter, &address) || (IN6_IS_ADDR_LINKLOCAL(&address) && next_header == IPPROTO_ICMPV6);
}

bool frame_may_pass(const FrameFilter *filter, const guint8 *frame, size_t length)
{
    if (length < HEAD_BYTES)
        return false;
    int type = frame[TYPE_OFFSET] << 8 | frame[TYPE_OFFSET + 1];
    if (type == TYPE_IPV4)
        return length >= V4_DESTINATION_OFFSET + 4 && v4_may_pass(filter, frame + V4_DESTINATION_OFFSET);
    if (type == TYPE_IPV6)
        return length >= V6_DESTINATION_OFFSET + 16 &&
               v6_may_pass(filter, frame + V6_DESTINATION_OFFSET, frame[V6_NEXT_HEADER_OFFSET]);
    return type == TYPE_ARP;
}

static size_t frame_length(const guint8 *bytes)
{
    return (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
}

ssize_t frame_filter_stream(const FrameFilter *filter, guint8 *bytes, size_t length, size_t *passing)
{
    size_t seen = 0;
    *passing = 0;
    while (length - seen >= LENGTH_BYTES) {
        size_t frame = frame_length(bytes + seen), whole = LENGTH_BYTES + frame;
        if (frame > FRAME_MAX_BYTES)
            return -1;
        if (length - seen < whole)
            break;
        if (frame_may_pass(filter, bytes + seen + LENGTH_BYTES, frame)) {
            memmove(bytes + *passing, bytes + seen, whole);
            *passing += whole;
        }
        seen += whole;
    }
    return (ssize_t)seen;
}
