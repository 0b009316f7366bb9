/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What a page says of the start of a session. */
#include <string.h>

#include "base/json.h"
#include "web/catalogue.h"
#include "web/page_life.h"
#include "web/page_parts.h"

/* The page shows four steps; a supervisor has more (session/steps.c). */
static const struct {
    const char *name, *text;
    const char *covers; /* the supervisor's steps, between spaces */
    gint64 long_s;      /* from then on it takes long; 0 never */
    const char *advice; /* what one can do then */
} shown_steps[] = {
    {"queued", N_("Queued"), " ", 300,
     N_("It takes long to get room. Sessions of your own that you do not need take room, too: stop them under My "
        "sessions.")},
    {"disk", N_("Preparing the disk"), " prepare accelerator disk network folders script ", 20,
     N_("This takes longer than usual: the server is busy, or the disk is large. If nothing has happened in some "
        "minutes, cancel it and try again later.")},
    {"starting", N_("Starting the machine"), " starting display ", 20,
     N_("This takes longer than usual: the server is busy. If nothing has happened in some minutes, cancel it and try "
        "again with less memory, or later.")},
    {"ready", N_("Ready"), " ", 0, NULL},
};

static bool covers(size_t shown, const char *step)
{
    g_autofree char *word = g_strdup_printf(" %s ", step);
    return *step && strstr(shown_steps[shown].covers, word);
}

static bool is_waiting(const SessionRecord *session)
{
    return session->state == SESSION_QUEUED || session->state == SESSION_STARTING;
}

/* The shown step that a session is at, or was at when it failed or was stopped; one behind the last when it is ready.
 * One that was ready once, and stops or has ended, is not. */
static size_t current_step(const SessionRecord *session)
{
    if (session->state == SESSION_RUNNING)
        return G_N_ELEMENTS(shown_steps);
    for (size_t i = 0; session->state != SESSION_QUEUED && i < G_N_ELEMENTS(shown_steps); i++) {
        if (covers(i, session->step))
            return i;
    }
    if (is_waiting(session))
        return session->state == SESSION_STARTING ? 1 : 0;
    return session->ready_at ? G_N_ELEMENTS(shown_steps) - 1 : session->started_at ? 1 : 0;
}

static gint64 step_duration_ms(const SessionRecord *session, size_t shown)
{
    gint64 total = 0;
    for (guint i = 0; i < session->steps->len; i++) {
        const SessionStep *step = session->steps->pdata[i];
        if (covers(shown, step->name))
            total += step->duration_ms;
    }
    return total;
}

/* When the shown step began that it is at: the supervisor notes how long each of its own took. */
static gint64 step_since(const SessionRecord *session, size_t current)
{
    gint64 past_ms = 0;
    for (size_t i = 0; i < current; i++)
        past_ms += step_duration_ms(session, i);
    return MAX(session->started_at, session->created_at) + past_ms / 1000;
}

static json_t *step_value(const SessionRecord *session, size_t shown, size_t current)
{
    bool has_duration = shown < current && strlen(shown_steps[shown].covers) > 1;
    json_t *took = has_duration ? json_take_text(tr_format("%.1f s", (double)step_duration_ms(session, shown) / 1000))
                                : json_null();
    bool is_now = shown == current && is_waiting(session);
    gint64 since = is_now ? step_since(session, current) : 0;
    return json_pack("{s:s, s:s, s:b, s:b, s:o, s:o}", "name", shown_steps[shown].name, "text",
                     tr(shown_steps[shown].text), "is_done", (int)(shown < current), "is_now", (int)is_now, "took",
                     took, "since", time_of_day_value(since));
}

json_t *steps_value(const SessionRecord *session)
{
    json_t *list = json_array();
    size_t current = current_step(session);
    for (size_t i = 0; i < G_N_ELEMENTS(shown_steps); i++)
        json_array_append_new(list, step_value(session, i, current));
    return list;
}

json_t *step_advice(const SessionRecord *session, gint64 now)
{
    size_t current = current_step(session);
    if (!is_waiting(session) || !shown_steps[current].advice)
        return json_null();
    bool is_long = now - step_since(session, current) >= shown_steps[current].long_s;
    return is_long ? json_string(tr(shown_steps[current].advice)) : json_null();
}
