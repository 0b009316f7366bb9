/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The history of the host: what is kept, for how long, and what becomes of a file that is broken. */
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "core/samples.h"
#include "concurrent.h"
#include "records.h"
#include "temp.h"

#define DAY_S 86400
#define NOON ((gint64)1800000000) /* begins five minutes */

typedef struct {
    char *folder;
    Settings *settings;
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->folder = temp_folder();
    f->settings = temp_settings(f->folder, NULL);
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    settings_free(f->settings);
    temp_folder_remove(f->folder);
}

static char *kept_path(const Fixture *f, const char *suffix)
{
    return g_strdup_printf("%s/monitor-samples.json%s", f->settings->dir_cache, suffix);
}

static void add(const Fixture *f, gint64 at)
{
    g_autoptr(GError) error = NULL;
    Sample sample = {.at = at, .load = 0.25, .cpu_busy = at, .cpu_total = 2 * at, .sessions = at % 7};
    g_assert_true(samples_add(f->settings, &sample, &error));
    g_assert_no_error(error);
}

static guint count_at(const Fixture *f, gint64 now)
{
    g_autoptr(GArray) samples = samples_load(f->settings, now);
    return samples->len;
}

static void test_none(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_assert_cmpint(count_at(f, NOON), ==, 0);
}

static void test_round_trip(Fixture *f, gconstpointer unused)
{
    (void)unused;
    Sample sample = {.at = NOON,
                     .load = 1.5,
                     .cpu_busy = 123,
                     .cpu_total = 456,
                     .memory_used_mib = 789,
                     .disk_used_mib = 1011,
                     .sessions = 12,
                     .waiting = 13,
                     .gpus = 14};
    g_assert_true(samples_add(f->settings, &sample, NULL));
    g_autoptr(GArray) samples = samples_load(f->settings, NOON);
    g_assert_cmpint(samples->len, ==, 1);
    g_assert_cmpmem(&g_array_index(samples, Sample, 0), sizeof(Sample), &sample, sizeof(Sample));
}

static void test_one_for_five_minutes(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const gint64 offsets[] = {0, 1, 299, 300, 599, 600};
    for (size_t i = 0; i < G_N_ELEMENTS(offsets); i++)
        add(f, NOON + offsets[i]);
    g_autoptr(GArray) samples = samples_load(f->settings, NOON + 700);
    g_assert_cmpint(samples->len, ==, 3);
    g_assert_cmpint(g_array_index(samples, Sample, 1).at, ==, NOON + 300);
}

/* However long it goes on, a day is kept, and the file does not grow. */
static void test_bounded(Fixture *f, gconstpointer unused)
{
    (void)unused;
    gint64 at = NOON;
    for (int i = 0; i < 2 * SAMPLES_MAX; i++, at += SAMPLE_PERIOD_S)
        add(f, at);
    gint64 last = at - SAMPLE_PERIOD_S;
    g_autofree char *path = kept_path(f, ""), *text = NULL;
    gsize length;
    g_assert_true(g_file_get_contents(path, &text, &length, NULL));
    g_assert_cmpint(length, <, 64 * 1024);
    g_autoptr(GArray) samples = samples_load(f->settings, last);
    g_assert_cmpint(samples->len, ==, SAMPLES_MAX);
    g_assert_cmpint(g_array_index(samples, Sample, SAMPLES_MAX - 1).at, ==, last);
    g_assert_cmpint(g_array_index(samples, Sample, 0).at, >, last - DAY_S);
    g_assert_cmpint(count_at(f, last + DAY_S / 2), <, SAMPLES_MAX);
    g_assert_cmpint(count_at(f, last + 2 * DAY_S), ==, 0);
}

/* After the clock was set back, what is said to come from the future goes. */
static void test_clock_set_back(Fixture *f, gconstpointer unused)
{
    (void)unused;
    add(f, NOON + DAY_S);
    g_assert_cmpint(count_at(f, NOON), ==, 0);
    add(f, NOON);
    g_assert_cmpint(count_at(f, NOON + DAY_S), ==, 0); /* a day is over for the one, and the other is gone */
    g_assert_cmpint(count_at(f, NOON), ==, 1);
}

static void test_broken(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const broken[] = {
        "", "\1\2", "{\"schema\": 1", "[]", "{\"schema\": 2, \"samples\": []}", "{\"schema\": 1, \"samples\": {}}"};
    g_autofree char *path = kept_path(f, ""), *aside = kept_path(f, ".broken");
    g_assert_cmpint(g_mkdir_with_parents(f->settings->dir_cache, 0700), ==, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(broken); i++) {
        g_autofree char *kept = NULL;
        g_assert_true(g_file_set_contents(path, broken[i], -1, NULL));
        g_assert_cmpint(count_at(f, NOON), ==, 0);
        add(f, NOON);
        g_assert_cmpint(count_at(f, NOON), ==, 1);
        g_assert_true(g_file_get_contents(aside, &kept, NULL, NULL));
        g_assert_cmpstr(kept, ==, broken[i]);
    }
    g_autofree char *huge = g_strnfill(1024 * 1024, ' ');
    g_assert_true(g_file_set_contents(path, huge, -1, NULL));
    add(f, NOON);
    g_assert_cmpint(count_at(f, NOON), ==, 1);
}

