/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What time brings a session, on clocks that the test sets; and how far its end can be moved. */
#include <string.h>

#include "base/error.h"
#include "core/life.h"
#include "records.h"
#include "temp.h"

#define WALL 1900000000 /* UTC seconds */
#define MONOTONIC 5000  /* milliseconds; the clocks have nothing to do with each other */
#define AFTER(seconds) (MONOTONIC + (seconds)*1000)

static LifeMoment after(gint64 seconds)
{
    return (LifeMoment){WALL + seconds, AFTER(seconds)};
}

/* --- what is due --- */

/* Of a session that became usable at the beginning of both clocks, and was used for the last time after used_s. */
static const struct {
    const char *what;
    LifeRules rules;
    gint64 life_s, used_s, grace_s, warned_s; /* grace_s: when the grace began; warned_s: of which end; 0 none */
    bool has_had_viewer;
    gint64 now_s;
    LifeEvent due;
    gint64 wall_s, monotonic_s; /* when to look again, after the beginning; 0 not because of this clock */
} rows[] = {
    {"nothing but an end", {0}, 3600, 0, 0, 0, true, 10, LIFE_NOTHING, 3600, 0},
    {"one second before the end", {0}, 3600, 0, 0, 0, true, 3599, LIFE_NOTHING, 3600, 0},
    {"the end, to the second", {0}, 3600, 0, 0, 0, true, 3600, LIFE_END_TIME, 0, 0},
    {"long after the end", {.idle_stop_s = 5}, 3600, 0, 0, 0, true, 99999, LIFE_END_TIME, 0, 0},

    {"before the warning", {.warning_s = 900}, 3600, 0, 0, 0, true, 2699, LIFE_NOTHING, 2700, 0},
    {"the warning", {.warning_s = 900}, 3600, 0, 0, 0, true, 2700, LIFE_WARN_END, 0, 0},
    {"a late warning", {.warning_s = 900}, 3600, 0, 0, 0, true, 3599, LIFE_WARN_END, 0, 0},
    {"warned once", {.warning_s = 900}, 3600, 0, 0, 3600, true, 2800, LIFE_NOTHING, 3600, 0},
    {"extended after the warning", {.warning_s = 900}, 7200, 0, 0, 3600, true, 2800, LIFE_NOTHING, 6300, 0},
    {"warned of the other end again", {.warning_s = 900}, 7200, 0, 0, 3600, true, 6300, LIFE_WARN_END, 0, 0},

    {"not idle yet", {.idle_stop_s = 600, .idle_grace_s = 60}, 3600, 100, 0, 0, true, 699, LIFE_NOTHING, 3600, 700},
    {"idle", {.idle_stop_s = 600, .idle_grace_s = 60}, 3600, 100, 0, 0, true, 700, LIFE_WARN_IDLE, 0, 0},
    {"in the grace", {.idle_stop_s = 600, .idle_grace_s = 60}, 3600, 100, 700, 0, true, 759, LIFE_NOTHING, 3600, 760},
    {"the grace is over", {.idle_stop_s = 600, .idle_grace_s = 60}, 3600, 100, 700, 0, true, 760, LIFE_END_IDLE, 0, 0},
    {"used in the grace", {.idle_stop_s = 600, .idle_grace_s = 60}, 3600, 710, 700, 0, true, 720, LIFE_USED, 0, 0},
    {"used at its last moment",
     {.idle_stop_s = 600, .idle_grace_s = 60},
     3600,
     760,
     700,
     0,
     true,
     760,
     LIFE_USED,
     0,
     0},
    {"used as the grace began",
     {.idle_stop_s = 600, .idle_grace_s = 60},
     3600,
     700,
     700,
     0,
     true,
     700,
     LIFE_USED,
     0,
     0},
    {"a grace that began late",
     {.idle_stop_s = 600, .idle_grace_s = 60},
     3600,
     100,
     900,
     0,
     true,
     920,
     LIFE_NOTHING,
     3600,
     960},
    {"no grace", {.idle_stop_s = 600}, 3600, 100, 0, 0, true, 700, LIFE_END_IDLE, 0, 0},
    {"no grace, not idle", {.idle_stop_s = 600}, 3600, 100, 0, 0, true, 699, LIFE_NOTHING, 3600, 700},
    {"idle without any viewer",
     {.idle_stop_s = 600, .idle_grace_s = 60},
     3600,
     0,
     0,
     0,
     false,
     600,
     LIFE_WARN_IDLE,
     0,
     0},

    {"not unused yet", {.unused_stop_s = 300}, 3600, 0, 0, 0, false, 299, LIFE_NOTHING, 3600, 300},
    {"unused", {.unused_stop_s = 300}, 3600, 0, 0, 0, false, 300, LIFE_END_UNUSED, 0, 0},
    {"somebody came", {.unused_stop_s = 300}, 3600, 100, 0, 0, true, 2799, LIFE_NOTHING, 3600, 0},
    {"extended before anybody came", {.unused_stop_s = 300}, 3600, 200, 0, 0, false, 300, LIFE_NOTHING, 3600, 500},
    {"unused has its own time",
     {.unused_stop_s = 900, .idle_stop_s = 60, .idle_grace_s = 10},
     3600,
     0,
     0,
     0,
     false,
     300,
     LIFE_NOTHING,
     3600,
     900},
    {"idle once somebody came",
     {.unused_stop_s = 900, .idle_stop_s = 60, .idle_grace_s = 10},
     3600,
     0,
     0,
     0,
     true,
     300,
     LIFE_WARN_IDLE,
     0,
     0},

    {"end before unused", {.unused_stop_s = 300}, 300, 0, 0, 0, false, 300, LIFE_END_TIME, 0, 0},
    {"unused before the warning",
     {.warning_s = 900, .unused_stop_s = 60},
     3600,
     0,
     0,
     0,
     false,
     3000,
     LIFE_END_UNUSED,
     0,
     0},
    {"grace before the warning",
     {.warning_s = 900, .idle_stop_s = 60, .idle_grace_s = 60},
     3600,
     0,
     0,
     0,
     true,
     3000,
     LIFE_WARN_IDLE,
     0,
     0},
    {"warning within the grace",
     {.warning_s = 900, .idle_stop_s = 60, .idle_grace_s = 60},
     3600,
     0,
     2990,
     0,
     true,
     3000,
     LIFE_WARN_END,
     0,
     0},
    {"end within the grace",
     {.idle_stop_s = 60, .idle_grace_s = 60},
     3600,
     0,
     3590,
     0,
     true,
     3600,
     LIFE_END_TIME,
     0,
     0},
};

