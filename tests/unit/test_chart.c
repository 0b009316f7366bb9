/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Curves as points of SVG polylines. */
#include "base/json.h"
#include "web/chart.h"

static GArray *points_of(const ChartPoint *points, guint count)
{
    return g_array_append_vals(g_array_new(FALSE, FALSE, sizeof(ChartPoint)), points, count);
}

static const char *text_of(const json_t *stretches, size_t i, const char *key)
{
    return json_get_text(json_array_get(stretches, i), key, "");
}

/* 0 to 2880 seconds, so that a second is a unit. */
static const ChartFrame frame = {.begin = 1000, .end = 1000 + CHART_WIDTH, .top = 10, .gap_s = 100};

static void test_none(void)
{
    g_autoptr(GArray) points = points_of(NULL, 0);
    g_autoptr(JsonValue) stretches = chart_stretches(points, &frame);
    g_assert_cmpint(json_array_size(stretches), ==, 0);
}

static void test_one(void)
{
    const ChartPoint one = {1500, 5};
    g_autoptr(GArray) points = points_of(&one, 1);
    g_autoptr(JsonValue) stretches = chart_stretches(points, &frame);
    g_assert_cmpint(json_array_size(stretches), ==, 1);
    g_assert_cmpstr(text_of(stretches, 0, "line"), ==, "500,300 500,300"); /* a dot */
}

static void test_line(void)
{
    static const ChartPoint given[] = {{1000, 0}, {1100, 2.5}, {1200, 10}};
    g_autoptr(GArray) points = points_of(given, G_N_ELEMENTS(given));
    g_autoptr(JsonValue) stretches = chart_stretches(points, &frame);
    g_assert_cmpint(json_array_size(stretches), ==, 1);
    g_assert_cmpstr(text_of(stretches, 0, "line"), ==, "0,600 100,450 200,0");
    g_assert_cmpstr(text_of(stretches, 0, "area"), ==, "0,600 0,600 100,450 200,0 200,600");
}

/* Where nothing is known, nothing is drawn. */
static void test_gaps(void)
{
    static const ChartPoint given[] = {{1000, 10}, {1100, 10}, {1201, 10}, {1900, 10}, {2000, 10}};
    g_autoptr(GArray) points = points_of(given, G_N_ELEMENTS(given));
    g_autoptr(JsonValue) stretches = chart_stretches(points, &frame);
    g_assert_cmpint(json_array_size(stretches), ==, 3);
    g_assert_cmpstr(text_of(stretches, 0, "line"), ==, "0,0 100,0");
    g_assert_cmpstr(text_of(stretches, 1, "line"), ==, "201,0 201,0");
    g_assert_cmpstr(text_of(stretches, 2, "line"), ==, "900,0 1000,0");
}

/* What is beyond an edge is drawn on it. */
static void test_edges(void)
{
    static const ChartPoint given[] = {{0, -5}, {90, 1e300}};
    g_autoptr(GArray) points = points_of(given, G_N_ELEMENTS(given));
    g_autoptr(JsonValue) stretches = chart_stretches(points, &frame);
    g_assert_cmpstr(text_of(stretches, 0, "line"), ==, "0,600 0,0");
    g_assert_cmpint(chart_y(&frame, 5), ==, 300);
    ChartFrame flat = {.top = 0};
    g_assert_cmpint(chart_y(&flat, 5), ==, CHART_HEIGHT);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/chart/none", test_none);
    g_test_add_func("/chart/one", test_one);
    g_test_add_func("/chart/line", test_line);
    g_test_add_func("/chart/gaps", test_gaps);
    g_test_add_func("/chart/edges", test_edges);
    return g_test_run();
}
