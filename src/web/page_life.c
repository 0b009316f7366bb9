/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "web/page_life.h"

#include "app/keep.h"
#include "base/json.h"
#include "core/kept.h"
#include "core/life.h"
#include "web/catalogue.h"

/* --- extending --- */

bool may_press_extend(const Settings *settings, const Identity *who, const SessionRecord *session)
{
    return policy_allows(settings, who, ACTION_EXTEND, session, NULL) &&
           (who->is_admin || life_may_extend(settings, session, NULL));
}

/* "1 day", "12 hours": whole numbers in words, others as elsewhere. */
static char *long_duration(gint64 seconds)
{
    static const struct {
        gint64 seconds;
        const char *one, *many;
    } units[] = {{86400, N_("%d day"), N_("%d days")},
                 {3600, N_("%d hour"), N_("%d hours")},
                 {60, N_("%d minute"), N_("%d minutes")}};
    for (size_t i = 0; i < G_N_ELEMENTS(units); i++) {
        gint64 count = seconds / units[i].seconds;
        if (count && seconds % units[i].seconds == 0)
            return tr_count(units[i].one, units[i].many, count);
    }
    return tr_duration(seconds);
}

static gint64 gain_of(const Settings *settings, const Identity *who, const SessionRecord *session)
{
    const LifeExtension press = {.by_admin = who->is_admin, .now = session_now()};
    return life_extension_gain_s(settings, session, &press);
}

json_t *extension_text(const Settings *settings, const Identity *who, const SessionRecord *session)
{
    gint64 most = life_extension_s(settings), gain = gain_of(settings, who, session);
    bool is_part = gain && gain < most; /* which grows as time goes on: what changes each second is no help */
    g_autofree char *text = long_duration(is_part ? gain - gain % (gain < 3600 ? 60 : 3600) : most);
    return json_string(text);
}

/* --- ends that are near --- */

typedef struct {
    const char *kind, *text, *before; /* a sentence; how the time is introduced, "It ends" */
    const char *help;                 /* what one can do, or "" */
    gint64 end;
    bool is_calm, may_stay; /* there is time; a press on a button keeps it running */
} Ending;

static const char lost[] = N_("Save what you need: its disk goes with it.");

static Ending end_of_life(const Settings *settings, const SessionRecord *session, bool may_extend)
{
    bool kept = kept_promise(settings, session, session_now()) != 0;
    return (Ending){.kind = "time",
                    .text = N_("The time of this session is nearly over."),
                    .before = N_("It ends"),
                    .help = may_extend ? N_("Extend it to go on.")
                            : kept     ? N_("Save your work. The disk is kept for a while, so that you can resume it.")
                                       : lost,
                    .end = session->ends_at};
}

static Ending end_of_idle(const SessionRecord *session)
{
    return (Ending){
        .kind = "idle",
        .text = N_("Nobody has used this session for a while, so it is going to be stopped."),
        .before = N_("That happens"),
        .help = N_("Any key or a movement of the mouse in its window keeps it running, and so does the button here."),
        .end = session->idle_stop_at,
        .may_stay = true};
}

static Ending end_of_unused(const SessionRecord *session)
{
    return (Ending){.kind = "unused",
                    .text = N_("Nobody has connected yet."),
                    .before = N_("Unless somebody does, the session ends"),
                    .help = "",
                    .end = session->unused_stop_at,
                    .is_calm = true};
}

/* The end of an idle session comes first where both are near: it is the one that a press on a button takes away. */
static Ending nearest(const Settings *settings, const SessionRecord *session, bool may_extend)
{
    gint64 warns_at = life_warns_at(settings, session);
    if (session->idle_stop_at)
        return end_of_idle(session);
    if (warns_at && warns_at <= session_now())
        return end_of_life(settings, session, may_extend);
    return session->unused_stop_at ? end_of_unused(session) : (Ending){0};
}

json_t *ending_value(const Settings *settings, const Identity *who, const SessionRecord *session)
{
    bool may_extend = may_press_extend(settings, who, session) && gain_of(settings, who, session) > 0;
    Ending ending = session->state == SESSION_RUNNING ? nearest(settings, session, may_extend) : (Ending){0};
    if (!ending.kind)
        return json_null();
    bool offers_extension = may_extend && g_str_equal(ending.kind, "time");
    bool may_stay = ending.may_stay && policy_allows(settings, who, ACTION_EXTEND, session, NULL);
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:b, s:b, s:b}", "kind", ending.kind, "what", tr(ending.text), "before",
                     tr(ending.before), "help", tr(ending.help), "time", time_value(ending.end), "is_calm",
                     (int)ending.is_calm, "offers_extension", (int)offers_extension, "may_stay", (int)may_stay);
}

/* --- kept disks --- */

/* In the words in which it would be refused. */
static json_t *obstacle_value(const SessionRecord *session)
{
    g_autoptr(GError) refusal = NULL;
    return keep_may_fit(session, &refusal) ? json_null() : json_take_text(tr_message(refusal->message));
}

json_t *kept_value(const Settings *settings, const Identity *who, const SessionRecord *session)
{
    bool may = session_is_kept(session, session_now()) && policy_allows(settings, who, ACTION_RESUME, session, NULL);
    return may ? json_pack("{s:o, s:o}", "until", time_value(session->kept_until), "obstacle", obstacle_value(session))
               : json_null();
}
