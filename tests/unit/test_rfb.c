/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <stdio.h>
#include <string.h>

#include "display/rfb.h"

#include "../fuzz/fuzz_rfb.c"

#define CORPUS "tests/fuzz/corpus/rfb"
#define CUT_TEXT_MAX (4 * 1024 * 1024)
#define HELLO "RFB 003.008\n\x01\x01"

/* Bytes of a text literal, NULs included. */
#define BYTES(text) (text), sizeof(text) - 1

typedef struct {
    const char *name;
    const char *bytes;
    size_t length;
    bool view; /* passes in role view */
    bool input;
} Case;

/* What noVNC 1.3 sends (core/rfb.js, RFB.messages), and the messages of rfbproto that it does not. */
static const Case cases[] = {
    {"pixel format", BYTES("\0\0\0\0\x20\x18\0\x01\0\xff\0\xff\0\xff\0\x08\x10\0\0\0"), true, false},
    {"no encodings", BYTES("\x02\0\0\0"), true, false},
    {"encodings", BYTES("\x02\0\0\x03\0\0\0\x01\0\0\0\x07\xc0\xa1\xe5\xce"), true, false},
    {"update request", BYTES("\x03\x01\0\0\0\0\x05\0\x03\x20"), true, false},
    {"key", BYTES("\x04\x01\0\0\0\0\0a"), false, true},
    {"pointer", BYTES("\x05\x01\x01\x40\0\xf0"), false, true},
    {"no cut text", BYTES("\x06\0\0\0\0\0\0\0"), false, true},
    {"cut text", BYTES("\x06\0\0\0\0\0\0\x05hello"), false, true},
    {"clipboard caps", BYTES("\x06\0\0\0\xff\xff\xff\xf8\x1f\0\0\x01\0\0\0\0"), false, false},
    {"clipboard request", BYTES("\x06\0\0\0\xff\xff\xff\xfc\x02\0\0\x01"), false, false},
    {"clipboard notify", BYTES("\x06\0\0\0\xff\xff\xff\xfc\x08\0\0\x01"), false, true},
    {"clipboard provide", BYTES("\x06\0\0\0\xff\xff\xff\xf6\x10\0\0\x01\x78\x9c\x04\x04\x04\x04"), false, true},
    {"continuous updates", BYTES("\x96\x01\0\0\0\0\x05\0\x03\x20"), true, false},
    {"empty fence", BYTES("\xf8\0\0\0\x80\0\0\x01\0"), true, false},
    {"fence", BYTES("\xf8\0\0\0\x80\0\0\x01\x04\x04\x04\x05\x06"), true, false},
    {"xvp", BYTES("\xfa\0\x01\x02"), false, false},
    {"desktop size", BYTES("\xfb\0\x05\0\x03\x20\x01\0\0\0\0\0\0\0\0\0\x05\0\x03\x20\0\0\0\0"), false, false},
    {"no screens", BYTES("\xfb\0\x05\0\x03\x20\0\0"), false, false},
    {"extended key", BYTES("\xff\0\0\x01\0\0\0a\0\0\0\x1e"), false, true},
    {"audio on", BYTES("\xff\x01\0\0"), true, false},
    {"audio off", BYTES("\xff\x01\0\x01"), true, false},
    {"audio format", BYTES("\xff\x01\0\x02\x03\x02\0\0\xac\x44"), true, false},
};

static GByteArray *join(const char *first, size_t length)
{
    GByteArray *bytes = g_byte_array_new();
    return g_byte_array_append(bytes, (const uint8_t *)first, (unsigned)length);
}

static void add(GByteArray *bytes, const char *more, size_t length)
{
    g_byte_array_append(bytes, (const uint8_t *)more, (unsigned)length);
}

/* Two pieces, cut at every place, and single bytes: always the same output. */
static void check_everywhere(RfbRole role, const GByteArray *input, const GByteArray *expected, bool input_seen)
{
    for (size_t cut = 0; cut <= input->len; cut++) {
        RfbFilter filter;
        uint8_t output[4096];
        rfb_filter_init(&filter, role);
        size_t n = rfb_filter_run(&filter, input->data, cut, output);
        n += rfb_filter_run(&filter, input->data + cut, input->len - cut, output + n);
        g_assert_cmpmem(output, n, expected->data, expected->len);
        g_assert_false(rfb_filter_is_broken(&filter));
        g_assert_cmpint(rfb_filter_take_input(&filter), ==, input_seen);
        g_assert_false(rfb_filter_take_input(&filter));
    }
    g_auto(Filtered) single = filter_in_pieces(role, input->data, input->len, 1);
    g_assert_cmpmem(single.bytes->data, single.bytes->len, expected->data, expected->len);
}

