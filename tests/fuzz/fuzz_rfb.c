/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The filter between a viewer and QEMU. Input: a byte for role and fragmentation, then the viewer's bytes. Held true:
 * - the output does not depend on the fragmentation, nor does what is found out (broken, input seen);
 * - the filter writes no more than it read and held back;
 * - a viewer's output is made of harmless messages only, by a parser that shares nothing with the filter;
 * - filtering the output again changes nothing. */
#include <glib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "display/rfb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    GByteArray *bytes;
    bool broken, input;
} Filtered;

static void filtered_clear(Filtered *filtered)
{
    g_byte_array_unref(filtered->bytes);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Filtered, filtered_clear)

/* Feeds pieces of at most `piece` bytes, each in memory of exactly its size, for the address sanitizer. */
static Filtered filter_in_pieces(RfbRole role, const uint8_t *data, size_t size, size_t piece)
{
    RfbFilter filter;
    rfb_filter_init(&filter, role);
    Filtered result = {.bytes = g_byte_array_new()};
    for (size_t at = 0; at < size; at += piece) {
        size_t n = MIN(piece, size - at);
        size_t held = filter.head_length;
        g_autofree uint8_t *input = g_memdup2(data + at, n);
        g_autofree uint8_t *output = g_malloc(n + RFB_HEAD_MAX_BYTES);
        size_t written = rfb_filter_run(&filter, input, n, output);
        g_assert_cmpuint(written, <=, n + held);
        g_byte_array_append(result.bytes, output, (unsigned)written);
        result.input |= rfb_filter_take_input(&filter);
    }
    result.broken = rfb_filter_is_broken(&filter);
    return result;
}

static void assert_same(const Filtered *a, const Filtered *b)
{
    g_assert_cmpmem(a->bytes->data, a->bytes->len, b->bytes->data, b->bytes->len);
    g_assert_cmpint(a->broken, ==, b->broken);
    g_assert_cmpint(a->input, ==, b->input);
}

/* Length of the harmless message at `m`, 0 when it is none; may be more than is there. */
static size_t harmless_length(const uint8_t *m, size_t left)
{
    switch (m[0]) {
    case 0:
        return 20;
    case 2:
        return left < 4 ? 4 : 4 + 4u * (m[2] * 256u + m[3]);
    case 3:
    case 150:
        return 10;
    case 248:
        return left < 9 ? 9 : 9u + m[8];
    case 255:
        if (left >= 4 && (m[1] != 1 || m[2] != 0 || m[3] > 2))
            return 0;
        return left >= 4 && m[3] == 2 ? 10 : 4;
    default:
        return 0;
    }
}

static void assert_harmless(const GByteArray *bytes)
{
    if (bytes->len < 12)
        return;
    size_t at = bytes->data[10] < '7' ? 12 : 13;
    if (at < bytes->len)
        g_assert_cmpint(bytes->data[at++], ==, 1);
    while (at < bytes->len) {
        size_t length = harmless_length(bytes->data + at, bytes->len - at);
        g_assert_cmpuint(length, >, 0);
        at += length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    RfbRole role = data[0] & 1 ? RFB_ROLE_CONTROL : RFB_ROLE_VIEW;
    size_t piece = 1 + (data[0] >> 1);
    g_auto(Filtered) whole = filter_in_pieces(role, data + 1, size - 1, size);
    g_auto(Filtered) pieces = filter_in_pieces(role, data + 1, size - 1, piece);
    g_auto(Filtered) single = filter_in_pieces(role, data + 1, size - 1, 1);
    assert_same(&whole, &pieces);
    assert_same(&whole, &single);
    if (role == RFB_ROLE_VIEW)
        assert_harmless(whole.bytes);
    g_auto(Filtered) again = filter_in_pieces(role, whole.bytes->data, whole.bytes->len, size);
    g_assert_cmpmem(again.bytes->data, again.bytes->len, whole.bytes->data, whole.bytes->len);
    return 0;
}
