/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/route.h"

#define HEAD_V4 "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
#define ANYWHERE "00000000000000000000000000000000"
#define VIA "fe800000000000000000000000000001"

static void check(RouteFamily family, const char *text, const char *expected)
{
    g_autofree char *found = route_find_default(family, text);
    g_assert_cmpstr(found, ==, expected);
}

static void test_v4(void)
{
    check(ROUTE_V4, "", NULL);
    check(ROUTE_V4, HEAD_V4, NULL);
    check(ROUTE_V4, HEAD_V4 "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n", NULL); /* a local net */
    check(ROUTE_V4, HEAD_V4 "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0   \n", "eth0");
    check(ROUTE_V4, HEAD_V4 "tun0\t00000000\t010200C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n",
          NULL); /* half of everything */
    check(ROUTE_V4,
          HEAD_V4 "wlan0\t00000000\t010200C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
                  "eth1\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
                  "eth2\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n",
          "eth1");
    check(ROUTE_V4, HEAD_V4 "*\t00000000\t00000000\t0200\t0\t0\t0\t00000000\t0\t0\t0\n", NULL); /* unreachable */
    check(ROUTE_V4, "eth0\t00000000\nnonsense\n\n\t\t\n", NULL);
}

static void test_v6(void)
{
    check(ROUTE_V6, "", NULL);
    check(ROUTE_V6, ANYWHERE " 00 " ANYWHERE " 00 " ANYWHERE " ffffffff 00000001 00000000 00200200       lo\n", NULL);
    check(ROUTE_V6,
          ANYWHERE " 00 " ANYWHERE " 00 " VIA " 00000400 00000001 00000000 00000003     eth0\n" ANYWHERE " 00 " ANYWHERE
                   " 00 " VIA " 00000064 00000001 00000000 00000003     eth1\n",
          "eth1");
    check(ROUTE_V6,
          "fe800000000000000000000000000000 40 " ANYWHERE " 00 " ANYWHERE
          " 00000100 00000001 00000000 00000001     eth0\n",
          NULL);
}

static void test_here(void)
{
    g_autofree char *v4 = route_default_interface(ROUTE_V4), *v6 = route_default_interface(ROUTE_V6);
    g_test_message("v4: %s, v6: %s", v4 ? v4 : "none", v6 ? v6 : "none");
    g_assert_true(!v4 || *v4);
    g_assert_true(!v6 || *v6);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/route/v4", test_v4);
    g_test_add_func("/route/v6", test_v6);
    g_test_add_func("/route/here", test_here);
    return g_test_run();
}