static void test_due(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        LifeState state = {.ends_at = WALL + rows[i].life_s,
                           .warned_for = rows[i].warned_s ? WALL + rows[i].warned_s : 0,
                           .active_ms = AFTER(rows[i].used_s),
                           .grace_ms = rows[i].grace_s ? AFTER(rows[i].grace_s) : 0,
                           .has_had_viewer = rows[i].has_had_viewer};
        LifeNext next = life_next(&rows[i].rules, &state, after(rows[i].now_s));
        g_test_message("%s", rows[i].what);
        g_assert_cmpint(next.due, ==, rows[i].due);
        g_assert_cmpint(next.wall_s, ==, rows[i].wall_s ? WALL + rows[i].wall_s : 0);
        g_assert_cmpint(next.monotonic_ms, ==, rows[i].monotonic_s ? AFTER(rows[i].monotonic_s) : 0);
    }
}

/* As long as it starts, nothing but the end of its life is looked at. */
static void test_not_usable_yet(void)
{
    const LifeRules rules = {.warning_s = 900, .unused_stop_s = 60, .idle_stop_s = 60, .idle_grace_s = 60};
    LifeState state = {.ends_at = WALL + 3600};
    LifeNext next = life_next(&rules, &state, after(3000));
    g_assert_cmpint(next.due, ==, LIFE_NOTHING);
    g_assert_cmpint(next.wall_s, ==, WALL + 3600);
    g_assert_cmpint(next.monotonic_ms, ==, 0);
    g_assert_cmpint(life_next(&rules, &state, after(3600)).due, ==, LIFE_END_TIME);
}

/* The viewer of a one-shot session has left, and may come back. */
static void test_left(void)
{
    const LifeRules patient = {.left_stop_s = 30}, prompt = {.left_stop_s = 0};
    LifeState state = {.ends_at = WALL + 3600, .active_ms = MONOTONIC, .has_had_viewer = true, .left_ms = AFTER(10)};
    LifeNext next = life_next(&patient, &state, after(39));
    g_assert_cmpint(next.due, ==, LIFE_NOTHING);
    g_assert_cmpint(next.monotonic_ms, ==, AFTER(40));
    g_assert_cmpint(life_next(&patient, &state, after(40)).due, ==, LIFE_END_LEFT);
    g_assert_cmpint(life_next(&prompt, &state, after(10)).due, ==, LIFE_END_LEFT);
    state.left_ms = 0;
    g_assert_cmpint(life_next(&prompt, &state, after(40)).due, ==, LIFE_NOTHING);
}

