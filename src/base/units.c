/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/units.h"

#include <string.h>

#include "base/text.h"

#define DIGITS "0123456789"
#define NUMBER_MAX_CHARS 18

bool units_parse_integer(const char *text, gint64 min, gint64 max, gint64 *value)
{
    size_t length = strlen(text);
    if (length == 0 || length > NUMBER_MAX_CHARS || strspn(text, DIGITS) != length)
        return false;
    *value = g_ascii_strtoll(text, NULL, 10);
    return *value >= min && *value <= max;
}

/* Reads digits with at most one point in between; *rest is what follows. */
static bool parse_number(const char *text, double *value, const char **rest)
{
    size_t whole = strspn(text, DIGITS);
    size_t length = whole;
    if (text[whole] == '.' && g_ascii_isdigit(text[whole + 1]))
        length += 1 + strspn(text + whole + 1, DIGITS);
    if (whole == 0 || length > NUMBER_MAX_CHARS)
        return false;
    *value = g_ascii_strtod(text, NULL);
    *rest = text + length;
    return true;
}

bool units_parse_real(const char *text, double min, double max, double *value)
{
    const char *rest;
    return parse_number(text, value, &rest) && *rest == '\0' && *value >= min && *value <= max;
}

typedef struct {
    const char *suffix;
    double factor;
} Unit;

static const Unit duration_units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"w", 604800}};

static const Unit size_units[] = {
    {"", 1024},   {"M", 1},      {"MB", 1},          {"MiB", 1},          {"G", 1024},
    {"GB", 1024}, {"GiB", 1024}, {"T", 1024 * 1024}, {"TB", 1024 * 1024}, {"TiB", 1024 * 1024},
};

static bool parse_with_unit(const char *text, const Unit *units, size_t count, gint64 *value)
{
    double number;
    const char *rest;
    if (!parse_number(text, &number, &rest))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (g_ascii_strcasecmp(rest, units[i].suffix) == 0) {
            double result = number * units[i].factor;
            if (result > 9e15)
                return false;
            *value = (gint64)(result + 0.5);
            return true;
        }
    }
    return false;
}

bool units_parse_duration(const char *text, gint64 *seconds)
{
    return parse_with_unit(text, duration_units, G_N_ELEMENTS(duration_units), seconds);
}

bool units_parse_size(const char *text, gint64 *mebibytes)
{
    return parse_with_unit(text, size_units, G_N_ELEMENTS(size_units), mebibytes);
}

/* Formats of their own, for catalogues: a language may have other units. */
char *units_format_duration(gint64 seconds)
{
    gint64 days = seconds / 86400;
    int hours = (int)(seconds / 3600 % 24), minutes = (int)(seconds / 60 % 60);
    if (days && hours)
        return g_strdup_printf(N_("%" G_GINT64_FORMAT " d %d h"), days, hours);
    if (days)
        return g_strdup_printf(N_("%" G_GINT64_FORMAT " d"), days);
    if (hours && minutes)
        return g_strdup_printf(N_("%d h %d min"), hours, minutes);
    if (hours)
        return g_strdup_printf(N_("%d h"), hours);
    return minutes ? g_strdup_printf(N_("%d min"), minutes) : g_strdup_printf(N_("%d s"), (int)seconds);
}

char *units_format_size(gint64 mebibytes)
{
    if (mebibytes < 1024)
        return g_strdup_printf(N_("%d MB"), (int)mebibytes);
    if (mebibytes % 1024 == 0)
        return g_strdup_printf(N_("%" G_GINT64_FORMAT " GB"), mebibytes / 1024);
    return g_strdup_printf(N_("%.1f GB"), (double)mebibytes / 1024);
}
