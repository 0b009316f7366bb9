/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/packet_filter.h"

#include <string.h>

/* IEEE 802.3 */
#define ETHERNET_BYTES 14
#define ETHERNET_TYPE 12
#define TYPE_IPV4 0x0800
#define TYPE_ARP 0x0806
#define TYPE_IPV6 0x86dd

/* RFC 826: hardware Ethernet, protocol IPv4, addresses of 6 and 4 bytes, a request */
static const guint8 arp_request[] = {0, 1, 0x08, 0, 6, 4, 0, 1};
#define ARP_BYTES 28

/* RFC 791 */
#define V4_BYTES 20
#define V4_VERSION_AND_LENGTH 0x45 /* without options */
#define V4_TOTAL_LENGTH 2
#define V4_FRAGMENT 6
#define V4_FRAGMENT_MASK 0x3fff /* more fragments, offset */
#define V4_PROTOCOL 9
#define V4_DESTINATION 16

/* RFC 8200 */
#define V6_BYTES 40
#define V6_PAYLOAD_LENGTH 4
#define V6_NEXT_HEADER 6
#define V6_DESTINATION 24
#define HOP_BY_HOP_BYTES 8

/* RFC 9293, RFC 768, RFC 4443 */
#define TCP_BYTES 20
#define UDP_BYTES 8
#define ICMP_BYTES 8
#define DESTINATION_PORT 2
#define PORT_DNS 53
#define PORT_DHCP_SERVER 67
#define PORT_DHCPV6_SERVER 547

typedef struct {
    Cidr network;
    bool allowed;
} Rule;

struct PacketFilter {
    const HostAddresses *host;
    GArray *rules;        /* of Rule */
    GArray *name_servers; /* of struct in6_addr */
};

/* What decides about a packet. */
typedef struct {
    struct in6_addr destination;
    int protocol;
    const guint8 *payload;
    size_t length; /* of the payload */
} Packet;

PacketFilter *packet_filter_new(const HostAddresses *host)
{
    PacketFilter *filter = g_new0(PacketFilter, 1);
    filter->host = host;
    filter->rules = g_array_new(FALSE, FALSE, sizeof(Rule));
    filter->name_servers = g_array_new(FALSE, FALSE, sizeof(struct in6_addr));
    return filter;
}

void packet_filter_free(PacketFilter *filter)
{
    if (!filter)
        return;
    g_array_unref(filter->rules);
    g_array_unref(filter->name_servers);
    g_free(filter);
}

void packet_filter_add_rule(PacketFilter *filter, const Cidr *network, bool allowed)
{
    Rule rule = {*network, allowed};
    g_array_append_val(filter->rules, rule);
}

void packet_filter_add_name_server(PacketFilter *filter, const struct in6_addr *address)
{
    g_array_append_vals(filter->name_servers, address, 1);
}

/* --- addresses --- */

static int read_16(const guint8 *bytes)
{
    return bytes[0] << 8 | bytes[1];
}

/* Where addresses of IPv6 hold one of IPv4, to which a translator or tunnel on the way sends the packet. */
static const struct {
    int at, length; /* of the mark */
    guint8 mark[12];
    guint8 places[4]; /* of the IPv4 address */
    guint8 flip;
} embeddings[] = {
    {0, 12, {0, 0x64, 0xff, 0x9b}, {12, 13, 14, 15}, 0}, /* NAT64: RFC 6052 */
    /* NAT64 of a site: RFC 8215. Only its translator knows which of the forms of RFC 6052 counts. */
    {0, 6, {0, 0x64, 0xff, 0x9b, 0, 1}, {6, 7, 9, 10}, 0},
    {0, 6, {0, 0x64, 0xff, 0x9b, 0, 1}, {7, 9, 10, 11}, 0},
    {0, 6, {0, 0x64, 0xff, 0x9b, 0, 1}, {9, 10, 11, 12}, 0},
    {0, 6, {0, 0x64, 0xff, 0x9b, 0, 1}, {12, 13, 14, 15}, 0},
    {0, 2, {0x20, 0x02}, {2, 3, 4, 5}, 0},           /* 6to4: RFC 3056 */
    {0, 4, {0x20, 0x01}, {4, 5, 6, 7}, 0},           /* Teredo, the server: RFC 4380 */
    {0, 4, {0x20, 0x01}, {12, 13, 14, 15}, 0xff},    /* Teredo, the client */
    {8, 4, {0, 0, 0x5e, 0xfe}, {12, 13, 14, 15}, 0}, /* ISATAP: RFC 5214 */
    {8, 4, {0x02, 0, 0x5e, 0xfe}, {12, 13, 14, 15}, 0},
};