/* Each message, with harmless ones before and behind it. */
static void test_messages(void)
{
    const Case *request = &cases[3];
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Case *c = &cases[i];
        g_autoptr(GByteArray) all = join(BYTES(HELLO));
        g_autoptr(GByteArray) watched = join(BYTES(HELLO));
        g_test_message("%s", c->name);
        add(all, request->bytes, request->length);
        add(watched, request->bytes, request->length);
        add(all, c->bytes, c->length);
        if (c->view)
            add(watched, c->bytes, c->length);
        add(all, request->bytes, request->length);
        add(watched, request->bytes, request->length);
        check_everywhere(RFB_ROLE_CONTROL, all, all, c->input);
        check_everywhere(RFB_ROLE_VIEW, all, watched, false);
    }
}

static void test_session(void)
{
    g_autoptr(GByteArray) all = join(BYTES(HELLO));
    g_autoptr(GByteArray) watched = join(BYTES(HELLO));
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        add(all, cases[i].bytes, cases[i].length);
        if (cases[i].view)
            add(watched, cases[i].bytes, cases[i].length);
    }
    check_everywhere(RFB_ROLE_CONTROL, all, all, true);
    check_everywhere(RFB_ROLE_VIEW, all, watched, false);
}

/* --- the handshake --- */

static void check(RfbRole role, const char *input, size_t length, const char *output, size_t output_length, bool broken)
{
    g_auto(Filtered) whole = filter_in_pieces(role, (const uint8_t *)input, length, length);
    g_auto(Filtered) single = filter_in_pieces(role, (const uint8_t *)input, length, 1);
    g_assert_cmpmem(whole.bytes->data, whole.bytes->len, output, output_length);
    g_assert_cmpint(whole.broken, ==, broken);
    assert_same(&whole, &single);
}

static void test_handshake(void)
{
    for (RfbRole role = RFB_ROLE_VIEW; role <= RFB_ROLE_CONTROL; role++) {
        check(role, BYTES("RFB 003.008\n\x01\0"), BYTES("RFB 003.008\n\x01\x01"), false);
        check(role, BYTES("RFB 003.007\n\x01\x01\xff\x01\0"), BYTES("RFB 003.007\n\x01\x01"), false);
        check(role, BYTES("RFB 003.003\n\0\xff\x01\0\x01"), BYTES("RFB 003.003\n\x01\xff\x01\0\x01"), false);
        check(role, BYTES("RFB 003.005\n\0"), BYTES("RFB 003.005\n\x01"), false);
    }
}

/* QEMU's sscanf() would read some of these as a version, with other messages to follow than we think. */
static void test_bad_handshake(void)
{
    static const char *const versions[] = {
        "RFB 003.006\n", "RFB 003.889\n", "RFB 004.001\n", "RFB 3.8     ", "RFB +03.008\n",
        "RFB 003. 08\n", "RFB 003.008 ",  "rfb 003.008\n", "GET / HTTP/1", "\0\0\0\0\0\0\0\0\0\0\0\0",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(versions); i++) {
        g_autoptr(GByteArray) bytes = join(versions[i], 12);
        add(bytes, BYTES("\x01\x01\x04\x01\0\0\0\0\0a"));
        check(RFB_ROLE_VIEW, (char *)bytes->data, bytes->len, "", 0, true);
        check(RFB_ROLE_CONTROL, (char *)bytes->data, bytes->len, "", 0, true);
    }
    check(RFB_ROLE_CONTROL, BYTES("RFB 003.008\n\x02\x01\x04"), BYTES("RFB 003.008\n"), true);
    check(RFB_ROLE_VIEW, BYTES("RFB 003.008\n\x13\x01\x04"), BYTES("RFB 003.008\n"), true);
}

/* --- hostile messages --- */

