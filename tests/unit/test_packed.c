/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/packed.h"

#include <string.h>

static GByteArray *example(void)
{
    GByteArray *out = g_byte_array_new();
    pack_integer(out, G_MININT64);
    pack_text(out, "caf\xc3\xa9");
    pack_text(out, NULL);
    pack_bytes(out, (const guint8 *)"\0\1", 2);
    pack_integer(out, -1);
    return out;
}

static void test_round_trip(void)
{
    g_autoptr(GByteArray) out = example();
    Unpacker in = {.at = out->data, .end = out->data + out->len};
    g_assert_true(unpack_integer(&in) == G_MININT64);
    g_autofree char *text = unpack_text(&in), *empty = unpack_text(&in);
    g_assert_cmpstr(text, ==, "caf\xc3\xa9");
    g_assert_cmpstr(empty, ==, "");
    Unpacker part = unpack_bytes(&in);
    size_t length = (size_t)(part.end - part.at);
    g_assert_cmpmem(part.at, length, "\0\1", 2);
    g_assert_cmpint(unpack_integer(&in), ==, -1);
    g_assert_true(in.at == in.end && !in.is_bad);
    g_assert_cmpint(unpack_integer(&in), ==, 0);
    g_assert_true(in.is_bad);
}

/* Copied, so that a byte too many is one that is not ours. */
static void test_cut(void)
{
    g_autoptr(GByteArray) out = example();
    for (guint length = 0; length < out->len; length++) {
        g_autofree guint8 *cut = g_memdup2(out->data, length);
        Unpacker in = {.at = cut, .end = cut ? cut + length : NULL};
        unpack_integer(&in);
        g_autofree char *text = unpack_text(&in), *empty = unpack_text(&in);
        g_assert_true(text && empty);
        unpack_bytes(&in);
        g_assert_cmpint(unpack_integer(&in), ==, 0);
        g_assert_true(in.is_bad);
    }
}

static void test_lengths(void)
{
    static const gint64 lengths[] = {-1, G_MININT64, G_MAXINT64, 9, 8};
    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_autoptr(GByteArray) out = g_byte_array_new();
        pack_integer(out, lengths[i]);
        pack_integer(out, 0);
        Unpacker in = {.at = out->data, .end = out->data + out->len};
        g_autofree char *text = unpack_text(&in);
        g_assert_cmpstr(text, ==, "");
        g_assert_true(in.is_bad == (lengths[i] != 8));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/packed/round-trip", test_round_trip);
    g_test_add_func("/packed/cut", test_cut);
    g_test_add_func("/packed/lengths", test_lengths);
    return g_test_run();
}
