/* SPDX-License-Identifier: AGPL-3.0-or-later
 * A curve over time as points of SVG polylines, in whole numbers of a CHART_WIDTH x CHART_HEIGHT picture. */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#define CHART_WIDTH 2880
#define CHART_HEIGHT 600

typedef struct {
    gint64 at; /* UTC seconds */
    double value;
} ChartPoint;

/* What the edges of the picture stand for. */
typedef struct {
    gint64 begin, end; /* UTC seconds, left and right */
    double top;        /* the lower edge is 0 */
    gint64 gap_s;      /* points that are further apart are not connected: nothing is known of the time between */
} ChartFrame;

/* The y of a value: values beyond the edges are drawn on them. */
int chart_y(const ChartFrame *frame, double value);

/* The curve of points (GArray of ChartPoint, in order of time): [{"line": "0,600 10,300", "area": the same down to the
 * lower edge}, ...], one for each stretch without a gap. New reference. */
json_t *chart_stretches(const GArray *points, const ChartFrame *frame);
