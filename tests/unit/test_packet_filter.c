/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/packet_filter.h"

#include <arpa/inet.h>
#include <string.h>

#define ETHERNET_BYTES 14
#define V4_BYTES 20
#define V6_BYTES 40
#define FRAME_BYTES 100
#define TCP IPPROTO_TCP
#define UDP IPPROTO_UDP
#define ICMP IPPROTO_ICMP
#define ICMPV6 IPPROTO_ICMPV6

typedef struct {
    guint8 bytes[FRAME_BYTES];
    size_t length;
} Frame;

static void put_16(guint8 *bytes, int value)
{
    bytes[0] = (guint8)(value >> 8);
    bytes[1] = (guint8)value;
}

static Frame frame_of_type(int type, size_t length)
{
    Frame frame = {.length = length};
    put_16(frame.bytes + 12, type);
    return frame;
}

/* A whole packet. `what` is the port that it is for, or the type of ICMP. */
static Frame frame_to(const char *address, int protocol, int what)
{
    bool is_v6 = strchr(address, ':') != NULL;
    size_t header = is_v6 ? V6_BYTES : V4_BYTES, payload = protocol == TCP ? 20 : 8;
    Frame frame = frame_of_type(is_v6 ? 0x86dd : 0x0800, ETHERNET_BYTES + header + payload);
    guint8 *ip = frame.bytes + ETHERNET_BYTES;
    ip[0] = is_v6 ? 0x60 : 0x45;
    put_16(ip + (is_v6 ? 4 : 2), (int)(is_v6 ? payload : header + payload));
    ip[is_v6 ? 6 : 9] = (guint8)protocol;
    g_assert_cmpint(inet_pton(is_v6 ? AF_INET6 : AF_INET, address, ip + (is_v6 ? 24 : 16)), ==, 1);
    if (protocol == TCP || protocol == UDP)
        put_16(ip + header + 2, what);
    else
        ip[header] = (guint8)what;
    return frame;
}

static bool passes(const PacketFilter *filter, const Frame *frame)
{
    return packet_filter_passes(filter, frame->bytes, frame->length);
}

static Cidr network(const char *text)
{
    Cidr cidr;
    g_assert_true(cidr_parse(text, &cidr));
    return cidr;
}

/* A host whose addresses are known. */
static HostAddresses *example_host(void)
{
    static const char *const own[] = {"192.0.2.2", "172.17.0.1", "10.9.0.0/16", "2001:db8::2", "fe80::2"};
    HostAddresses *host = host_addresses_new();
    for (size_t i = 0; i < G_N_ELEMENTS(own); i++) {
        Cidr cidr = network(own[i]);
        g_array_append_val(host->networks, cidr);
    }
    host->v4_read = host->v6_read = true;
    return host;
}

typedef struct {
    const char *address;
    int protocol, what;
    bool passes;
} Case;

static void check_cases(const PacketFilter *filter, const Case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        Frame frame = frame_to(cases[i].address, cases[i].protocol, cases[i].what);
        g_test_message("%s, protocol %d, %d", cases[i].address, cases[i].protocol, cases[i].what);
        g_assert_true(passes(filter, &frame) == cases[i].passes);
        for (size_t length = 0; length < frame.length; length++) { /* cut off anywhere */
            g_autofree guint8 *copy = g_memdup2(frame.bytes, MAX(length, 1));
            g_assert_false(packet_filter_passes(filter, copy, length));
        }
    }
}

