/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "web/chart.h"

static int scale(double share, int length)
{
    return (int)(CLAMP(share, 0, 1) * length + 0.5);
}

static int chart_x(const ChartFrame *frame, gint64 at)
{
    gint64 span = MAX(frame->end - frame->begin, 1);
    return scale((double)(at - frame->begin) / (double)span, CHART_WIDTH);
}

int chart_y(const ChartFrame *frame, double value)
{
    return CHART_HEIGHT - (frame->top > 0 ? scale(value / frame->top, CHART_HEIGHT) : 0);
}

static void append_point(GString *text, int x, int y)
{
    g_string_append_printf(text, "%s%d,%d", text->len ? " " : "", x, y);
}

/* Points `from` up to, not including, `end`. */
static json_t *stretch(const GArray *points, guint from, guint end, const ChartFrame *frame)
{
    g_autoptr(GString) line = g_string_new(NULL);
    for (guint i = from; i < end; i++) {
        const ChartPoint *point = &g_array_index(points, ChartPoint, i);
        append_point(line, chart_x(frame, point->at), chart_y(frame, point->value));
    }
    int first = chart_x(frame, g_array_index(points, ChartPoint, from).at);
    int last = chart_x(frame, g_array_index(points, ChartPoint, end - 1).at);
    g_autofree char *area = g_strdup_printf("%d,%d %s %d,%d", first, CHART_HEIGHT, line->str, last, CHART_HEIGHT);
    if (end - from == 1) /* a line of no length is drawn as a dot */
        append_point(line, first, chart_y(frame, g_array_index(points, ChartPoint, from).value));
    return json_pack("{s:s, s:s}", "line", line->str, "area", area);
}

json_t *chart_stretches(const GArray *points, const ChartFrame *frame)
{
    json_t *list = json_array();
    guint from = 0;
    for (guint i = 1; i <= points->len; i++) {
        bool is_end = i == points->len;
        if (is_end ||
            g_array_index(points, ChartPoint, i).at - g_array_index(points, ChartPoint, i - 1).at > frame->gap_s) {
            json_array_append_new(list, stretch(points, from, i, frame));
            from = i;
        }
    }
    return list;
}
