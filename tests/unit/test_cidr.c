/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/cidr.h"

#include "base/error.h"

static void test_parse(void)
{
    static const struct {
        const char *text, *canonical; /* NULL: is refused */
    } cases[] = {
        {"192.0.2.1", "192.0.2.1/32"},
        {"10.1.2.3/8", "10.0.0.0/8"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"2001:db8::1", "2001:db8::1/128"},
        {"fe80::1/10", "fe80::/10"},
        {"::/0", "::/0"},
        {"::ffff:0:0/96", "0.0.0.0/0"},
        {"::ffff:192.0.2.1/120", "192.0.2.0/24"},
        {"::ffff:0:0/95", "::fffe:0:0/95"},
        {"", NULL},
        {"/8", NULL},
        {"10.0.0.0/", NULL},
        {"10.0.0.0/33", NULL},
        {"10.0.0.0/-1", NULL},
        {"10.0.0.0/8/8", NULL},
        {"10.0.0/8", NULL},
        {"::/129", NULL},
        {"fe80::1%eth0", NULL},
        {"example.org", NULL},
        {"10.0.0.0/8\n", NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Cidr cidr;
        g_test_message("%s", cases[i].text);
        bool good = cidr_parse(cases[i].text, &cidr);
        g_autofree char *text = good ? cidr_format(&cidr) : NULL;
        g_assert_cmpstr(text, ==, cases[i].canonical);
    }
}

static void test_contains(void)
{
    static const struct {
        const char *network, *address;
        bool inside;
    } cases[] = {
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/9", "10.128.0.0", false},
        {"0.0.0.0/0", "1.2.3.4", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "1.2.3.4", false},
        {"::/0", "::ffff:1.2.3.4", false},
        {"::/80", "1.2.3.4", false},
        {"::ffff:0:0/95", "1.2.3.4", false},
        {"::ffff:0:0/95", "::fffe:1.2.3.4", true},
        {"::ffff:0:0/96", "1.2.3.4", true}, /* another name of 0.0.0.0/0 */
        {"::ffff:0:0/96", "::1", false},
        {"::ffff:10.0.0.0/104", "10.1.2.3", true},
        {"fe80::/10", "febf::1", true},
        {"fe80::/10", "fec0::1", false},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.0/24", "::ffff:192.0.2.1", true},
        {"2001:db8:8000::/33", "2001:db8:7fff::", false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Cidr cidr;
        struct in6_addr address;
        g_assert_true(cidr_parse(cases[i].network, &cidr) && address_parse(cases[i].address, &address));
        g_assert_true(cidr_contains(&cidr, &address) == cases[i].inside);
    }
}

static void test_list(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) none = cidr_list_parse(" , ", NULL), list = cidr_list_parse("all, link-local 10.0.0.0/8", NULL);
    g_assert_cmpint(none->len, ==, 0);
    g_assert_cmpint(list->len, ==, 5);
    g_assert_null(cidr_list_parse("10.0.0.0/8, home", &error));
    g_assert_error(error, QWD_ERROR, QWD_ERROR_CONFIG);
    g_assert_true(g_str_has_prefix(error->message, "home is no network. "));
    static const char *const names[] = {"all", "private", "link-local", "metadata"};
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(GArray) named = cidr_list_parse(names[i], NULL);
        g_assert_cmpint(named->len, >=, 2);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cidr/parse", test_parse);
    g_test_add_func("/cidr/contains", test_contains);
    g_test_add_func("/cidr/list", test_list);
    return g_test_run();
}