/* The IPv4 address in the form of this number; false when the address does not have that form. */
static bool get_embedded(const struct in6_addr *address, size_t form, struct in6_addr *embedded)
{
    const guint8 *bytes = address->s6_addr;
    guint8 v4[4];
    if (memcmp(bytes + embeddings[form].at, embeddings[form].mark, (size_t)embeddings[form].length) != 0)
        return false;
    for (size_t i = 0; i < sizeof v4; i++)
        v4[i] = bytes[embeddings[form].places[i]] ^ embeddings[form].flip;
    *embedded = address_from_v4(v4);
    return true;
}

/* One host: neither "this one" (0.x.y.z, 127.x.y.z, ::1) nor many nor reserved. The only hosts in ::/8 are those of
 * NAT64. */
static bool is_unicast(const struct in6_addr *address)
{
    const guint8 *bytes = address->s6_addr;
    if (IN6_IS_ADDR_V4MAPPED(address))
        return bytes[12] != 0 && bytes[12] != 127 && bytes[12] < 224;
    struct in6_addr embedded;
    bool is_nat64 = get_embedded(address, 0, &embedded) || get_embedded(address, 1, &embedded);
    return bytes[0] != 0xff && (bytes[0] != 0 || is_nat64);
}

static bool rules_allow(const PacketFilter *filter, const struct in6_addr *address)
{
    const Rule *best = NULL;
    for (guint i = 0; i < filter->rules->len; i++) {
        const Rule *rule = &g_array_index(filter->rules, Rule, i);
        if (cidr_contains(&rule->network, address) && (!best || rule->network.prefix >= best->network.prefix))
            best = rule;
    }
    return !best || best->allowed;
}

static bool may_reach(const PacketFilter *filter, const struct in6_addr *address, bool by_rules);

/* An address that holds addresses of IPv4 leads to one of them: all must be allowed. 0.x.y.z is no host's, so that form
 * is not meant; when nothing else is left, the address leads nowhere. */
static bool may_reach_embedded(const PacketFilter *filter, const struct in6_addr *address, bool by_rules)
{
    bool has_form = false, has_host = false;
    for (size_t i = 0; i < G_N_ELEMENTS(embeddings); i++) {
        struct in6_addr embedded;
        if (!get_embedded(address, i, &embedded))
            continue;
        has_form = true;
        if (embedded.s6_addr[12] == 0)
            continue;
        has_host = true;
        if (!may_reach(filter, &embedded, by_rules))
            return false;
    }
    return has_host || !has_form;
}

static bool may_reach(const PacketFilter *filter, const struct in6_addr *address, bool by_rules)
{
    return is_unicast(address) && !host_addresses_may_contain(filter->host, address) &&
           (!by_rules || rules_allow(filter, address)) && may_reach_embedded(filter, address, by_rules);
}

/* --- packets --- */

static bool has_port(const Packet *packet, int port)
{
    return (packet->protocol == IPPROTO_UDP || packet->protocol == IPPROTO_TCP) &&
           read_16(packet->payload + DESTINATION_PORT) == port;
}

static bool is_for_name_server(const PacketFilter *filter, const Packet *packet)
{
    for (guint i = 0; i < filter->name_servers->len && has_port(packet, PORT_DNS); i++) {
        const struct in6_addr *server = &g_array_index(filter->name_servers, struct in6_addr, i);
        if (IN6_ARE_ADDR_EQUAL(server, &packet->destination))
            return may_reach(filter, server, false);
    }
    return false;
}

static bool is_whole(const Packet *packet)
{
    size_t needed = packet->protocol == IPPROTO_TCP   ? TCP_BYTES
                    : packet->protocol == IPPROTO_UDP ? UDP_BYTES
                                                      : ICMP_BYTES;
    return packet->length >= needed;
}

static bool packet_passes(const PacketFilter *filter, const Packet *packet)
{
    return is_for_name_server(filter, packet) || may_reach(filter, &packet->destination, true);
}

