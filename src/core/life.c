/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/life.h"

LifeRules life_rules(const Settings *settings, const SessionRecord *session)
{
    gint64 warns_at = life_warns_at(settings, session);
    bool oneshot = session->plan->oneshot;
    return (LifeRules){.warning_s = warns_at ? session->ends_at - warns_at : 0,
                       .unused_stop_s = oneshot ? settings->oneshot_unused_stop : settings->session_unused_stop,
                       .idle_stop_s = settings->session_idle_stop,
                       .idle_grace_s = settings->session_idle_grace,
                       .left_stop_s = settings->oneshot_left_stop};
}

/* --- what is due --- */

/* A session that nobody has ever connected to is unused, not idle, where both are told apart. */
static bool waits_for_first_viewer(const LifeRules *rules, const LifeState *state)
{
    return rules->unused_stop_s && !state->has_had_viewer;
}

gint64 life_unused_end_ms(const LifeRules *rules, const LifeState *state)
{
    bool waits = state->active_ms && waits_for_first_viewer(rules, state);
    return waits ? state->active_ms + rules->unused_stop_s * 1000 : 0;
}

static gint64 left_end_ms(const LifeRules *rules, const LifeState *state)
{
    return state->left_ms ? state->left_ms + rules->left_stop_s * 1000 : 0;
}

static gint64 idle_from_ms(const LifeRules *rules, const LifeState *state)
{
    bool may_be_idle = state->active_ms && rules->idle_stop_s && !waits_for_first_viewer(rules, state);
    return may_be_idle ? state->active_ms + rules->idle_stop_s * 1000 : 0;
}

gint64 life_idle_end_ms(const LifeRules *rules, const LifeState *state)
{
    gint64 from = state->grace_ms ? state->grace_ms : idle_from_ms(rules, state);
    return from ? from + rules->idle_grace_s * 1000 : 0;
}

static bool has_come(gint64 moment, gint64 now)
{
    return moment && moment <= now;
}

static gint64 warning_due_at(const LifeRules *rules, const LifeState *state)
{
    bool wanted = rules->warning_s && state->active_ms && state->warned_for != state->ends_at;
    return wanted ? state->ends_at - rules->warning_s : 0;
}

/* The end of the life-time goes before all others: it is the one that was agreed on. */
static LifeEvent due_event(const LifeRules *rules, const LifeState *state, LifeMoment now)
{
    if (state->ends_at <= now.wall_s)
        return LIFE_END_TIME;
    if (has_come(life_unused_end_ms(rules, state), now.monotonic_ms))
        return LIFE_END_UNUSED;
    if (has_come(left_end_ms(rules, state), now.monotonic_ms))
        return LIFE_END_LEFT;
    if (state->grace_ms && state->active_ms >= state->grace_ms)
        return LIFE_USED;
    if (has_come(life_idle_end_ms(rules, state), now.monotonic_ms) && (state->grace_ms || !rules->idle_grace_s))
        return LIFE_END_IDLE;
    if (!state->grace_ms && has_come(idle_from_ms(rules, state), now.monotonic_ms))
        return LIFE_WARN_IDLE;
    return has_come(warning_due_at(rules, state), now.wall_s) ? LIFE_WARN_END : LIFE_NOTHING;
}

static gint64 sooner_of(gint64 a, gint64 b)
{
    return !a || (b && b < a) ? b : a;
}

LifeNext life_next(const LifeRules *rules, const LifeState *state, LifeMoment now)
{
    LifeNext next = {.due = due_event(rules, state, now)};
    if (next.due != LIFE_NOTHING)
        return next;
    gint64 idle_ms = state->grace_ms ? life_idle_end_ms(rules, state) : idle_from_ms(rules, state);
    next.wall_s = sooner_of(warning_due_at(rules, state), state->ends_at);
    next.monotonic_ms = sooner_of(left_end_ms(rules, state), sooner_of(life_unused_end_ms(rules, state), idle_ms));
    return next;
}

/* --- the warning --- */

gint64 life_begun_at(const SessionRecord *session)
{
    gint64 admitted_at = session->ends_at - session->plan->lifetime_s;
    return session->started_at ? session->started_at : MAX(session->created_at, admitted_at);
}

gint64 life_warns_at(const Settings *settings, const SessionRecord *session)
{
    gint64 quarter = (session->ends_at - life_begun_at(session)) / 4;
    gint64 warning_s = MIN(settings->session_warning, quarter);
    return warning_s > 0 ? session->ends_at - warning_s : 0;
}
