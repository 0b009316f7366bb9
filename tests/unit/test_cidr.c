/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/cidr.h"

#include <glib.h>

static const struct {
    const char *network, *address;
    bool contains;
} rows[] = {
    {"192.0.2.0/24", "192.0.2.255", true},
    {"192.0.2.0/24", "192.0.3.0", false},
    {"192.0.2.77/24", "192.0.2.1", true}, /* the host part does not count */
    {"192.0.2.128/25", "192.0.2.127", false},
    {"192.0.2.128/25", "192.0.2.128", true},
    {"192.0.2.1", "192.0.2.1", true},
    {"192.0.2.1", "192.0.2.2", false},
    {"0.0.0.0/0", "198.51.100.1", true},
    {"0.0.0.0/0", "2001:db8::1", false},
    {"192.0.2.0/24", "::ffff:192.0.2.1", true},
    {"2001:db8::/32", "2001:db8:ffff::1", true},
    {"2001:db8::/32", "2001:db9::1", false},
    {"2001:db8::1", "2001:db8::1", true},
    {"::/0", "2001:db8::1", true},
    {"2001:db8:8000::/33", "2001:db8:7fff::", false},
    {"192.0.2.0/24", "", false},
    {"192.0.2.0/24", "nowhere", false},
    {"192.0.2.0/24", "192.0.2.0/24", false},
};

static const char *const invalid[] = {
    "",         "/",      "/24",          "192.0.2.0/", "192.0.2.0/33",  "192.0.2.0/-1", "192.0.2/24",
    "all",      "::/129", "192.0.2.0/2 ", " 192.0.2.0", "192.0.2.0/0x8", "1.2.3.4/8/8",  "fe80::1%1",
    "localhost"};

static void test_contains(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_test_message("%s %s", rows[i].network, rows[i].address);
        g_assert_true(cidr_is_valid(rows[i].network));
        g_assert_true(cidr_contains(rows[i].network, rows[i].address) == rows[i].contains);
    }
}

static void test_invalid(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(invalid); i++) {
        g_test_message("%s", invalid[i]);
        g_assert_false(cidr_is_valid(invalid[i]));
        g_assert_false(cidr_contains(invalid[i], "192.0.2.1"));
        g_assert_false(cidr_contains(invalid[i], invalid[i]));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cidr/contains", test_contains);
    g_test_add_func("/cidr/invalid", test_invalid);
    return g_test_run();
}
