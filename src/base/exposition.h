/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Figures as Prometheus reads them: its text exposition format, version 0.0.4. */
#pragma once

#include <glib.h>

#define EXPOSITION_TYPE "text/plain; version=0.0.4" /* in UTF-8 */

/* Begins a family: `type` is "counter", "gauge" or "histogram". All its samples have to follow. */
void exposition_family(GString *text, const char *name, const char *type, const char *help);

/* Adds a sample with labels: names and values in turn, up to a NULL. Values may be any text. */
void exposition_sample(GString *text, const char *name, double value, ...) G_GNUC_NULL_TERMINATED;

/* A histogram without labels. */
typedef struct {
    const double *bounds; /* upper ones, rising, without the infinite one */
    const gint64 *counts; /* of each bucket alone; one more than there are bounds: what is above the last */
    size_t bound_count;
    double sum;
} ExpositionHistogram;

/* Adds the samples NAME_bucket, NAME_sum and NAME_count. */
void exposition_histogram(GString *text, const char *name, const ExpositionHistogram *histogram);