static void test_addresses(void)
{
    static const Case cases[] = {
        {"203.0.113.9", TCP, 80, true},
        {"203.0.113.9", UDP, 53, true},
        {"203.0.113.9", ICMP, 8, true},
        {"203.0.113.9", 2, 0, false},
        {"203.0.113.9", ICMPV6, 128, false},
        {"192.0.2.1", TCP, 80, true},
        {"192.0.2.3", TCP, 80, true},
        {"126.255.255.255", TCP, 80, true},
        {"128.0.0.1", TCP, 80, true},
        {"127.0.0.1", TCP, 80, false},
        {"127.255.255.255", TCP, 80, false},
        {"127.0.0.1", UDP, 53, false},
        {"0.0.0.0", TCP, 80, false},
        {"0.1.2.3", TCP, 80, false},
        {"240.0.0.1", TCP, 80, false},
        {"192.0.2.2", TCP, 80, false},
        {"172.17.0.1", TCP, 80, false},
        {"10.9.0.0", TCP, 80, false}, /* a whole network of this host */
        {"10.9.255.255", UDP, 80, false},
        {"10.10.0.1", UDP, 80, true},
        {"2001:db8::1", TCP, 80, true},
        {"2001:db8::1", ICMPV6, 128, true},
        {"2001:db8::1", 43, 0, false}, /* a routing header */
        {"2001:db8::1", 44, 0, false}, /* a fragment */
        {"fe80::1", TCP, 80, true},
        {"fe80::2", TCP, 80, false},
        {"fe80::2", ICMPV6, 128, false},
        {"fe80::2", 0, 0, false}, /* something in front of the real protocol */
        {"2001:db8::2", TCP, 80, false},
        {"2001:db8::2", ICMPV6, 135, false},
        {"::1", TCP, 80, false},
        {"::1", ICMPV6, 135, false},
        {"::", TCP, 80, false},
        {"::ffff:127.0.0.1", TCP, 80, false},
        {"::ffff:203.0.113.9", TCP, 80, false},
        {"::127.0.0.1", TCP, 80, false},
        {"64:ff9b::203.0.113.9", TCP, 80, true}, /* NAT64 */
        {"64:ff9b::192.0.2.2", TCP, 80, false},
        {"64:ff9b::127.0.0.1", TCP, 80, false},
        {"64:ff9b::0.0.0.0", TCP, 80, false},
        {"64:ff9b:1::203.0.113.9", TCP, 80, true}, /* NAT64 of a site */
        {"64:ff9b:1::192.0.2.2", TCP, 80, false},
        {"64:ff9b:1::127.0.0.1", TCP, 80, false},
        {"64:ff9b:1::224.0.0.1", UDP, 80, false},
        {"64:ff9b:1::", TCP, 80, false},
        {"64:ff9b:1:abcd::203.0.113.9", TCP, 80, true},
        {"64:ff9b:1:abcd:cb:71:900:0", TCP, 80, true},   /* 203.0.113.9 behind 64 bits */
        {"64:ff9b:1:abcd:c0:2:200:0", TCP, 80, false},   /* 192.0.2.2 behind 64 bits */
        {"64:ff9b:1:abc0:0:202::", TCP, 80, false},      /* behind 56 */
        {"64:ff9b:1:c000:2:200::", TCP, 80, false},      /* behind 48 */
        {"64:ff9b:1:7f00:0:100::", TCP, 80, false},      /* 127.0.0.1 behind 48 */
        {"64:ff9b:1:c000:2:200::99", TCP, 80, false},    /* what is behind it does not count */
        {"64:ff9b:2::203.0.113.9", TCP, 80, false},      /* reserved */
        {"2002:cb00:7109::1", TCP, 80, true},            /* 6to4 of 203.0.113.9 */
        {"2002:c000:202::1", TCP, 80, false},            /* of 192.0.2.2 */
        {"2002:7f00:1::1", TCP, 80, false},              /* of 127.0.0.1 */
        {"2001:0:cb00:7109::34ff:8ef6", TCP, 80, true},  /* Teredo: server and client 203.0.113.9 */
        {"2001:0:c000:202::34ff:8ef6", TCP, 80, false},  /* the server is this host */
        {"2001:0:cb00:7109::3fff:fdfd", TCP, 80, false}, /* the client */
        {"2001:db8:1::5efe:203.0.113.9", TCP, 80, true}, /* ISATAP */
        {"2001:db8:1::5efe:192.0.2.2", TCP, 80, false},
        {"2001:db8:1::200:5efe:192.0.2.2", TCP, 80, false},
        {"fe80::5efe:127.0.0.1", TCP, 80, false},
    };
    g_autoptr(HostAddresses) host = example_host();
    g_autoptr(PacketFilter) filter = packet_filter_new(host);
    check_cases(filter, cases, G_N_ELEMENTS(cases));
}

