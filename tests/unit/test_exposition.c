/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Prometheus' text format, letter by letter; tests/session/metrics.test.mjs has it read by Prometheus' own parser. */
#include <locale.h>
#include <math.h>

#include "base/exposition.h"

static void test_family(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    exposition_family(text, "qwd_x", "gauge", "A \"back\\slash\"\nand a line.");
    exposition_sample(text, "qwd_x", 1, NULL);
    exposition_sample(text, "qwd_x", 2, "a", "b", "c", "d e", NULL);
    g_assert_cmpstr(
        text->str, ==,
        "# HELP qwd_x A \"back\\\\slash\"\\nand a line.\n# TYPE qwd_x gauge\nqwd_x 1\nqwd_x{a=\"b\",c=\"d e\"} 2\n");
}

static void test_labels(void)
{
    static const char *const pairs[][2] = {
        {"", ""},
        {"a\"b", "a\\\"b"},
        {"a\\", "a\\\\"},
        {"a\nb", "a\\nb"},
        {"{a=1},", "{a=1},"},
        {"\\n", "\\\\n"},
        {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"\xff", "\xef\xbf\xbd"},
        {"a\tb", "a^Ib"},
        {"a\x1b[2J\r\x7f", "a^[[2J^M^?"},
        {"\xc2\x9b"
         "2J",
         "\\\\xc2\\\\x9b"
         "2J"},
        {"a\n\nb\n", "a\\n\\nb\\n"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
        g_autoptr(GString) text = g_string_new(NULL);
        g_autofree char *expected = g_strdup_printf("x{l=\"%s\"} 0\n", pairs[i][1]);
        exposition_sample(text, "x", 0, "l", pairs[i][0], NULL);
        g_assert_cmpstr(text->str, ==, expected);
    }
}

static void test_numbers(void)
{
    static const struct {
        double value;
        const char *text;
    } pairs[] = {{0, "0"},
                 {-1.5, "-1.5"},
                 {0.1, "0.1"},
                 {1e15, "1e+15"},
                 {123456789012, "123456789012"},
                 {INFINITY, "+Inf"},
                 {-INFINITY, "-Inf"},
                 {NAN, "NaN"},
                 {1.0 / 3, "0.333333333333333"}};
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
        g_autoptr(GString) text = g_string_new(NULL);
        g_autofree char *expected = g_strdup_printf("x %s\n", pairs[i].text);
        exposition_sample(text, "x", pairs[i].value, NULL);
        g_assert_cmpstr(text->str, ==, expected);
    }
}

static void test_histogram(void)
{
    static const double bounds[] = {0.5, 1, 10};
    static const gint64 counts[] = {1, 0, 2, 4};
    const ExpositionHistogram histogram = {.bounds = bounds, .counts = counts, .bound_count = 3, .sum = 99.25};
    g_autoptr(GString) text = g_string_new(NULL);
    exposition_histogram(text, "h", &histogram);
    g_assert_cmpstr(text->str, ==,
                    "h_bucket{le=\"0.5\"} 1\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"10\"} 3\nh_bucket{le=\"+Inf\"} 7\n"
                    "h_sum 99.25\nh_count 7\n");
}

int main(int argc, char **argv)
{
    setlocale(LC_ALL, "");
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/exposition/family", test_family);
    g_test_add_func("/exposition/labels", test_labels);
    g_test_add_func("/exposition/numbers", test_numbers);
    g_test_add_func("/exposition/histogram", test_histogram);
    return g_test_run();
}
