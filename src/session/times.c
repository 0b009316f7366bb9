/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "session/times.h"

#include "base/event.h"
#include "base/text.h"
#include "base/units.h"
#include "session/supervisor.h"
#include "session/warning.h"

#define TIMER_MAX_MS (24 * 3600 * 1000) /* GLib counts in unsigned int; who wakes too early looks again */
#define LOOK_AGAIN_MS 60000             /* where no alarm can be had, for want of descriptors: a session must end */
#define DRIFT_MAX_S 2                   /* between the two clocks, before a time of day on the page is mended */

/* --- what is known --- */

static LifeMoment moment_now(void)
{
    return (LifeMoment){.wall_s = session_now(), .monotonic_ms = g_get_monotonic_time() / 1000};
}

static guint64 newest_control(const Gate *gate)
{
    size_t count;
    guint64 newest = 0;
    g_autofree GateViewer *viewers = gate_viewers(gate, &count);
    for (size_t i = 0; i < count; i++) {
        if (viewers[i].role == RFB_ROLE_CONTROL)
            newest = viewers[i].serial; /* they come in this order */
    }
    return newest;
}

/* Whether something has happened since the last look that counts as use; input has a time of its own. */
static bool has_been_used(Supervisor *supervisor)
{
    Times *times = &supervisor->times;
    const SessionRecord *session = supervisor->session;
    guint64 newest = newest_control(supervisor->gate);
    bool came = newest > times->newest_control;
    times->newest_control = MAX(newest, times->newest_control);
    bool touched = session->touched_at > times->touched_at;
    times->touched_at = MAX(session->touched_at, times->touched_at);
    return came || touched;
}

/* From the last viewer's leaving on; whoever comes back stops that clock. */
static gint64 left_since_ms(const Supervisor *supervisor, gint64 now_ms)
{
    gint64 known_ms = supervisor->times.state.left_ms;
    bool is_left = supervisor->session->plan->oneshot && gate_had_viewer(supervisor->gate) &&
                   gate_viewer_count(supervisor->gate) == 0;
    return !is_left ? 0 : known_ms ? known_ms : now_ms;
}

static void observe(Supervisor *supervisor, gint64 now_ms)
{
    LifeState *state = &supervisor->times.state;
    state->ends_at = supervisor->session->ends_at;
    if (!supervisor->gate || supervisor->session->state != SESSION_RUNNING)
        return;
    if (has_been_used(supervisor) || !state->active_ms)
        state->active_ms = now_ms;
    state->active_ms = MAX(state->active_ms, gate_last_input_monotonic_us(supervisor->gate) / 1000);
    state->has_had_viewer = gate_had_viewer(supervisor->gate);
    state->left_ms = left_since_ms(supervisor, now_ms);
}

/* --- what is due --- */

static void warn_of_end(Supervisor *supervisor)
{
    gint64 end = supervisor->session->ends_at;
    supervisor->times.state.warned_for = end;
    warning_send(supervisor, "session-ending", end);
}

static void on_input(Gate *gate, void *data)
{
    (void)gate;
    times_follow(data);
}

static void begin_grace(Supervisor *supervisor, LifeMoment now)
{
    supervisor->times.state.grace_ms = now.monotonic_ms;
    gate_await_input(supervisor->gate, on_input);
    warning_send(supervisor, "session-idle", now.wall_s + supervisor->settings->session_idle_grace);
}

/* {length} in the sentence stands for how long that is. */
static void end_because(Supervisor *supervisor, const char *sentence, gint64 seconds)
{
    g_autofree char *length = units_format_duration(seconds);
    GString *reason = g_string_new(sentence);
    g_string_replace(reason, "{length}", length, 1);
    supervisor_end(supervisor, SESSION_ENDED, reason->str);
    g_string_free(reason, TRUE);
}

