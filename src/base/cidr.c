/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/cidr.h"

#include <arpa/inet.h>
#include <glib.h>
#include <string.h>

#define ADDRESS_BITS 128
#define MAPPED_BITS 96 /* ::ffff:0:0/96 holds the IPv4 addresses (RFC 4291, section 2.5.5.2) */

typedef struct {
    struct in6_addr address;
    unsigned bits;
} Network;

static bool parse_address(const char *text, Network *network)
{
    static const guint8 mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    network->bits = ADDRESS_BITS;
    if (inet_pton(AF_INET6, text, &network->address) == 1)
        return true;
    memcpy(network->address.s6_addr, mapped, sizeof mapped);
    return inet_pton(AF_INET, text, network->address.s6_addr + sizeof mapped) == 1;
}

static bool parse_network(const char *text, Network *network)
{
    guint64 bits;
    const char *slash = strchr(text, '/');
    g_autofree char *address = slash ? g_strndup(text, (gsize)(slash - text)) : g_strdup(text);
    if (!parse_address(address, network))
        return false;
    guint64 skipped = strchr(address, ':') ? 0 : MAPPED_BITS;
    if (!slash)
        return true;
    if (!g_ascii_string_to_unsigned(slash + 1, 10, 0, ADDRESS_BITS - skipped, &bits, NULL))
        return false;
    network->bits = (unsigned)(skipped + bits);
    return true;
}

bool cidr_is_valid(const char *network)
{
    Network parsed;
    return parse_network(network, &parsed);
}

bool cidr_contains(const char *network, const char *address)
{
    Network wanted, given;
    if (!parse_network(network, &wanted) || !parse_address(address, &given))
        return false;
    unsigned bytes = wanted.bits / 8, rest = wanted.bits % 8;
    const guint8 *a = wanted.address.s6_addr, *b = given.address.s6_addr;
    return memcmp(a, b, bytes) == 0 && (rest == 0 || (a[bytes] ^ b[bytes]) >> (8 - rest) == 0);
}
