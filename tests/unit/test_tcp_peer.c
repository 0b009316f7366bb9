/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/tcp_peer.h"

#include <glib.h>

#include "base/account.h"
#include "base/cidr.h"

#define HEAD "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
#define ROW(local, state, account, inode)                                                                              \
    "   1: " local " 0100007F:0050 " state " 00000000:00000000 00:00000000 00000000 " account "        0 " inode       \
    " 1 0000000000000000 20 4 30 10 -1\n"

/* How many accounts the table has for 127.0.0.1, port 8080; with one, which. */
static int search(const char *table, uid_t *account)
{
    struct in6_addr address;
    int count = 0;
    g_assert_true(address_parse("127.0.0.1", &address));
    tcp_table_search(table, &address, 8080, account, &count);
    return count;
}

#if G_BYTE_ORDER == G_LITTLE_ENDIAN
#define OWN "0100007F:1F90"
#define OWN_MAPPED "0000000000000000FFFF00000100007F:1F90"
#define OTHER "0200007F:1F90"
#else
#define OWN "7F000001:1F90"
#define OWN_MAPPED "00000000000000000000FFFF7F000001:1F90"
#define OTHER "7F000002:1F90"
#endif

static void test_tables(void)
{
    static const struct {
        const char *table;
        int count;
        uid_t account;
    } rows[] = {
        {"", 0, 0},
        {HEAD, 0, 0},
        {HEAD ROW(OWN, "01", "33", "77"), 1, 33},
        {HEAD ROW(OTHER, "01", "33", "77") ROW(OWN, "01", "1000", "78"), 1, 1000},
        {HEAD ROW(OWN_MAPPED, "01", "65534", "77"), 1, 65534},
        {HEAD ROW(OWN, "0A", "33", "77"), 0, 0}, /* it listens */
        {HEAD ROW(OWN, "06", "0", "0"), 0, 0},   /* TIME_WAIT is nobody's, not root's */
        {HEAD ROW(OWN, "04", "0", "0"), 0, 0},   /* closed by its program */
        {HEAD ROW(OWN, "01", "33", "77") ROW(OWN, "01", "33", "78"), 1, 33},
        {HEAD ROW(OWN, "01", "33", "77") ROW(OWN, "01", "1000", "78"), 2, 0}, /* to two servers */
        {HEAD ROW(OWN, "01", "1000", "77") ROW(OWN, "01", "33", "78") ROW(OWN, "01", "1000", "79"), 2, 0},
        {HEAD "   1: " OWN " 01000", 0, 0},
        {"nonsense\n\n  : \n", 0, 0},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        uid_t account = 12345;
        g_assert_cmpint(search(rows[i].table, &account), ==, rows[i].count);
        if (rows[i].count == 1)
            g_assert_cmpuint(account, ==, rows[i].account);
    }
}

static void test_accounts(void)
{
    static const uid_t systems[] = {1, 33, 101, 999, 61184, 65000, 65534, 65535, 4000000};
    g_assert_true(account_is_of_people(0));
    for (size_t i = 0; i < G_N_ELEMENTS(systems); i++)
        g_assert_false(account_is_of_people(systems[i]));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tcp_peer/tables", test_tables);
    g_test_add_func("/tcp_peer/accounts", test_accounts);
    return g_test_run();
}