/* What passt answers itself, and nothing else. These pass even when the host's addresses are not known. */
static const Case answered[] = {
    {"255.255.255.255", UDP, 67, true},  {"255.255.255.255", UDP, 9, false},
    {"255.255.255.255", TCP, 67, false}, {"224.0.0.1", UDP, 67, false},
    {"224.0.0.251", UDP, 5353, false},   {"239.255.255.250", UDP, 1900, false},
    {"224.0.0.1", ICMP, 8, false},       {"ff02::1:2", UDP, 547, true},
    {"ff02::1:2", TCP, 547, false},      {"ff02::1:2", UDP, 80, false},
    {"ff02::1", UDP, 547, false},        {"ff05::1:3", UDP, 547, false},
    {"ff02::fb", UDP, 5353, false},      {"ff02::1", ICMPV6, 128, false},
    {"ff02::2", ICMPV6, 133, true},      {"ff02::1:ff00:1", ICMPV6, 135, true},
    {"ff02::1", ICMPV6, 136, true},      {"ff02::1", ICMPV6, 137, false},  /* a redirect */
    {"fe80::2", ICMPV6, 135, true},                                        /* who is there? */
    {"ff05::2", ICMPV6, 133, false},     {"ff02::16", ICMPV6, 143, false}, /* without its router alert */
    {"203.0.113.9", 255, 0, false},
};

static void test_answered(void)
{
    g_autoptr(HostAddresses) host = example_host(), unread = host_addresses_new();
    g_autoptr(PacketFilter) filter = packet_filter_new(host), closed = packet_filter_new(unread);
    check_cases(filter, answered, G_N_ELEMENTS(answered));
    check_cases(closed, answered, G_N_ELEMENTS(answered));
    Frame v4 = frame_to("203.0.113.9", TCP, 80), v6 = frame_to("2001:db8::1", TCP, 80);
    g_assert_false(passes(closed, &v4) || passes(closed, &v6));
    unread->v4_read = true; /* each family for itself */
    g_assert_true(passes(closed, &v4));
    g_assert_false(passes(closed, &v6));
}

static void test_mld(void)
{
    static const guint8 alert[] = {ICMPV6, 0, 5, 2, 0, 0, 1, 0, 143};
    g_autoptr(HostAddresses) host = example_host();
    g_autoptr(PacketFilter) filter = packet_filter_new(host);
    Frame report = frame_to("ff02::16", TCP, 0);
    guint8 *payload = report.bytes + ETHERNET_BYTES + V6_BYTES;
    report.bytes[ETHERNET_BYTES + 6] = 0;
    memcpy(payload, alert, sizeof alert);
    g_assert_true(passes(filter, &report));
    payload[8] = 128; /* an echo behind the same header */
    g_assert_false(passes(filter, &report));
    payload[8] = 143;
    payload[0] = UDP;
    g_assert_false(passes(filter, &report));
}

static void test_shapes(void)
{
    static const struct {
        size_t at;
        guint8 value;
    } bad[] = {{0, 0x44}, {0, 0x46}, {0, 0x65}, {2, 1}, {3, 19}, {3, 27}, {3, 29}, {6, 0x20}, {6, 0x10}, {7, 1}};
    g_autoptr(HostAddresses) host = example_host();
    g_autoptr(PacketFilter) filter = packet_filter_new(host);
    Frame good = frame_to("203.0.113.9", UDP, 80);
    good.bytes[ETHERNET_BYTES + 6] = 0x40; /* must not be fragmented */
    g_assert_true(passes(filter, &good));
    good.length = 60; /* Ethernet fills up what is shorter */
    g_assert_true(passes(filter, &good));
    good.length = ETHERNET_BYTES + V4_BYTES + 8;
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        Frame frame = good;
        frame.bytes[ETHERNET_BYTES + bad[i].at] = bad[i].value;
        g_test_message("%zu = %x", bad[i].at, bad[i].value);
        g_assert_false(passes(filter, &frame));
    }
}