/* What follows when each thing that is due is done at once: nothing comes twice, and every session ends. */
static void test_course(void)
{
    static const LifeEvent course[] = {LIFE_WARN_IDLE, LIFE_USED, LIFE_WARN_END, LIFE_WARN_IDLE, LIFE_END_IDLE};
    const LifeRules rules = {.warning_s = 600, .idle_stop_s = 500, .idle_grace_s = 200};
    LifeState state = {.ends_at = WALL + 1600, .active_ms = MONOTONIC, .has_had_viewer = true};
    LifeMoment now = after(0);
    size_t count = 0;
    for (int steps = 0; steps < 100 && count < G_N_ELEMENTS(course); steps++) {
        LifeNext next = life_next(&rules, &state, now);
        if (next.due == LIFE_NOTHING) {
            gint64 wait_ms = (next.wall_s - now.wall_s) * 1000;
            if (next.monotonic_ms)
                wait_ms = MIN(wait_ms, next.monotonic_ms - now.monotonic_ms);
            g_assert_cmpint(wait_ms, >, 0);
            now = after((now.monotonic_ms + wait_ms - MONOTONIC) / 1000);
            continue;
        }
        g_assert_cmpint(next.due, ==, course[count++]);
        if (next.due == LIFE_WARN_IDLE)
            state.grace_ms = now.monotonic_ms;
        if (next.due == LIFE_WARN_IDLE && count == 1)
            state.active_ms = now.monotonic_ms + 1000; /* somebody notices */
        if (next.due == LIFE_USED)
            state.grace_ms = 0;
        if (next.due == LIFE_WARN_END)
            state.warned_for = state.ends_at;
    }
    g_assert_cmpint(count, ==, G_N_ELEMENTS(course));
    g_assert_cmpint(now.wall_s, ==, WALL + 1201);
}

/* --- clocks that are set --- */

/* The end is a time of day: a wall clock that jumps takes it along, forwards and back. */
static void test_wall_clock_jumps(void)
{
    const LifeRules rules = {.warning_s = 900};
    LifeState state = {.ends_at = WALL + 3600, .active_ms = MONOTONIC, .has_had_viewer = true};
    LifeMoment now = {.wall_s = WALL + 86400, .monotonic_ms = AFTER(10)};
    g_assert_cmpint(life_next(&rules, &state, now).due, ==, LIFE_END_TIME);
    now.wall_s = WALL - 86400;
    LifeNext next = life_next(&rules, &state, now);
    g_assert_cmpint(next.due, ==, LIFE_NOTHING);
    g_assert_cmpint(next.wall_s, ==, WALL + 2700); /* an absolute timer is right in spite of it */
    now = (LifeMoment){.wall_s = WALL + 3600, .monotonic_ms = AFTER(90000)};
    g_assert_cmpint(life_next(&rules, &state, now).due, ==, LIFE_END_TIME); /* and comes when its time has come */
}

/* Nobody is idle because the clock was set, and nobody escapes by it. */
static void test_idle_ignores_the_wall_clock(void)
{
    const LifeRules rules = {.unused_stop_s = 100, .idle_stop_s = 600, .idle_grace_s = 60};
    LifeState state = {.ends_at = WALL + 999999, .active_ms = MONOTONIC, .has_had_viewer = true};
    static const gint64 jumps[] = {-500000, 0, 500000};
    for (size_t i = 0; i < G_N_ELEMENTS(jumps); i++) {
        g_assert_cmpint(life_next(&rules, &state, (LifeMoment){WALL + jumps[i], AFTER(599)}).due, ==, LIFE_NOTHING);
        g_assert_cmpint(life_next(&rules, &state, (LifeMoment){WALL + jumps[i], AFTER(600)}).due, ==, LIFE_WARN_IDLE);
        state.has_had_viewer = false;
        g_assert_cmpint(life_next(&rules, &state, (LifeMoment){WALL + jumps[i], AFTER(99)}).due, ==, LIFE_NOTHING);
        g_assert_cmpint(life_next(&rules, &state, (LifeMoment){WALL + jumps[i], AFTER(100)}).due, ==, LIFE_END_UNUSED);
        state.has_had_viewer = true;
    }
}

