/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Durations ("90", "8h", "4d") and sizes ("512M", "4G") as people write them. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Whole number in [min, max], digits only: no sign, no space, no exponent. */
bool units_parse_integer(const char *text, gint64 min, gint64 max, gint64 *value);

/* Number with an optional decimal part in [min, max]; a point, whatever the locale. */
bool units_parse_real(const char *text, double min, double max, double *value);

/* Seconds; units s, m, h, d, w; without a unit seconds. */
bool units_parse_duration(const char *text, gint64 *seconds);

/* MiB; units M, G, T (binary; an optional B or iB may follow); without a unit GiB, as the original counts. */
bool units_parse_size(const char *text, gint64 *mebibytes);

/* "4 d", "8 h 30 min", "45 s": for people. Free with g_free. */
char *units_format_duration(gint64 seconds);

/* "512 MB", "4 GB", "1.5 GB": for people. Free with g_free. */
char *units_format_size(gint64 mebibytes);