static void test_types(void)
{
    static const int other[] = {0x8100, 0x88a8, 0x0000, 0x05dc, 0xffff, 0x0800, 0x86dd};
    static const guint8 request[] = {0, 1, 0x08, 0, 6, 4, 0, 1};
    g_autoptr(HostAddresses) host = example_host();
    g_autoptr(PacketFilter) filter = packet_filter_new(host);
    for (size_t i = 0; i < G_N_ELEMENTS(other); i++) {
        Frame frame = frame_of_type(other[i], FRAME_BYTES);
        g_assert_false(passes(filter, &frame));
    }
    Frame arp = frame_of_type(0x0806, ETHERNET_BYTES + 28);
    g_assert_false(passes(filter, &arp));
    memcpy(arp.bytes + ETHERNET_BYTES, request, sizeof request);
    g_assert_true(passes(filter, &arp));
    arp.length--;
    g_assert_false(passes(filter, &arp));
    arp.length++;
    arp.bytes[ETHERNET_BYTES + 7] = 2; /* an answer: passt has not asked */
    g_assert_false(passes(filter, &arp));
}

/* --- rules --- */

static void add_rules(PacketFilter *filter, const char *text, bool allowed)
{
    g_autoptr(GArray) list = cidr_list_parse(text, NULL);
    for (guint i = 0; i < list->len; i++)
        packet_filter_add_rule(filter, &g_array_index(list, Cidr, i), allowed);
}

static void test_rules(void)
{
    static const Case cases[] = {
        {"203.0.113.9", TCP, 80, true},
        {"169.254.1.1", TCP, 80, false},
        {"169.254.169.254", TCP, 80, false},
        {"64:ff9b::169.254.169.254", TCP, 80, false},
        {"100.100.100.200", TCP, 80, true}, /* the same network in both lists: the later one */
        {"fd00:ec2::254", TCP, 80, false},
        {"fe80::5", TCP, 80, false},
        {"10.1.2.3", TCP, 80, false},
        {"10.1.7.3", TCP, 80, true}, /* more specific */
        {"10.1.7.9", TCP, 80, false},
        {"10.9.1.1", TCP, 80, false}, /* allowed, but this host's */
        {"fd12::1", TCP, 80, false},
        {"10.2.0.53", UDP, 53, true}, /* a name server */
        {"10.2.0.53", TCP, 53, true},
        {"10.2.0.53", TCP, 80, false},
        {"10.2.0.53", ICMP, 8, false},
        {"10.9.0.53", UDP, 53, false}, /* another, of this host */
        {"64:ff9b:1::a9fe:a9fe", TCP, 80, false},
        {"64:ff9b:1::10.1.7.3", TCP, 80, true},
        {"64:ff9b:1::10.2.0.53", UDP, 53, false}, /* not the server's own address */
        {"64:ff9b:1::10.9.0.1", UDP, 53, false},  /* a name server that leads to this host */
        {"2002:a9fe:a9fe::1", TCP, 80, false},
    };
    g_autoptr(HostAddresses) host = example_host();
    g_autoptr(PacketFilter) filter = packet_filter_new(host);
    struct in6_addr server;
    add_rules(filter, "link-local, metadata private", false);
    add_rules(filter, "10.1.7.0/24 10.9.0.0/16 100.100.100.200", true);
    add_rules(filter, "10.1.7.9", false);
    static const char *const servers[] = {"10.2.0.53", "10.9.0.53", "64:ff9b:1::10.9.0.1"};
    for (size_t i = 0; i < G_N_ELEMENTS(servers); i++) {
        g_assert_true(address_parse(servers[i], &server));
        packet_filter_add_name_server(filter, &server);
    }
    check_cases(filter, cases, G_N_ELEMENTS(cases));
}

/* --- the stream --- */

