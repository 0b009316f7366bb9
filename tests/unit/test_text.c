/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Texts from outside: none may give orders to a terminal. */
#include <string.h>

#include <glib.h>

#include "base/text.h"

static void test_terminal(void)
{
    static const char *const pairs[][2] = {
        {"", ""},
        {"plain, caf\xc3\xa9 \xe2\x82\xac\n\ttab", "plain, caf\xc3\xa9 \xe2\x82\xac\n\ttab"},
        {"one\r\ntwo\r\n", "one\ntwo\n"},
        {"50%\r60%\r", "50%^M60%^M"},
        {"\033[2J\033]0;title\007", "^[[2J^[]0;title^G"},
        {"a\bb\177c", "a^Hb^?c"},
        {"\xc2\x9b"
         "31m",
         "\\xc2\\x9b31m"}, /* CSI as one character */
        {"\x9b"
         "31m",
         "\\x9b31m"},                                    /* and as one byte */
        {"abc\xe2\x80\xaetxt", "abc\\xe2\\x80\\xaetxt"}, /* right to left from here on */
        {"cut \xe2\x82", "cut \\xe2\\x82"},
        {"\xff\xfe", "\\xff\\xfe"},
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
        g_autofree char *shown = text_for_terminal(pairs[i][0], strlen(pairs[i][0]));
        g_assert_cmpstr(shown, ==, pairs[i][1]);
    }
}

static void test_terminal_zeros(void)
{
    g_autofree char *shown = text_for_terminal("a\0b\r", 4);
    g_assert_cmpstr(shown, ==, "a^@b^M");
}

/* Every byte, beside every other: UTF-8 comes out, and no control character but line ends and tabs. */
static void test_terminal_all(void)
{
    char text[2 * 256 * 256];
    for (int i = 0; i < 256 * 256; i++) {
        text[2 * i] = (char)(i / 256);
        text[2 * i + 1] = (char)(i % 256);
    }
    g_autofree char *shown = text_for_terminal(text, sizeof text);
    g_assert_true(g_utf8_validate(shown, -1, NULL));
    for (const char *c = shown; *c; c = g_utf8_next_char(c)) {
        gunichar character = g_utf8_get_char(c);
        g_assert_true(character == '\n' || character == '\t' || g_unichar_isprint(character));
    }
}

static void test_flatten(void)
{
    g_autofree char *text = g_strdup("a\nb\tc\033d\177");
    g_assert_true(text_has_controls(text));
    text_flatten(text);
    g_assert_cmpstr(text, ==, "a b c d ");
    g_assert_false(text_has_controls(text));
}

static void test_wrap(void)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"one two", "one two"},
        {"one two three four", "one two\nthree\nfour"},
        {"abcdefgh ij\nkl\n", "abcdefgh\nij\nkl\n"},
        {"https://a.long.link/ is whole\n\n", "https://a.long.link/\nis whole\n\n"},
        {"\xc3\xa9t\xc3\xa9s \xc3\xa9t\xc3\xa9 x", "\xc3\xa9t\xc3\xa9s \xc3\xa9t\xc3\xa9\nx"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = text_wrap(cases[i][0], 8);
        g_assert_cmpstr(text, ==, cases[i][1]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/text/terminal", test_terminal);
    g_test_add_func("/text/terminal-zeros", test_terminal_zeros);
    g_test_add_func("/text/terminal-all", test_terminal_all);
    g_test_add_func("/text/flatten", test_flatten);
    g_test_add_func("/text/wrap", test_wrap);
    return g_test_run();
}