/* One sample that is wrong takes no other with it; one from before GPUs were counted is not wrong. */
static void test_odd_samples(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *path = kept_path(f, "");
    g_autofree char *text = g_strdup_printf(
        "{\"schema\": 1, \"samples\": [null, [], [1, 2], \"x\", [%" G_GINT64_FORMAT ", 1, 1, 1, 1, 1, 1, 1], "
        "[%" G_GINT64_FORMAT ", 1, 1, 1, 1, 1, 1, \"1\"], [%" G_GINT64_FORMAT ", -1, 1, 1, 1, 1, 1, 1], "
        "[%" G_GINT64_FORMAT ", 1, 1, 1, 1, 1, 1, 1, 1, 1], "
        "[1e300, 1, 1, 1, 1, 1, 1, 1], [%" G_GINT64_FORMAT ", 1, 1, 1, 1, 1, 1, 1]]}",
        NOON - 900, NOON - 600, NOON - 300, NOON - 200, NOON - 900);
    g_assert_cmpint(g_mkdir_with_parents(f->settings->dir_cache, 0700), ==, 0);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_assert_cmpint(count_at(f, NOON), ==, 1);
    add(f, NOON);
    g_assert_cmpint(count_at(f, NOON), ==, 2);
}

static void test_unwritable(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_assert_true(g_file_set_contents(f->settings->dir_cache, "a file", -1, NULL));
    g_assert_false(samples_add(f->settings, &(Sample){.at = NOON}, &error));
    assert_error(error, QWD_ERROR_INTERNAL, "Cannot make the folder");
}

/* Many who come by at once leave one sample. */
static void add_concurrently(int number, int out, const void *data)
{
    Sample sample = {.at = NOON + number};
    concurrent_answer(out, samples_add(data, &sample, NULL));
}

static void test_many_requests(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *said = concurrent_run(add_concurrently, f->settings);
    g_assert_cmpint(concurrent_count(said, 'y'), ==, CONCURRENT_PROCESSES);
    g_assert_cmpint(count_at(f, NOON + 299), ==, 1);
}

static void test_cpu_share(void)
{
    static const struct {
        Sample from, to;
        double share;
    } rows[] = {
        {{.cpu_busy = 100, .cpu_total = 1000}, {.cpu_busy = 150, .cpu_total = 1100}, 0.5},
        {{.cpu_busy = 100, .cpu_total = 1000}, {.cpu_busy = 100, .cpu_total = 1100}, 0},
        {{.cpu_busy = 100, .cpu_total = 1000}, {.cpu_busy = 100, .cpu_total = 1000}, -1}, /* no time has passed */
        {{.cpu_busy = 100, .cpu_total = 1000}, {.cpu_busy = 5, .cpu_total = 20}, -1},     /* restarted */
        {{.cpu_busy = 100, .cpu_total = 1000}, {.cpu_busy = 5, .cpu_total = 2000}, -1},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        g_assert_cmpfloat(sample_cpu_share(&rows[i].from, &rows[i].to), ==, rows[i].share);
}

static void test_take(Fixture *f, gconstpointer unused)
{
    (void)unused;
    Sample sample;
    HostSize size;
    g_autoptr(GPtrArray) sessions = g_ptr_array_new_with_free_func((GDestroyNotify)session_free);
    for (int state = 0; state < SESSION_STATES; state++) {
        SessionRecord *session = test_session_new(f->settings, "alice");
        session->state = (SessionState)state;
        session->plan->gpu = true;
        g_ptr_array_add(sessions, session);
    }
    g_assert_cmpint(g_mkdir_with_parents(f->settings->dir_snapshots, 0700), ==, 0);
    sample_take(f->settings, sessions, &sample, &size);
    g_assert_cmpint(sample.sessions, ==, 3); /* starting, running, stopping */
    g_assert_cmpint(sample.waiting, ==, 1);
    g_assert_cmpint(sample.gpus, ==, 3); /* who waits has none yet */
    g_assert_cmpint(size.cpus, >, 0);
    g_assert_cmpint(sample.memory_used_mib, >, 0);
    g_assert_cmpint(sample.memory_used_mib, <=, size.memory_mib);
    g_assert_cmpint(sample.disk_used_mib, <=, size.disk_mib);
    g_assert_cmpint(size.disk_mib, >, 0);
    g_assert_cmpint(sample.cpu_busy, >, 0);
    g_assert_cmpint(sample.cpu_busy, <, sample.cpu_total);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(Fixture *, gconstpointer);
    } tests[] = {
        {"/samples/none", test_none},
        {"/samples/round-trip", test_round_trip},
        {"/samples/one-for-five-minutes", test_one_for_five_minutes},
        {"/samples/bounded", test_bounded},
        {"/samples/clock-set-back", test_clock_set_back},
        {"/samples/broken", test_broken},
        {"/samples/odd-samples", test_odd_samples},
        {"/samples/unwritable", test_unwritable},
        {"/samples/many", test_many_requests},
        {"/samples/take", test_take},
    };
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].name, Fixture, NULL, set_up, tests[i].test, tear_down);
    g_test_add_func("/samples/cpu-share", test_cpu_share);
    return g_test_run();
}