/* --- rules from settings --- */

static void test_rules(void)
{
    g_autoptr(Settings) settings =
        temp_settings("/nonexistent", "session_unused_stop=2h", "oneshot_unused_stop=3m", "session_idle_stop=1h",
                      "session_idle_grace=7m", "session_warning=10m", "oneshot_left_stop=40s", NULL);
    g_autoptr(SessionRecord) session = test_session_new(settings, "alice");
    LifeRules rules = life_rules(settings, session);
    g_assert_cmpint(rules.unused_stop_s, ==, 7200);
    g_assert_cmpint(rules.idle_stop_s, ==, 3600);
    g_assert_cmpint(rules.idle_grace_s, ==, 420);
    g_assert_cmpint(rules.warning_s, ==, 600);
    g_assert_cmpint(rules.left_stop_s, ==, 40);
    session->plan->oneshot = true;
    g_assert_cmpint(life_rules(settings, session).unused_stop_s, ==, 180);
}

/* A short life has a short warning, and a resumed one begins anew. */
static void test_warning(void)
{
    g_autoptr(Settings) settings = temp_settings("/nonexistent", NULL);
    g_autoptr(Settings) silent = temp_settings("/nonexistent", "session_warning=0", NULL);
    g_autoptr(SessionRecord) session = test_session_new(settings, "alice");
    session->ends_at = session->created_at + 86400;
    g_assert_cmpint(life_warns_at(settings, session), ==, session->ends_at - 900);
    g_assert_cmpint(life_warns_at(silent, session), ==, 0);
    g_assert_cmpint(life_rules(silent, session).warning_s, ==, 0);
    session->ends_at = session->created_at + 600;
    g_assert_cmpint(life_warns_at(settings, session), ==, session->ends_at - 150);
    session->started_at = session->created_at + 100000;
    session->ends_at = session->started_at + 60;
    g_assert_cmpint(life_begun_at(session), ==, session->started_at);
    g_assert_cmpint(life_warns_at(settings, session), ==, session->ends_at - 15);
}

/* --- extension --- */

/* A session of 2 hours that began `age_s` ago, under these settings; by how much the extension has moved its end. */
typedef struct {
    const char *settings[4];
    gint64 age_s, extensions;
    LifeExtension wanted;
    gint64 gain_s; /* 0: refused */
    QwdErrorKind kind;
    const char *words;
} ExtensionRow;

static const ExtensionRow extension_rows[] = {
    {{NULL}, 0, 0, {0}, 86400, 0, NULL},
    {{"session_extension=1h"}, 0, 0, {0}, 3600, 0, NULL},
    {{"session_extension=1h"}, 0, 99, {0}, 3600, 0, NULL},
    {{"session_extension=1h"}, 0, 0, {.seconds = 600}, 600, 0, NULL},
    {{"session_extension=1h"}, 0, 0, {.seconds = 3601}, 0, QWD_ERROR_USAGE, "adds at most 1 h"},
    {{"snapshot_lifetime=3h"}, 0, 0, {0}, 3600, 0, NULL},
    {{"snapshot_lifetime=3h"}, 3600, 0, {0}, 7200, 0, NULL},
    {{"snapshot_lifetime=2h"}, 59, 0, {0}, 0, QWD_ERROR_CONFLICT, "longest life-time there is already"},
    {{"snapshot_lifetime=2h"}, 60, 0, {0}, 60, 0, NULL},
    {{"session_extension=0"}, 0, 0, {0}, 0, QWD_ERROR_DENIED, "cannot be extended here"},
    {{"session_extensions_max=2"}, 0, 1, {0}, 86400, 0, NULL},
    {{"session_extensions_max=2"}, 0, 2, {0}, 0, QWD_ERROR_CONFLICT, "has been extended 2 times"},
    {{"session_total_max=5h"}, 3600, 0, {0}, 3 * 3600, 0, NULL},
    {{"session_total_max=2h"}, 3600, 0, {0}, 0, QWD_ERROR_CONFLICT, "how long one may go on in all"},
    {{"snapshot_lifetime=3h", "session_total_max=30h"}, 3600, 0, {0}, 7200, 0, NULL},
    {{"snapshot_lifetime=3h"}, 0, 0, {.by_admin = true}, 86400, 0, NULL},
    {{"session_extension=0"}, 0, 0, {.by_admin = true}, 86400, 0, NULL},
    {{"session_extension=1h", "session_extensions_max=1", "session_total_max=2h"},
     0,
     5,
     {.by_admin = true, .seconds = 9 * 86400},
     9 * 86400,
     0,
     NULL},
    {{NULL},
     0,
     0,
     {.by_admin = true, .seconds = G_GINT64_CONSTANT(11) * 365 * 86400},
     0,
     QWD_ERROR_CONFLICT,
     "ten years"},
};

