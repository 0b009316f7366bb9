/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <locale.h>

#include "base/units.h"

/* What no number, duration or size may be. */
static const char *const never[] = {
    "",     " ",   "abc",    "-1",  "+1",   " 1",  "1 ",       "1\n",       "\n1",
    "0x10", "1e3", ".5",     "1.",  "1..5", "1,5", "1;2",      "12 34",     "nan",
    "inf",  "--",  "../etc", "1m5", "4 G",  "1%",  "\xd9\xa1", "1\xc2\xa0", "99999999999999999999",
    NULL};

static void test_integer(void)
{
    gint64 value;
    for (const char *const *text = never; *text; text++) {
        g_test_message("\"%s\"", *text);
        g_assert_false(units_parse_integer(*text, G_MININT64, G_MAXINT64, &value));
    }
    g_assert_false(units_parse_integer("1.5", 0, 10, &value));
    g_assert_true(units_parse_integer("0", 0, 10, &value));
    g_assert_cmpint(value, ==, 0);
    g_assert_true(units_parse_integer("0010", 0, 10, &value));
    g_assert_cmpint(value, ==, 10);
    g_assert_false(units_parse_integer("11", 0, 10, &value));
    g_assert_false(units_parse_integer("0", 1, 10, &value));
    g_assert_true(units_parse_integer("999999999999999999", 0, G_MAXINT64, &value));
    g_assert_cmpint(value, ==, 999999999999999999);
    g_assert_false(units_parse_integer("1000000000000", 1, 256, &value));
}

static void test_real(void)
{
    double value;
    for (const char *const *text = never; *text; text++)
        g_assert_false(units_parse_real(*text, -1e300, 1e300, &value));
    setlocale(LC_NUMERIC, "de_DE.UTF-8"); /* if it is there: the point stays a point */
    g_assert_true(units_parse_real("1.25", 0, 2, &value));
    setlocale(LC_NUMERIC, "C");
    g_assert_cmpfloat(value, ==, 1.25);
    g_assert_true(units_parse_real("2", 0, 2, &value));
    g_assert_false(units_parse_real("2.0001", 0, 2, &value));
}

static void test_duration(void)
{
    static const struct {
        const char *text;
        gint64 seconds;
    } cases[] = {{"0", 0},      {"90", 90},     {"90s", 90},    {"30m", 1800},   {"8h", 28800},
                 {"8H", 28800}, {"4d", 345600}, {"1.5h", 5400}, {"2w", 1209600}, {"0.5s", 1}};
    gint64 value;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_true(units_parse_duration(cases[i].text, &value));
        g_assert_cmpint(value, ==, cases[i].seconds);
    }
    for (const char *const *text = never; *text; text++)
        g_assert_false(units_parse_duration(*text, &value));
    g_assert_false(units_parse_duration("5195y", &value));
    g_assert_false(units_parse_duration("4days", &value));
    g_assert_false(units_parse_duration("99999999999999999w", &value));
}

static void test_size(void)
{
    static const struct {
        const char *text;
        gint64 mebibytes;
    } cases[] = {{"4", 4096},  {"4G", 4096},    {"4GB", 4096},  {"4GiB", 4096}, {"512M", 512}, {"512mb", 512},
                 {"0.5", 512}, {"1T", 1048576}, {"1.5G", 1536}, {"0", 0},       {"0.0001", 0}};
    gint64 value;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_true(units_parse_size(cases[i].text, &value));
        g_assert_cmpint(value, ==, cases[i].mebibytes);
    }
    for (const char *const *text = never; *text; text++)
        g_assert_false(units_parse_size(*text, &value));
    g_assert_false(units_parse_size("4K", &value));
    g_assert_false(units_parse_size("4Gi", &value));
    g_assert_false(units_parse_size("99999999999999999T", &value));
}

static void check_text(char *text, const char *expected)
{
    g_assert_cmpstr(text, ==, expected);
    g_free(text);
}

static void test_format(void)
{
    check_text(units_format_duration(0), "0 s");
    check_text(units_format_duration(59), "59 s");
    check_text(units_format_duration(60), "1 min");
    check_text(units_format_duration(30600), "8 h 30 min");
    check_text(units_format_duration(86400), "1 d");
    check_text(units_format_duration(4 * 86400 + 3600 + 60), "4 d 1 h");
    check_text(units_format_duration(31536000), "365 d");
    check_text(units_format_size(32), "32 MB");
    check_text(units_format_size(1023), "1023 MB");
    check_text(units_format_size(1024), "1 GB");
    check_text(units_format_size(1536), "1.5 GB");
    check_text(units_format_size(4194304), "4096 GB");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/units/integer", test_integer);
    g_test_add_func("/units/real", test_real);
    g_test_add_func("/units/duration", test_duration);
    g_test_add_func("/units/size", test_size);
    g_test_add_func("/units/format", test_format);
    return g_test_run();
}
