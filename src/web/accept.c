/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "web/accept.h"

#include <glib.h>
#include <string.h>

#include "base/units.h"

/* How well a media type is accepted. */
typedef struct {
    int exactness; /* 0 not named, 1 all types, 2 type and all subtypes, 3 exactly */
    double weight; /* q, 0..1 */
} Match;

static int exactness_of(const char *range, const char *type)
{
    size_t slash = strcspn(type, "/") + 1;
    if (g_ascii_strcasecmp(range, type) == 0)
        return 3;
    if (g_ascii_strncasecmp(range, type, slash) == 0 && g_str_equal(range + slash, "*"))
        return 2;
    return g_str_equal(range, "*/*") ? 1 : 0;
}

/* The q among the parameters of a range; 1 when there is none, 0 when it is malformed. */
static double weight_of(char *const *parameters)
{
    double weight = 1;
    for (; *parameters; parameters++) {
        const char *parameter = g_strstrip(*parameters);
        if (g_ascii_strncasecmp(parameter, "q=", 2) == 0)
            return units_parse_real(parameter + 2, 0, 1, &weight) ? weight : 0;
    }
    return weight;
}

static Match match_of(const char *accept, const char *type)
{
    Match best = {0, 0};
    g_auto(GStrv) ranges = g_strsplit(accept, ",", -1);
    for (char **range = ranges; *range; range++) {
        g_auto(GStrv) parts = g_strsplit(*range, ";", -1);
        int exactness = parts[0] ? exactness_of(g_strstrip(parts[0]), type) : 0;
        if (exactness > best.exactness)
            best = (Match){exactness, weight_of(parts + 1)};
    }
    return best;
}

bool accept_prefers(const char *accept, const char *a, const char *b)
{
    Match ours = match_of(accept, a), other = match_of(accept, b);
    if (ours.weight != other.weight)
        return ours.weight > other.weight;
    return ours.weight > 0 && ours.exactness > other.exactness;
}
