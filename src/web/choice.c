/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "web/choice.h"

#include "base/json.h"
#include "base/units.h"
#include "core/host.h"
#include "web/catalogue.h"

/* --- the kinds --- */

static bool parse_cores(const char *text, gint64 *value)
{
    return units_parse_integer(text, 1, 256, value);
}

static char *cores_text(gint64 value)
{
    return tr_count("%d core", "%d cores", value);
}

static char *memory_text(gint64 mebibytes)
{
    return tr_size(mebibytes);
}

/* "2 hours", "1 day": the largest unit that leaves nothing over. */
static char *lifetime_text(gint64 seconds)
{
    static const struct {
        gint64 seconds;
        const char *one, *many;
    } units[] = {{86400, N_("%d day"), N_("%d days")},
                 {3600, N_("%d hour"), N_("%d hours")},
                 {60, N_("%d minute"), N_("%d minutes")},
                 {1, N_("%d second"), N_("%d seconds")}};
    size_t i = 0;
    while (seconds % units[i].seconds != 0)
        i++;
    return tr_count(units[i].one, units[i].many, seconds / units[i].seconds);
}

typedef struct {
    bool (*parse)(const char *text, gint64 *value);
    char *(*text)(gint64 value);
    const char *word; /* format of a value of the form */
    size_t offset;    /* of the most in Choices */
} Kind;

static const Kind kinds[CHOICE_KINDS] = {
    [CHOICE_CPUS] = {parse_cores, cores_text, "", offsetof(Choices, cpus_max)},
    [CHOICE_MEMORY] = {units_parse_size, memory_text, "M", offsetof(Choices, memory_max_mib)},
    [CHOICE_LIFETIME] = {units_parse_duration, lifetime_text, "s", offsetof(Choices, lifetime_max_s)},
};

gint64 choice_most(ChoiceKind kind, const Choices *choices)
{
    return *(const gint64 *)(const void *)((const char *)choices + kinds[kind].offset);
}

json_t *choice_most_text(ChoiceKind kind, const char *list, const Choices *choices)
{
    return *list ? json_take_text(kinds[kind].text(choice_most(kind, choices))) : json_null();
}

/* --- a list --- */

/* What the settings and the host have to say of a kind. */
typedef struct {
    char **offered;
    gint64 most, proposed;
} Offer;

static Offer offer_of(const Settings *settings, ChoiceKind kind)
{
    g_auto(Host) host = {0};
    host_read(&host);
    const Offer offers[CHOICE_KINDS] = {
        [CHOICE_CPUS] = {settings->form_cpu, host.cpus, settings->snapshot_alloc_cpu},
        [CHOICE_MEMORY] = {settings->form_memory, host.memory_mib, settings->snapshot_alloc_mem},
        [CHOICE_LIFETIME] = {settings->form_lifetime, settings->snapshot_lifetime, 86400},
    };
    return offers[kind];
}

static void add(json_t *list, const Kind *kind, const char *word, gint64 value)
{
    json_array_append_new(list,
                          json_pack("{s:s, s:o, s:I, s:b}", "value", word, "text", json_take_text(kind->text(value)),
                                    "amount", (json_int_t)value, "selected", 0));
}

static gint64 amount_of(const json_t *item)
{
    return json_get_integer(item, "amount", 0);
}

/* The largest value that does not exceed the default is selected, else the smallest. */
static void select_one(json_t *list, gint64 proposed)
{
    size_t i;
    json_t *item, *best = NULL;
    json_array_foreach(list, i, item)
    {
        gint64 value = amount_of(item), before = best ? amount_of(best) : 0;
        bool closer = value <= proposed ? before > proposed || value > before : before > proposed && value < before;
        if (!best || closer)
            best = item;
    }
    if (best)
        json_object_set_new(best, "selected", json_true());
}

json_t *choice_values(const Settings *settings, ChoiceKind which, const Choices *choices)
{
    const Kind *kind = &kinds[which];
    Offer offer = offer_of(settings, which);
    gint64 own = choice_most(which, choices), most = MIN(own, offer.most), largest = 0, value;
    json_t *list = json_array();
    for (char **word = offer.offered; *word; word++) {
        if (!kind->parse(*word, &value) || value > most)
            continue;
        add(list, kind, *word, value);
        largest = MAX(largest, value);
    }
    if (own <= offer.most && own > largest) {
        g_autofree char *word = g_strdup_printf("%" G_GINT64_FORMAT "%s", own, kind->word);
        add(list, kind, word, own);
    }
    select_one(list, offer.proposed);
    return list;
}