static void check_extension(const ExtensionRow *row)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Settings) settings = temp_settings("/nonexistent", "snapshot_lifetime=4d", row->settings[0],
                                                 row->settings[1], row->settings[2], NULL);
    g_autoptr(SessionRecord) session = test_session_new(settings, "alice");
    LifeExtension wanted = row->wanted;
    wanted.now = session->created_at + row->age_s;
    session->ends_at = session->created_at + 7200;
    session->extensions = row->extensions;
    gint64 before = session->ends_at;
    bool good = life_extend(settings, session, &wanted, &error);
    g_assert_true(good == (row->gain_s > 0));
    g_assert_cmpint(session->ends_at - before, ==, row->gain_s);
    g_assert_cmpint(session->extensions - row->extensions, ==, good && !wanted.by_admin);
    g_assert_cmpint(session->touched_at, ==, good ? wanted.now : 0);
    if (!good)
        assert_error(error, (int)row->kind, row->words);
}

static void test_extension(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(extension_rows); i++)
        check_extension(&extension_rows[i]);
}

/* What a press would add, as pages say it: the same that it does add. */
static void test_gain(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(extension_rows); i++) {
        const ExtensionRow *row = &extension_rows[i];
        if (row->wanted.seconds || row->kind == QWD_ERROR_DENIED || row->extensions == 2)
            continue; /* more or less than a press, or not at all */
        g_autoptr(Settings) settings = temp_settings("/nonexistent", "snapshot_lifetime=4d", row->settings[0],
                                                     row->settings[1], row->settings[2], NULL);
        g_autoptr(SessionRecord) session = test_session_new(settings, "alice");
        LifeExtension press = row->wanted;
        press.now = session->created_at + row->age_s;
        session->ends_at = session->created_at + 7200;
        g_assert_cmpint(life_extension_gain_s(settings, session, &press), ==, row->gain_s);
    }
}

/* What a group may choose at most holds for extensions as well. */
static void test_extension_of_group(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Settings) settings = temp_settings("/nonexistent", NULL);
    g_autoptr(SessionRecord) session = test_session_new(settings, "alice");
    session->ends_at = session->created_at + 7200;
    session->plan->lifetime_max_s = 3 * 3600;
    const LifeExtension wanted = {.now = session->created_at};
    g_assert_true(life_extend(settings, session, &wanted, NULL));
    g_assert_cmpint(session->ends_at, ==, session->created_at + 3 * 3600);
    g_assert_false(life_extend(settings, session, &wanted, &error));
    assert_error(error, QWD_ERROR_CONFLICT, "longest life-time");
    session->plan->lifetime_max_s = 0; /* of a record of before */
    g_assert_true(life_extend(settings, session, &wanted, NULL));
}

/* Two presses within a second are two signs of use. */
static void test_touch(void)
{
    g_autoptr(Settings) settings = temp_settings("/nonexistent", "session_extension=1h", NULL);
    g_autoptr(SessionRecord) session = test_session_new(settings, "alice");
    session->ends_at = session->created_at + 7200;
    const LifeExtension wanted = {.now = session->created_at};
    g_assert_true(life_extend(settings, session, &wanted, NULL));
    gint64 first = session->touched_at;
    g_assert_true(life_extend(settings, session, &wanted, NULL));
    g_assert_cmpint(session->touched_at, >, first);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/life/due", test_due);
    g_test_add_func("/life/not-usable-yet", test_not_usable_yet);
    g_test_add_func("/life/left", test_left);
    g_test_add_func("/life/course", test_course);
    g_test_add_func("/life/wall-clock-jumps", test_wall_clock_jumps);
    g_test_add_func("/life/idle-ignores-the-wall-clock", test_idle_ignores_the_wall_clock);
    g_test_add_func("/life/rules", test_rules);
    g_test_add_func("/life/warning", test_warning);
    g_test_add_func("/life/extension", test_extension);
    g_test_add_func("/life/extension-of-group", test_extension_of_group);
    g_test_add_func("/life/gain", test_gain);
    g_test_add_func("/life/touch", test_touch);
    return g_test_run();
}
