/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/dhcp.h"

#include <string.h>

/* Where things stand in a frame: IEEE 802.3, RFC 791 without options, RFC 768, RFC 2131. */
#define TYPE 12
#define IP 14
#define PROTOCOL (IP + 9)
#define UDP (IP + 20)
#define UDP_CHECKSUM (UDP + 6)
#define BOOTP (UDP + 8)
#define COOKIE (BOOTP + 236)
#define OPTIONS (COOKIE + 4)
#define PORT_SERVER 67
#define PORT_CLIENT 68

enum { OPTION_PAD = 0, OPTION_NAME_SERVERS = 6, OPTION_END = 255 };

static const guint8 cookie[] = {99, 130, 83, 99};

static bool is_dhcp_reply(const guint8 *frame, size_t length)
{
    static const guint8 ports[] = {0, PORT_SERVER, 0, PORT_CLIENT};
    return length > OPTIONS && frame[TYPE] == 0x08 && frame[TYPE + 1] == 0 && frame[IP] == 0x45 &&
           frame[PROTOCOL] == IPPROTO_UDP && memcmp(frame + UDP, ports, sizeof ports) == 0 &&
           memcmp(frame + COOKIE, cookie, sizeof cookie) == 0;
}

/* Where the option begins, or the end of all options; 0 when they are broken. */
static size_t find_name_servers(const guint8 *frame, size_t length)
{
    size_t at = OPTIONS;
    while (at < length && frame[at] != OPTION_END && frame[at] != OPTION_NAME_SERVERS) {
        if (frame[at] == OPTION_PAD)
            at++;
        else if (at + 1 < length)
            at += 2 + (size_t)frame[at + 1];
        else
            return 0;
    }
    return at < length ? at : 0;
}

/* The end of the options moves back into the padding that follows it. */
static bool append(guint8 *frame, size_t length, size_t end, const struct in_addr *address)
{
    static const guint8 padding[6];
    if (end + 1 + sizeof padding > length || memcmp(frame + end + 1, padding, sizeof padding) != 0)
        return false;
    frame[end] = OPTION_NAME_SERVERS;
    frame[end + 1] = sizeof *address;
    memcpy(frame + end + 2, address, sizeof *address);
    frame[end + 6] = OPTION_END;
    return true;
}

static bool replace(guint8 *frame, size_t length, size_t option, const struct in_addr *address)
{
    size_t size = option + 1 < length ? frame[option + 1] : 0;
    if (size % sizeof *address || option + 2 + size > length)
        return false;
    for (size_t at = 0; at < size; at += sizeof *address)
        memcpy(frame + option + 2 + at, address, sizeof *address);
    return size > 0;
}

bool dhcp_set_name_server(guint8 *frame, size_t length, const struct in_addr *address)
{
    size_t at = is_dhcp_reply(frame, length) ? find_name_servers(frame, length) : 0;
    if (!at || !(frame[at] == OPTION_END ? append(frame, length, at, address) : replace(frame, length, at, address)))
        return false;
    memset(frame + UDP_CHECKSUM, 0, 2); /* none: RFC 768 */
    return true;
}