/* A viewer that watches is ended; for one in control it is between him and QEMU. */
static void test_unknown(void)
{
    static const Case unknown[] = {
        {"type 1", BYTES("\x01\0\0\0"), false, false},
        {"type 252", BYTES("\xfc\0\0\0"), false, false},
        {"QEMU 2", BYTES("\xff\x02\0\0"), false, false},
        {"QEMU audio 3", BYTES("\xff\x01\0\x03"), false, false},
        {"QEMU audio 256", BYTES("\xff\x01\x01\0"), false, false},
        {"clipboard of -1", BYTES("\x06\0\0\0\xff\xff\xff\xff"), false, false},
        {"clipboard of -3", BYTES("\x06\0\0\0\xff\xff\xff\xfd"), false, false},
        {"fence of 65", BYTES("\xf8\0\0\0\x80\0\0\x01\x41"), false, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(unknown); i++) {
        g_autoptr(GByteArray) bytes = join(BYTES(HELLO));
        g_test_message("%s", unknown[i].name);
        add(bytes, unknown[i].bytes, unknown[i].length);
        add(bytes, cases[4].bytes, cases[4].length);
        check(RFB_ROLE_VIEW, (char *)bytes->data, bytes->len, BYTES(HELLO), true);
        check(RFB_ROLE_CONTROL, (char *)bytes->data, bytes->len, (char *)bytes->data, bytes->len, false);
    }
}

/* A message of `length` bytes behind its head, and a key behind that: dropped to the byte, without being held. */
static void check_long(const char *head, size_t head_length, guint64 length, bool dropped)
{
    RfbFilter filter;
    static uint8_t zeros[1 << 16], output[sizeof zeros + RFB_HEAD_MAX_BYTES];
    rfb_filter_init(&filter, RFB_ROLE_VIEW);
    rfb_filter_run(&filter, (const uint8_t *)HELLO, sizeof HELLO - 1, output);
    guint64 passed = rfb_filter_run(&filter, (const uint8_t *)head, head_length, output);
    for (guint64 left = length; left > 0;) {
        size_t n = (size_t)MIN(left, (guint64)sizeof zeros);
        passed += rfb_filter_run(&filter, zeros, n, output);
        left -= n;
    }
    g_assert_cmpuint(passed, ==, dropped ? 0 : head_length + length);
    passed = rfb_filter_run(&filter, (const uint8_t *)cases[4].bytes, cases[4].length, output);
    g_assert_cmpuint(passed, ==, 0);
    g_assert_cmpuint(rfb_filter_run(&filter, (const uint8_t *)"\xff\x01\0\0", 4, output), ==, 4);
    g_assert_false(rfb_filter_is_broken(&filter));
}

static void test_long(void)
{
    check_long(BYTES("\x06\0\0\0\0\x40\0\0"), CUT_TEXT_MAX, true);
    check_long(BYTES("\x06\0\0\0\xff\xc0\0\0"), CUT_TEXT_MAX, true);
    check_long(BYTES("\x06\0\0\0\xff\xf0\0\0"), 0x100000, true);
    check_long(BYTES("\x02\0\xff\xff"), 4 * 0xffff, false);
    check_long(BYTES("\xfb\0\x05\0\x03\x20\xff\0"), 16 * 255, true);
}

/* Nobody sends one of this length, also not in pieces. */
static void test_too_long(void)
{
    static const char *const lengths[] = {"\0\x40\0\x01", "\x7f\xff\xff\xff", "\x80\0\0\0", "\xff\xbf\xff\xff"};
    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_autoptr(GByteArray) bytes = join(BYTES(HELLO "\x06\0\0\0"));
        add(bytes, lengths[i], 4);
        add(bytes, BYTES("\x10\0\0\0\0\0"));
        for (RfbRole role = RFB_ROLE_VIEW; role <= RFB_ROLE_CONTROL; role++)
            check(role, (char *)bytes->data, bytes->len, BYTES(HELLO), true);
    }
    RfbFilter filter;
    uint8_t output[100];
    rfb_filter_init(&filter, RFB_ROLE_CONTROL);
    g_assert_null(rfb_filter_fault(&filter));
    rfb_filter_run(&filter, (const uint8_t *)BYTES(HELLO "\x06\0\0\0\x7f\0\0\0"), output);
    g_assert_cmpstr(rfb_filter_fault(&filter), ==, "It sent a clipboard of more than 4 MB.");
}

static void test_corpus(void)
{
    g_autoptr(GDir) folder = g_dir_open(CORPUS, 0, NULL);
    g_assert_nonnull(folder);
    for (const char *name; (name = g_dir_read_name(folder));) {
        g_autofree char *path = g_build_filename(CORPUS, name, NULL);
        g_autofree char *data = NULL;
        size_t length;
        g_assert_true(g_file_get_contents(path, &data, &length, NULL));
        g_test_message("%s", name);
        LLVMFuzzerTestOneInput((const uint8_t *)data, length);
    }
}

/* Sequences of known messages, broken ones among them, in random order and with random damage. */
static void test_random(void)
{
    for (int round = 0; round < 2000; round++) {
        g_autoptr(GByteArray) bytes = g_byte_array_new();
        uint8_t options = (uint8_t)g_test_rand_int();
        g_byte_array_append(bytes, &options, 1);
        add(bytes, BYTES(HELLO));
        for (int i = g_test_rand_int_range(0, 20); i > 0; i--) {
            const Case *c = &cases[g_test_rand_int_range(0, G_N_ELEMENTS(cases))];
            add(bytes, c->bytes, c->length);
        }
        for (int i = g_test_rand_int_range(0, 3); i > 0; i--)
            bytes->data[g_test_rand_int_range(0, (int)bytes->len)] = (uint8_t)g_test_rand_int();
        LLVMFuzzerTestOneInput(bytes->data, bytes->len);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rfb/messages", test_messages);
    g_test_add_func("/rfb/session", test_session);
    g_test_add_func("/rfb/handshake", test_handshake);
    g_test_add_func("/rfb/bad-handshake", test_bad_handshake);
    g_test_add_func("/rfb/unknown", test_unknown);
    g_test_add_func("/rfb/long", test_long);
    g_test_add_func("/rfb/too-long", test_too_long);
    g_test_add_func("/rfb/corpus", test_corpus);
    g_test_add_func("/rfb/random", test_random);
    return g_test_run();
}
