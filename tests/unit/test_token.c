/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <string.h>

#include "base/token.h"

static void test_new(void)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (int i = 0; i < 1000; i++) {
        char *token = token_new();
        g_assert_true(token_is_well_formed(token));
        g_assert_true(g_hash_table_add(seen, token));
    }
}

static void test_form(void)
{
    static const char *const bad[] = {"",
                                      ".",
                                      "..",
                                      "0123456789abcdef0123456789abcde",
                                      "0123456789abcdef0123456789abcdef0",
                                      "0123456789ABCDEF0123456789abcdef",
                                      "0123456789abcdef0123456789abcde/",
                                      "0123456789abcdef0123456789abcdeg",
                                      "../../../../../../../../../../ab",
                                      "0123456789abcdef0123456789abcde\n",
                                      " 123456789abcdef0123456789abcdef"};
    g_assert_false(token_is_well_formed(NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_false(token_is_well_formed(bad[i]));
    g_assert_true(token_is_well_formed("0123456789abcdef0123456789abcdef"));
}

/* The digest of "abc" stands in FIPS 180-2, appendix B.1. */
static void test_hash(void)
{
    g_autofree char *hash = token_hash("abc");
    g_assert_cmpstr(hash, ==, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_equal(void)
{
    g_assert_true(token_equal("", ""));
    g_assert_true(token_equal("abc", "abc"));
    g_assert_false(token_equal("abc", "abd"));
    g_assert_false(token_equal("abc", "abcd"));
    g_assert_false(token_equal("", "a"));
    g_assert_false(token_equal("a\x80", "a"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/token/new", test_new);
    g_test_add_func("/token/form", test_form);
    g_test_add_func("/token/hash", test_hash);
    g_test_add_func("/token/equal", test_equal);
    return g_test_run();
}
