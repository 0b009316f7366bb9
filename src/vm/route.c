/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/route.h"

#include <stdbool.h>

/* The columns that tell a default route: from anywhere (length of the mask: none), to no place in particular. */
typedef struct {
    const char *path;
    int destination, mask, metric, interface;
    const char *no_destination, *no_mask;
    guint metric_base;
} Table;

static const Table tables[] = {
    [ROUTE_V4] = {"/proc/net/route", 1, 7, 6, 0, "00000000", "00000000", 10},
    [ROUTE_V6] = {"/proc/net/ipv6_route", 0, 1, 5, 9, "00000000000000000000000000000000", "00", 16},
};

/* The words of a line. Free with g_strfreev. */
static char **split_columns(const char *line)
{
    g_auto(GStrv) parts = g_strsplit_set(line, " \t", -1);
    g_autoptr(GStrvBuilder) columns = g_strv_builder_new();
    for (char **part = parts; *part; part++) {
        if (**part)
            g_strv_builder_add(columns, *part);
    }
    return g_strv_builder_end(columns);
}

/* Routes that refuse have no interface, or the loopback. */
static bool is_default_route(const Table *table, char **columns)
{
    int needed = MAX(MAX(table->mask, table->metric), table->interface) + 1;
    return (int)g_strv_length(columns) >= needed && g_str_equal(columns[table->destination], table->no_destination) &&
           g_str_equal(columns[table->mask], table->no_mask) && !g_str_equal(columns[table->interface], "*") &&
           !g_str_equal(columns[table->interface], "lo");
}

char *route_find_default(RouteFamily family, const char *text)
{
    const Table *table = &tables[family];
    char *found = NULL;
    guint64 best = G_MAXUINT64;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_auto(GStrv) columns = split_columns(*line);
        if (!is_default_route(table, columns))
            continue;
        guint64 metric = g_ascii_strtoull(columns[table->metric], NULL, table->metric_base);
        if (metric >= best)
            continue;
        best = metric;
        g_free(found);
        found = g_strdup(columns[table->interface]);
    }
    return found;
}

char *route_default_interface(RouteFamily family)
{
    g_autofree char *text = NULL;
    return g_file_get_contents(tables[family].path, &text, NULL, NULL) ? route_find_default(family, text) : NULL;
}
