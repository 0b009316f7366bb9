/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <arpa/inet.h>
#include <string.h>

#include "vm/frame.h"

#define ETHERNET_BYTES 14
#define V4_BYTES (ETHERNET_BYTES + 20)
#define V6_BYTES (ETHERNET_BYTES + 40)
#define TCP 6
#define ICMPV6 58

typedef struct {
    guint8 bytes[V6_BYTES];
    size_t length;
} Frame;

static Frame frame_of_type(int type, size_t length)
{
    Frame frame = {.length = length};
    frame.bytes[12] = (guint8)(type >> 8);
    frame.bytes[13] = (guint8)type;
    return frame;
}

/* A packet of this protocol for that address. */
static Frame frame_to(const char *address, int protocol)
{
    bool is_v6 = strchr(address, ':') != NULL;
    Frame frame = is_v6 ? frame_of_type(0x86dd, V6_BYTES) : frame_of_type(0x0800, V4_BYTES);
    g_assert_cmpint(inet_pton(is_v6 ? AF_INET6 : AF_INET, address, frame.bytes + ETHERNET_BYTES + (is_v6 ? 24 : 16)),
                    ==, 1);
    frame.bytes[ETHERNET_BYTES + (is_v6 ? 6 : 9)] = (guint8)protocol;
    return frame;
}

static FrameFilter *example_filter(void)
{
    FrameFilter *filter = frame_filter_new();
    static const char *const own[] = {"192.0.2.2", "172.17.0.1", "2001:db8::2", "fe80::2", "nonsense"};
    for (size_t i = 0; i < G_N_ELEMENTS(own); i++)
        frame_filter_add(filter, own[i]);
    return filter;
}

static void test_addresses(void)
{
    static const struct {
        const char *address;
        int protocol;
        bool passes;
    } cases[] = {
        {"203.0.113.9", TCP, true},
        {"192.0.2.1", TCP, true},
        {"192.0.2.3", TCP, true},
        {"255.255.255.255", TCP, true}, /* DHCP */
        {"224.0.0.251", TCP, true},
        {"126.255.255.255", TCP, true},
        {"128.0.0.1", TCP, true},
        {"127.0.0.1", TCP, false},
        {"127.255.255.255", TCP, false},
        {"127.0.0.1", 17, false},
        {"0.0.0.0", TCP, false},
        {"0.1.2.3", TCP, false},
        {"192.0.2.2", TCP, false},
        {"172.17.0.1", TCP, false},
        {"2001:db8::1", TCP, true},
        {"ff02::1:2", TCP, true}, /* DHCPv6 */
        {"fe80::1", TCP, true},
        {"fe80::2", ICMPV6, true}, /* who is there? */
        {"fe80::2", TCP, false},
        {"fe80::2", 0, false}, /* something in front of the real protocol */
        {"2001:db8::2", TCP, false},
        {"2001:db8::2", ICMPV6, false},
        {"::1", TCP, false},
        {"::1", ICMPV6, false},
        {"::", TCP, false},
        {"::ffff:127.0.0.1", TCP, false},
        {"::ffff:203.0.113.9", TCP, false},
        {"::127.0.0.1", TCP, false},
    };
    g_autoptr(FrameFilter) filter = example_filter();
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Frame frame = frame_to(cases[i].address, cases[i].protocol);
        g_test_message("%s, protocol %d", cases[i].address, cases[i].protocol);
        g_assert_true(frame_may_pass(filter, frame.bytes, frame.length) == cases[i].passes);
        for (size_t length = 0; length < frame.length; length++) { /* cut off anywhere before the address's end */
            size_t needed = ETHERNET_BYTES + (strchr(cases[i].address, ':') ? 40 : 20);
            g_autofree guint8 *copy = g_memdup2(frame.bytes, MAX(length, 1));
            g_assert_true(length >= needed || !frame_may_pass(filter, copy, length));
        }
    }
}

static void test_types(void)
{
    static const struct {
        int type;
        bool passes;
    } cases[] = {{0x0806, true}, {0x8100, false}, {0x88a8, false}, {0x0000, false}, {0x05dc, false}, {0xffff, false}};
    g_autoptr(FrameFilter) filter = example_filter();
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Frame frame = frame_of_type(cases[i].type, V6_BYTES);
        g_assert_true(frame_may_pass(filter, frame.bytes, frame.length) == cases[i].passes);
    }
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
    g_autoptr(FrameFilter) filter = example_filter();
    g_autoptr(GByteArray) stream = g_byte_array_new(), expected = g_byte_array_new();
    static const char *const addresses[] = {"203.0.113.9", "127.0.0.1", "2001:db8::1", "::1",
                                            "::1",         "192.0.2.1", "0.0.0.0"};
    for (size_t i = 0; i < G_N_ELEMENTS(addresses); i++) {
        Frame frame = frame_to(addresses[i], TCP);
        append(stream, &frame);
        if (frame_may_pass(filter, frame.bytes, frame.length))
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
            ssize_t seen = frame_filter_stream(filter, buffer, length, &passing);
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
    g_autoptr(FrameFilter) filter = example_filter();
    size_t passing;
    guint8 huge[] = {0xff, 0xff, 0xff, 0xff, 0}, zero[] = {0, 0, 0, 0, 0, 0, 0, 0, 0};
    g_assert_cmpint(frame_filter_stream(filter, huge, sizeof huge, &passing), ==, -1);
    g_assert_cmpint(frame_filter_stream(filter, huge, 3, &passing), ==, 0);
    g_assert_cmpint(frame_filter_stream(filter, zero, sizeof zero, &passing), ==, 8); /* frames of nothing */
    g_assert_cmpint(passing, ==, 0);
}

static void test_this_host(void)
{
    g_autoptr(FrameFilter) filter = frame_filter_new();
    frame_filter_read_host(filter);
    frame_filter_read_host(filter); /* again is fine */
    Frame outside = frame_to("203.0.113.9", TCP), loopback = frame_to("127.0.0.1", TCP);
    g_assert_true(frame_may_pass(filter, outside.bytes, outside.length));
    g_assert_false(frame_may_pass(filter, loopback.bytes, loopback.length));
    frame_filter_free(NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/frame/addresses", test_addresses);
    g_test_add_func("/frame/types", test_types);
    g_test_add_func("/frame/stream", test_stream);
    g_test_add_func("/frame/broken-stream", test_broken_stream);
    g_test_add_func("/frame/this-host", test_this_host);
    return g_test_run();
}
