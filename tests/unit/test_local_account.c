/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "auth/local_account.h"

static void test_uid_min(void)
{
    static const struct {
        const char *text;
        unsigned expected;
    } cases[] = {
        {NULL, 1000},
        {"", 1000},
        {"UID_MIN\t\t\t 1000\nUID_MAX 60000\n", 1000},
        {"# comment\nUID_MIN 500\n", 500},
        {"  UID_MIN   2000  \n", 2000},
        {"#UID_MIN 500\n", 1000},
        {"SYS_UID_MIN 100\nSUB_UID_MIN 100000\nUID_MINIMUM 5\n", 1000},
        {"UID_MIN 0\n", 1000}, /* root is never one for people */
        {"UID_MIN -5\n", 1000},
        {"UID_MIN many\n", 1000},
        {"UID_MIN\n", 1000},
        {"UID_MIN 99999999999\n", 1000},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        g_assert_cmpuint(local_account_uid_min(cases[i].text), ==, cases[i].expected);
}

static void test_full_name(void)
{
    static const struct {
        const char *gecos, *expected;
    } cases[] = {
        {"", ""},
        {"Alice Example", "Alice Example"},
        {"Alice Example,Room 1,555,666", "Alice Example"},
        {",,,", ""},
        {"& Example,,", "Alice Example"},
        {"\xc3\x89lodie", "\xc3\x89lodie"},
        {"A\xff", "A\xef\xbf\xbd"}, /* the character for what is none */
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *name = local_account_full_name(cases[i].gecos, "alice");
        g_assert_cmpstr(name, ==, cases[i].expected);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/local-account/uid-min", test_uid_min);
    g_test_add_func("/local-account/full-name", test_full_name);
    return g_test_run();
}