static void act(Supervisor *supervisor, LifeEvent event, const LifeRules *rules, LifeMoment now)
{
    switch (event) {
    case LIFE_WARN_END:
        warn_of_end(supervisor);
        break;
    case LIFE_WARN_IDLE:
        begin_grace(supervisor, now);
        break;
    case LIFE_USED:
        supervisor->times.state.grace_ms = 0;
        gate_await_input(supervisor->gate, NULL);
        break;
    case LIFE_END_UNUSED:
        end_because(supervisor, N_("Nobody had connected to it for {length}."), rules->unused_stop_s);
        break;
    case LIFE_END_LEFT:
        supervisor_end(supervisor, SESSION_ENDED, N_("Its viewer left, and it was a one-shot session."));
        break;
    case LIFE_END_IDLE:
        end_because(supervisor, N_("Nobody had used it for {length}."), rules->idle_stop_s + rules->idle_grace_s);
        break;
    default:
        supervisor_end(supervisor, SESSION_ENDED, N_("Its life-time was over."));
    }
}

/* --- what the page shows --- */

typedef struct {
    gint64 idle_stop_at, unused_stop_at; /* UTC seconds, 0 none */
} Shown;

static void note_shown(SessionRecord *session, const void *data)
{
    const Shown *shown = data;
    session->idle_stop_at = shown->idle_stop_at;
    session->unused_stop_at = shown->unused_stop_at;
}

static gint64 time_of_day(gint64 end_ms, LifeMoment now)
{
    return end_ms ? now.wall_s + (end_ms - now.monotonic_ms + 500) / 1000 : 0;
}

static bool differ(gint64 a, gint64 b)
{
    return !a != !b || ABS(a - b) > DRIFT_MAX_S;
}

static void show(Supervisor *supervisor, const LifeRules *rules, LifeMoment now)
{
    const LifeState *state = &supervisor->times.state;
    const SessionRecord *session = supervisor->session;
    gint64 idle_end_ms = state->grace_ms ? life_idle_end_ms(rules, state) : 0;
    Shown shown = {time_of_day(idle_end_ms, now), time_of_day(life_unused_end_ms(rules, state), now)};
    if (differ(shown.idle_stop_at, session->idle_stop_at) || differ(shown.unused_stop_at, session->unused_stop_at))
        supervisor_change(supervisor, note_shown, &shown, NULL);
}

/* --- timers --- */

static void on_alarm(void *data)
{
    Supervisor *supervisor = data;
    supervisor->times.wall_alarm = 0;
    times_follow(supervisor);
}

static gboolean on_timer(gpointer data)
{
    Supervisor *supervisor = data;
    supervisor->times.monotonic_timer = 0;
    times_follow(supervisor);
    return G_SOURCE_REMOVE;
}

void times_stop(Supervisor *supervisor)
{
    g_clear_handle_id(&supervisor->times.wall_alarm, g_source_remove);
    g_clear_handle_id(&supervisor->times.monotonic_timer, g_source_remove);
}

static gint64 wait_until_next_ms(const LifeNext *next, LifeMoment now, bool has_alarm)
{
    gint64 wait_ms = next->monotonic_ms ? CLAMP(next->monotonic_ms - now.monotonic_ms + 1, 1, TIMER_MAX_MS) : 0;
    if (has_alarm)
        return wait_ms;
    return wait_ms ? MIN(wait_ms, LOOK_AGAIN_MS) : LOOK_AGAIN_MS;
}

static void set_timers(Supervisor *supervisor, const LifeNext *next, LifeMoment now)
{
    Times *times = &supervisor->times;
    times->wall_alarm = alarm_at(next->wall_s, on_alarm, supervisor, NULL);
    gint64 wait_ms = wait_until_next_ms(next, now, times->wall_alarm != 0);
    if (wait_ms)
        times->monotonic_timer = g_timeout_add((guint)wait_ms, on_timer, supervisor);
}

static void do_what_is_due(Supervisor *supervisor, const LifeRules *rules, LifeMoment now, LifeNext *next)
{
    while (!supervisor->ending) {
        *next = life_next(rules, &supervisor->times.state, now);
        if (next->due == LIFE_NOTHING)
            return;
        act(supervisor, next->due, rules, now);
    }
}

void times_follow(Supervisor *supervisor)
{
    LifeNext next;
    LifeRules rules = life_rules(supervisor->settings, supervisor->session);
    LifeMoment now = moment_now();
    times_stop(supervisor);
    if (supervisor->ending)
        return;
    observe(supervisor, now.monotonic_ms);
    do_what_is_due(supervisor, &rules, now, &next);
    if (supervisor->ending)
        return;
    show(supervisor, &rules, now);
    set_timers(supervisor, &next, now);
}
