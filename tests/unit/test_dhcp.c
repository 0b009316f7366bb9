/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The name server in passt's DHCP replies. */
#include "vm/dhcp.h"

#include <arpa/inet.h>
#include <string.h>

#define OPTIONS (14 + 20 + 8 + 240)
#define LENGTH (OPTIONS + 64)

static const struct in_addr server = {0x3501fea9}; /* 169.254.1.53 */

static void make_reply(guint8 *frame, const guint8 *options, size_t length)
{
    static const guint8 cookie[] = {99, 130, 83, 99};
    memset(frame, 0, LENGTH);
    memcpy(frame + 12, (const guint8[]){0x08, 0, 0x45}, 3);
    frame[14 + 9] = IPPROTO_UDP;
    memcpy(frame + 34, (const guint8[]){0, 67, 0, 68, 0, 0, 0x12, 0x34}, 8);
    memcpy(frame + OPTIONS - 4, cookie, sizeof cookie);
    memcpy(frame + OPTIONS, options, length);
}

static void test_append(void)
{
    static const guint8 options[] = {53, 1, 2, 0, 54, 4, 10, 0, 0, 1, 255};
    static const guint8 expected[] = {53, 1, 2, 0, 54, 4, 10, 0, 0, 1, 6, 4, 169, 254, 1, 53, 255, 0};
    guint8 frame[LENGTH];
    make_reply(frame, options, sizeof options);
    g_assert_true(dhcp_set_name_server(frame, LENGTH, &server));
    g_assert_cmpmem(frame + OPTIONS, sizeof expected, expected, sizeof expected);
    g_assert_cmpint(frame[40] | frame[41], ==, 0);
}

static void test_replace(void)
{
    static const guint8 options[] = {6, 8, 192, 0, 2, 1, 127, 0, 0, 1, 53, 1, 2, 255};
    static const guint8 expected[] = {6, 8, 169, 254, 1, 53, 169, 254, 1, 53, 53, 1, 2, 255};
    guint8 frame[LENGTH];
    make_reply(frame, options, sizeof options);
    g_assert_true(dhcp_set_name_server(frame, LENGTH, &server));
    g_assert_cmpmem(frame + OPTIONS, sizeof expected, expected, sizeof expected);
}

/* Nothing is read or written behind the end, whatever the frame says of itself. */
static void test_broken(void)
{
    static const guint8 good[] = {53, 1, 2, 255};
    static const guint8 broken[][4] = {{6, 3, 1, 2}, {6, 0, 255, 0}, {53, 255, 0, 0}, {1, 1, 1, 6}, {6, 252, 0, 0}};
    g_autofree guint8 *frame = g_malloc(LENGTH);
    for (size_t i = 0; i < G_N_ELEMENTS(broken); i++) {
        make_reply(frame, broken[i], sizeof broken[i]);
        g_assert_false(dhcp_set_name_server(frame, OPTIONS + 4, &server));
    }
    for (size_t length = 0; length < OPTIONS + sizeof good + 6; length++) {
        make_reply(frame, good, sizeof good);
        g_autofree guint8 *cut = g_memdup2(frame, length ? length : 1);
        g_assert_false(dhcp_set_name_server(cut, length, &server));
    }
    for (size_t at = 12; at < OPTIONS; at++) {
        make_reply(frame, good, sizeof good);
        frame[at] ^= 0x40;
        bool counts = at < 15 || at == 23 || (at >= 34 && at < 38) || at >= OPTIONS - 4;
        g_assert_true(dhcp_set_name_server(frame, LENGTH, &server) != counts);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/dhcp/append", test_append);
    g_test_add_func("/dhcp/replace", test_replace);
    g_test_add_func("/dhcp/broken", test_broken);
    return g_test_run();
}