static void append(GByteArray *stream, const Frame *frame)
{
    guint8 length[4] = {0, 0, 0, (guint8)frame->length};
    g_byte_array_append(stream, length, 4);
    g_byte_array_append(stream, frame->bytes, (guint)frame->length);
}

/* The same frames in pieces of any size: what passes is always the same. */
static void test_stream(void)
{
    g_autoptr(HostAddresses) host = example_host();
    g_autoptr(PacketFilter) filter = packet_filter_new(host);
    g_autoptr(GByteArray) stream = g_byte_array_new(), expected = g_byte_array_new();
    static const char *const addresses[] = {"203.0.113.9", "127.0.0.1", "2001:db8::1", "::1",
                                            "::1",         "192.0.2.1", "0.0.0.0"};
    for (size_t i = 0; i < G_N_ELEMENTS(addresses); i++) {
        Frame frame = frame_to(addresses[i], TCP, 80);
        append(stream, &frame);
        if (passes(filter, &frame))
            append(expected, &frame);
    }
    for (size_t piece = 1; piece <= stream->len; piece++) {
        g_autoptr(GByteArray) passed = g_byte_array_new();
        guint8 buffer[1024];
        size_t length = 0, passing;
        for (size_t at = 0; at < stream->len; at += piece) {
            size_t n = MIN(piece, stream->len - at);
            memcpy(buffer + length, stream->data + at, n);
            length += n;
            ssize_t seen = packet_filter_stream(filter, buffer, length, &passing);
            g_assert_cmpint(seen, >=, (ssize_t)passing);
            g_byte_array_append(passed, buffer, (guint)passing);
            length -= (size_t)seen;
            memmove(buffer, buffer + seen, length);
        }
        g_assert_cmpmem(passed->data, passed->len, expected->data, expected->len);
    }
}

static void test_broken_stream(void)
{
    g_autoptr(HostAddresses) host = example_host();
    g_autoptr(PacketFilter) filter = packet_filter_new(host);
    size_t passing;
    guint8 huge[] = {0xff, 0xff, 0xff, 0xff, 0}, zero[] = {0, 0, 0, 0, 0, 0, 0, 0, 0};
    g_assert_cmpint(packet_filter_stream(filter, huge, sizeof huge, &passing), ==, -1);
    g_assert_cmpint(packet_filter_stream(filter, huge, 3, &passing), ==, 0);
    g_assert_cmpint(packet_filter_stream(filter, zero, sizeof zero, &passing), ==, 8); /* frames of nothing */
    g_assert_cmpint(passing, ==, 0);
}

static void test_this_host(void)
{
    g_autoptr(HostAddresses) host = host_addresses_new();
    g_autoptr(PacketFilter) filter = packet_filter_new(host);
    struct in6_addr loopback, other;
    g_assert_true(address_parse("127.1.2.3", &loopback) && address_parse("203.0.113.9", &other));
    g_assert_true(host_addresses_may_contain(host, &other));
    host_addresses_update(host);
    host_addresses_update(host); /* again is fine */
    g_assert_true(host->v4_read && host->v6_read && !host->stale);
    g_assert_true(host_addresses_may_contain(host, &loopback)); /* from the table `local` */
    g_assert_false(host_addresses_may_contain(host, &other));
    Frame outside = frame_to("203.0.113.9", TCP, 80), inside = frame_to("127.0.0.1", TCP, 80);
    g_assert_true(passes(filter, &outside));
    g_assert_false(passes(filter, &inside));
    packet_filter_free(NULL);
    host_addresses_free(NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/packet-filter/addresses", test_addresses);
    g_test_add_func("/packet-filter/answered-by-passt", test_answered);
    g_test_add_func("/packet-filter/mld", test_mld);
    g_test_add_func("/packet-filter/shapes", test_shapes);
    g_test_add_func("/packet-filter/types", test_types);
    g_test_add_func("/packet-filter/rules", test_rules);
    g_test_add_func("/packet-filter/stream", test_stream);
    g_test_add_func("/packet-filter/broken-stream", test_broken_stream);
    g_test_add_func("/packet-filter/this-host", test_this_host);
    return g_test_run();
}
