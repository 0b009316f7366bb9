/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/name_servers.h"

/* A host with 192.0.2.2 and 2001:db8::2. */
static HostAddresses *example_host(void)
{
    static const char *const own[] = {"192.0.2.2", "2001:db8::2"};
    HostAddresses *host = host_addresses_new();
    for (size_t i = 0; i < G_N_ELEMENTS(own); i++) {
        Cidr cidr;
        g_assert_true(cidr_parse(own[i], &cidr));
        g_array_append_val(host->networks, cidr);
    }
    host->v4_read = host->v6_read = true;
    return host;
}

static void test_resolv_conf(void)
{
    static const struct {
        const char *text, *addresses;
        bool forward;
    } cases[] = {
        {"", "", false},
        {"nameserver 198.51.100.53\n", "198.51.100.53", false},
        {"nameserver 198.51.100.53", "198.51.100.53", false},
        {"nameserver 198.51.100.53 # the one in the cellar\n", "198.51.100.53", false},
        {"nameserver 198.51.100.53 ; another comment\n", "198.51.100.53", false},
        {"nameserver\t 198.51.100.53\t\n", "198.51.100.53", false},
        {"nameserver 2001:db8:1::53 198.51.100.54\n", "2001:db8:1::53", false},
        {"nameserver 198.51.100.53# joined\n", "", false},
        {"#nameserver 198.51.100.53\n; nameserver 198.51.100.54\n", "", false},
        {" nameserver 198.51.100.53\n", "", false},
        {"nameservers 198.51.100.53\nnameserver198.51.100.54\nnameserver\n", "", false},
        {"NameServer 198.51.100.53\n", "", false},
        {"domain example.org\nnameserver 198.51.100.53\noptions edns0\nnameserver 198.51.100.54\n",
         "198.51.100.53 198.51.100.54", false},
        {"nameserver fe80::1%2\nnameserver nowhere\nnameserver 0.0.0.0\nnameserver 224.0.0.1\n", "", false},
        {"nameserver 127.0.0.53\n", "", true},
        {"nameserver 127.0.0.53 # of systemd\n", "", true},
        {"nameserver 127.1\n", "", true},
        {"nameserver 192.0.2.2\n", "", true},
        {"nameserver ::1\n", "", false},
        {"nameserver 2001:db8::2\n", "", false},
        {"nameserver ::1\nnameserver 127.0.0.1\n", "", true},
    };
    g_autoptr(HostAddresses) host = example_host();
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(NameServers) servers = {.addresses = g_ptr_array_new_with_free_func(g_free)};
        g_test_message("%s", cases[i].text);
        name_servers_read(&servers, host, cases[i].text);
        g_ptr_array_add(servers.addresses, NULL);
        g_autofree char *found = g_strjoinv(" ", (char **)servers.addresses->pdata);
        g_assert_cmpstr(found, ==, cases[i].addresses);
        g_assert_true(servers.forward == cases[i].forward);
    }
}

/* Three of each family. */
static void test_many(void)
{
    g_autoptr(HostAddresses) host = example_host();
    g_auto(NameServers) servers = {.addresses = g_ptr_array_new_with_free_func(g_free)};
    name_servers_read(&servers, host,
                      "nameserver 198.51.100.1\nnameserver 198.51.100.2\nnameserver 198.51.100.3\n"
                      "nameserver 198.51.100.4\nnameserver 2001:db8:1::1\n");
    g_assert_cmpint(servers.addresses->len, ==, 4);
    g_assert_cmpstr(servers.addresses->pdata[3], ==, "2001:db8:1::1");
}

static void test_setting(void)
{
    g_auto(NameServers) servers = {0};
    name_servers_find("198.51.100.53, nowhere 2001:db8:1::53", &servers);
    g_assert_cmpint(servers.addresses->len, ==, 2);
    g_assert_false(servers.forward);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/name-servers/resolv-conf", test_resolv_conf);
    g_test_add_func("/name-servers/many", test_many);
    g_test_add_func("/name-servers/setting", test_setting);
    return g_test_run();
}
