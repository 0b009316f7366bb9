/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/tcp_peer.h"

#include <glib.h>

#include "base/account.h"
#include "base/cidr.h"

#define HEAD "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
#define ROW(local, state, account, inode) ROW_TO(local, SERVER, state, account, inode)
#define ROW_TO(local, remote, state, account, inode)                                                                   \
    "   1: " local " " remote " " state " 00000000:00000000 00:00000000 00000000 " account "        0 " inode          \
    " 1 0000000000000000 20 4 30 10 -1\n"

/* How many accounts the table has for a connection from 127.0.0.1, port 8080, to an end; with one, which. */
static int search_to(const char *table, const char *server, int port, uid_t *account)
{
    TcpEnd from = {.port = 8080}, to = {.port = port};
    int count = 0;
    g_assert_true(address_parse("127.0.0.1", &from.address) && address_parse(server, &to.address));
    tcp_table_search(table, &from, &to, account, &count);
    return count;
}

static int search(const char *table, uid_t *account)
{
    return search_to(table, "127.0.0.1", 80, account);
}

#if G_BYTE_ORDER == G_LITTLE_ENDIAN
#define OWN "0100007F:1F90"
#define OWN_MAPPED "0000000000000000FFFF00000100007F:1F90"
#define OTHER "0200007F:1F90"
#define SERVER "0100007F:0050"
#define SERVER_MAPPED "0000000000000000FFFF00000100007F:0050"
#define OTHER_PORT "0100007F:0051"
#define OTHER_SERVER "0200007F:0050"
#else
#define OWN "7F000001:1F90"
#define OWN_MAPPED "00000000000000000000FFFF7F000001:1F90"
#define OTHER "7F000002:1F90"
#define SERVER "7F000001:0050"
#define SERVER_MAPPED "00000000000000000000FFFF7F000001:0050"
#define OTHER_PORT "7F000001:0051"
#define OTHER_SERVER "7F000002:0050"
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
        {HEAD ROW(OWN, "01", "33", "77") ROW(OWN, "01", "1000", "78"), 2, 0}, /* passed on to a child */
        {HEAD ROW_TO(OWN_MAPPED, SERVER_MAPPED, "01", "33", "77"), 1, 33},
        {HEAD ROW_TO(OWN, OTHER_PORT, "01", "1000", "77"), 0, 0},
        {HEAD ROW_TO(OWN, OTHER_SERVER, "01", "1000", "77") ROW(OWN, "01", "33", "78"), 1, 33},
        {HEAD ROW_TO(OWN, OTHER_SERVER, "01", "1000", "77") ROW(OWN, "06", "0", "0"), 0, 0}, /* ours is closed */
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

/* What is not known of our end is not compared. */
static void test_partly_known(void)
{
    static const char table[] = HEAD ROW_TO(OWN, OTHER_PORT, "01", "1000", "77") ROW(OWN, "01", "33", "78");
    uid_t account = 12345;
    g_assert_cmpint(search_to(table, "127.0.0.1", 80, &account), ==, 1);
    g_assert_cmpuint(account, ==, 33);
    g_assert_cmpint(search_to(table, "127.0.0.1", 0, &account), ==, 2);
    g_assert_cmpint(search_to(table, "::", 0, &account), ==, 2);
    g_assert_cmpint(search_to(table, "::", 81, &account), ==, 1);
    g_assert_cmpuint(account, ==, 1000);
    g_assert_cmpint(search_to(table, "127.0.0.2", 0, &account), ==, 0);
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
    g_test_add_func("/tcp_peer/partly-known", test_partly_known);
    g_test_add_func("/tcp_peer/accounts", test_accounts);
    return g_test_run();
}