static bool v4_passes(const PacketFilter *filter, const guint8 *header, size_t length)
{
    if (length < V4_BYTES || header[0] != V4_VERSION_AND_LENGTH || read_16(header + V4_FRAGMENT) & V4_FRAGMENT_MASK)
        return false;
    size_t total = (size_t)read_16(header + V4_TOTAL_LENGTH);
    if (total < V4_BYTES || total > length)
        return false;
    Packet packet = {.destination = address_from_v4(header + V4_DESTINATION),
                     .protocol = header[V4_PROTOCOL],
                     .payload = header + V4_BYTES,
                     .length = total - V4_BYTES};
    if ((packet.protocol != IPPROTO_TCP && packet.protocol != IPPROTO_UDP && packet.protocol != IPPROTO_ICMP) ||
        !is_whole(&packet))
        return false;
    static const guint8 broadcast[4] = {255, 255, 255, 255};
    if (memcmp(header + V4_DESTINATION, broadcast, sizeof broadcast) == 0)
        return packet.protocol == IPPROTO_UDP && has_port(&packet, PORT_DHCP_SERVER);
    return packet_passes(filter, &packet);
}

/* RFC 4861: passt answers these itself, wherever in the link they are for. */
static bool is_ndp(const Packet *packet)
{
    bool is_link = IN6_IS_ADDR_LINKLOCAL(&packet->destination) || IN6_IS_ADDR_MC_LINKLOCAL(&packet->destination);
    return is_link && packet->protocol == IPPROTO_ICMPV6 && packet->payload[0] >= 133 && packet->payload[0] <= 136;
}

/* RFC 3810, RFC 2710: a report has the router alert in front of it. passt takes it and does nothing. */
static bool is_mld(const Packet *packet)
{
    static const guint8 router_alert[HOP_BY_HOP_BYTES] = {IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0};
    if (!IN6_IS_ADDR_MC_LINKLOCAL(&packet->destination) || packet->length < HOP_BY_HOP_BYTES + ICMP_BYTES ||
        memcmp(packet->payload, router_alert, HOP_BY_HOP_BYTES) != 0)
        return false;
    int type = packet->payload[HOP_BY_HOP_BYTES];
    return type == 131 || type == 132 || type == 143;
}

/* RFC 8415 */
static bool is_dhcpv6(const Packet *packet)
{
    static const struct in6_addr servers = {.s6_addr = {0xff, 0x02, [13] = 0x01, [15] = 0x02}};
    return packet->protocol == IPPROTO_UDP && has_port(packet, PORT_DHCPV6_SERVER) &&
           IN6_ARE_ADDR_EQUAL(&packet->destination, &servers);
}

static bool v6_passes(const PacketFilter *filter, const guint8 *header, size_t length)
{
    if (length < V6_BYTES || header[0] >> 4 != 6)
        return false;
    size_t payload = (size_t)read_16(header + V6_PAYLOAD_LENGTH);
    if (payload > length - V6_BYTES)
        return false;
    Packet packet = {.protocol = header[V6_NEXT_HEADER], .payload = header + V6_BYTES, .length = payload};
    memcpy(&packet.destination, header + V6_DESTINATION, sizeof packet.destination);
    if (packet.protocol == IPPROTO_HOPOPTS)
        return is_mld(&packet);
    if ((packet.protocol != IPPROTO_TCP && packet.protocol != IPPROTO_UDP && packet.protocol != IPPROTO_ICMPV6) ||
        !is_whole(&packet) || IN6_IS_ADDR_V4MAPPED(&packet.destination))
        return false;
    return is_ndp(&packet) || is_dhcpv6(&packet) || packet_passes(filter, &packet);
}

bool packet_filter_passes(const PacketFilter *filter, const guint8 *frame, size_t length)
{
    if (length < ETHERNET_BYTES)
        return false;
    int type = read_16(frame + ETHERNET_TYPE);
    const guint8 *body = frame + ETHERNET_BYTES;
    length -= ETHERNET_BYTES;
    if (type == TYPE_ARP)
        return length >= ARP_BYTES && memcmp(body, arp_request, sizeof arp_request) == 0;
    if (type == TYPE_IPV4)
        return v4_passes(filter, body, length);
    return type == TYPE_IPV6 && v6_passes(filter, body, length);
}

/* --- the stream --- */

size_t frame_length(const guint8 *bytes)
{
    return (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
}

ssize_t packet_filter_stream(const PacketFilter *filter, guint8 *bytes, size_t length, size_t *passing)
{
    size_t seen = 0;
    *passing = 0;
    while (length - seen >= FRAME_LENGTH_BYTES) {
        size_t frame = frame_length(bytes + seen), whole = FRAME_LENGTH_BYTES + frame;
        if (frame > FRAME_MAX_BYTES)
            return -1;
        if (length - seen < whole)
            break;
        const guint8 *content = bytes + seen + FRAME_LENGTH_BYTES;
        if (packet_filter_passes(filter, content, frame)) {
            memmove(bytes + *passing, bytes + seen, whole);
            *passing += whole;
        }
        seen += whole;
    }
    return (ssize_t)seen;
}
