/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/exposition.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>

#include "base/text.h"

/* --- texts and numbers --- */

/* Backslashes are escaped everywhere, double quotes in labels. The format has no escapes for control characters. */
static void append_line(GString *text, const char *line, bool in_quotes)
{
    g_autofree char *shown = text_for_line(line);
    for (const char *c = shown; *c; c++) {
        if (*c == '\\' || (*c == '"' && in_quotes))
            g_string_append_c(text, '\\');
        g_string_append_c(text, *c);
    }
}

static void append_escaped(GString *text, const char *value, bool in_quotes)
{
    g_autofree char *valid = g_utf8_make_valid(value, -1);
    g_auto(GStrv) lines = g_strsplit(valid, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_string_append(text, line == lines ? "" : "\\n");
        append_line(text, *line, in_quotes);
    }
}

/* With a point, whatever the locale. */
static void append_number(GString *text, double value)
{
    char buffer[G_ASCII_DTOSTR_BUF_SIZE];
    if (isnan(value))
        g_string_append(text, "NaN");
    else if (isinf(value))
        g_string_append(text, value > 0 ? "+Inf" : "-Inf");
    else
        g_string_append(text, g_ascii_formatd(buffer, sizeof buffer, "%.15g", value));
}

/* --- families and samples --- */

void exposition_family(GString *text, const char *name, const char *type, const char *help)
{
    g_string_append_printf(text, "# HELP %s ", name);
    append_escaped(text, help, false);
    g_string_append_printf(text, "\n# TYPE %s %s\n", name, type);
}

static void append_labels(GString *text, va_list labels)
{
    char separator = '{';
    for (const char *label; (label = va_arg(labels, const char *));) {
        g_string_append_printf(text, "%c%s=\"", separator, label);
        append_escaped(text, va_arg(labels, const char *), true);
        g_string_append_c(text, '"');
        separator = ',';
    }
    if (separator == ',')
        g_string_append_c(text, '}');
}

void exposition_sample(GString *text, const char *name, double value, ...)
{
    va_list labels;
    g_string_append(text, name);
    va_start(labels, value);
    append_labels(text, labels);
    va_end(labels);
    g_string_append_c(text, ' ');
    append_number(text, value);
    g_string_append_c(text, '\n');
}

void exposition_histogram(GString *text, const char *name, const ExpositionHistogram *histogram)
{
    g_autofree char *bucket = g_strconcat(name, "_bucket", NULL);
    g_autofree char *sum = g_strconcat(name, "_sum", NULL);
    g_autofree char *count = g_strconcat(name, "_count", NULL);
    gint64 below = 0;
    for (size_t i = 0; i <= histogram->bound_count; i++) {
        g_autoptr(GString) bound = g_string_new(NULL);
        append_number(bound, i < histogram->bound_count ? histogram->bounds[i] : INFINITY);
        below += histogram->counts[i];
        exposition_sample(text, bucket, (double)below, "le", bound->str, NULL);
    }
    exposition_sample(text, sum, histogram->sum, NULL);
    exposition_sample(text, count, (double)below, NULL);
}
