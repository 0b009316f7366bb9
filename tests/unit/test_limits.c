/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <string.h>

#include "base/error.h"
#include "core/limits.h"

static SessionRecord *session_of(const char *owner, gint64 cpus, gint64 memory_mib)
{
    Plan *plan = g_new0(Plan, 1);
    plan->machine = g_strdup("tiny.iso");
    plan->image = g_strdup("/tiny.iso");
    plan->cpus = cpus;
    plan->memory_mib = memory_mib;
    plan->lifetime_s = 3600;
    SessionRecord *session = session_new(owner, "", plan);
    session->state = SESSION_RUNNING;
    return session;
}

#define ROOMY                                                                                                          \
    {                                                                                                                  \
        .cpus = 8, .memory_mib = 16384, .memory_free_mib = 8192, .disk_free_mib = 100000, .load = 1                    \
    }

static const HostUse roomy = ROOMY;

/* Two sessions of marie (2 cores, 4 GB in all), one of paul, and one that has ended. */
static GPtrArray *some_sessions(void)
{
    GPtrArray *sessions = g_ptr_array_new_with_free_func((GDestroyNotify)session_free);
    SessionRecord *with_gpu = session_of("marie", 1, 2048);
    with_gpu->plan->gpu = true;
    g_ptr_array_add(sessions, with_gpu);
    g_ptr_array_add(sessions, session_of("marie", 1, 2048));
    g_ptr_array_add(sessions, session_of("paul", 4, 1024));
    SessionRecord *ended = session_of("marie", 8, 16384);
    ended->state = SESSION_ENDED;
    g_ptr_array_add(sessions, ended);
    return sessions;
}

/* Every limit off but those of `override`; "" for none. */
static Settings *settings_with(const char *override)
{
    g_autoptr(GError) error = NULL;
    const char *overrides[] = {"service_max_session_nb=0",
                               "service_max_session_nb_per_user=0",
                               "service_max_cpu_fraction_nb_per_user=0",
                               "service_max_mem_fraction_nb_per_user=0",
                               "service_max_load=0",
                               "snapshot_alloc_mem=256M",
                               *override ? override : NULL,
                               NULL};
    Settings *settings = settings_load("/nonexistent/qwd.conf", false, overrides, &error);
    g_assert_no_error(error);
    return settings;
}

static const struct {
    const char *override, *owner;
    gint64 cpus, memory_mib;
    HostUse use;
    const char *refusal; /* NULL: allowed */
} cases[] = {
    {"service_max_session_nb=0", "marie", 1, 512, ROOMY, NULL},
    {"service_max_session_nb=4", "marie", 1, 512, ROOMY, NULL},
    {"service_max_session_nb=3", "marie", 1, 512, ROOMY, "Sessions on this service: 3 at once; 3 run."},
    {"service_max_session_nb_per_user=3", "marie", 1, 512, ROOMY, NULL},
    {"service_max_session_nb_per_user=2", "marie", 1, 512, ROOMY, "Sessions for one user: 2 at once; you have 2."},
    {"service_max_session_nb_per_user=2", "paul", 1, 512, ROOMY, NULL},
    {"service_max_cpu_fraction_nb_per_user=0.5", "marie", 2, 512, ROOMY, NULL},
    {"service_max_cpu_fraction_nb_per_user=0.5", "marie", 3, 512, ROOMY,
     "Processor cores for one user: 4 at once; you use 2 and ask for 3."},
    {"service_max_cpu_fraction_nb_per_user=0.01", "new", 1, 512, ROOMY, NULL}, /* never less than one core */
    {"service_max_mem_fraction_nb_per_user=0.3", "marie", 1, 512, ROOMY, NULL},
    {"service_max_mem_fraction_nb_per_user=0.3", "marie", 1, 1024, ROOMY,
     "Memory for one user: 4.8 GB at once; you use 4 GB and ask for 1 GB."},
    {"service_max_load=0.5", "new", 1, 512, {.cpus = 8, .load = 4.0, .memory_free_mib = 8192}, NULL},
    {"service_max_load=0.5",
     "new",
     1,
     512,
     {.cpus = 8, .load = 4.1, .memory_free_mib = 8192},
     "The server is busy: its load is 4.1, and may be 4.0 at most."},
    {"service_min_free_memory=1G", "new", 1, 7168, ROOMY, NULL},
    {"service_min_free_memory=1G", "new", 1, 7169, ROOMY, "The server has 7 GB of memory to give away"},
    {"service_min_free_disk=1G", "new", 1, 512, {.cpus = 8, .memory_free_mib = 8192, .disk_free_mib = 1024}, NULL},
    {"service_min_free_disk=1G",
     "new",
     1,
     512,
     {.cpus = 8, .memory_free_mib = 8192, .disk_free_mib = 1023},
     "The server's disk is nearly full: 1023 MB are left."},
};

static void test_rules(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Settings) settings = settings_with(cases[i].override);
        g_autoptr(GPtrArray) sessions = some_sessions();
        g_autoptr(SessionRecord) wanted = session_of(cases[i].owner, cases[i].cpus, cases[i].memory_mib);
        bool allowed = limits_allow(settings, &cases[i].use, sessions, wanted, &error);
        g_test_message("%s", cases[i].override);
        g_assert_cmpint(allowed, ==, cases[i].refusal == NULL);
        if (cases[i].refusal) {
            g_assert_error(error, QWD_ERROR, QWD_ERROR_LIMIT);
            g_assert_nonnull(strstr(error->message, cases[i].refusal));
        }
    }
}

/* Marie has a GPU, and a session without one that ends first. */
static void test_gpus(void)
{
    static const struct {
        const char *override, *owner;
        bool asks, allowed;
    } gpu_cases[] = {
        {"service_max_gpu_nb_per_user=0", "marie", true, true},
        {"service_max_gpu_nb_per_user=2", "marie", true, true},
        {"service_max_gpu_nb_per_user=1", "paul", true, true},
        {"service_max_gpu_nb_per_user=1", "marie", false, true},
        {"service_max_gpu_nb_per_user=1", "marie", true, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(gpu_cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Settings) settings = settings_with(gpu_cases[i].override);
        g_autoptr(GPtrArray) sessions = some_sessions();
        ((SessionRecord *)sessions->pdata[0])->ends_at = session_now() + 3 * 3600 + 1;
        ((SessionRecord *)sessions->pdata[1])->ends_at = session_now() + 600;
        g_autoptr(SessionRecord) wanted = session_of(gpu_cases[i].owner, 1, 512);
        wanted->plan->gpu = gpu_cases[i].asks;
        g_assert_cmpint(limits_allow(settings, &roomy, sessions, wanted, &error), ==, gpu_cases[i].allowed);
        if (gpu_cases[i].allowed)
            continue;
        g_assert_error(error, QWD_ERROR, QWD_ERROR_LIMIT);
        g_assert_true(g_str_has_prefix(error->message, "GPUs for one user: 1 at once; you have 1. The next one"));
        g_assert_nonnull(strstr(error->message, ", in 3 h"));
    }
}

/* What helps differs: a session of one's own that can be stopped, or time. */
static void test_advice(void)
{
    g_autoptr(Settings) settings = settings_with("service_max_session_nb=3");
    g_autoptr(GPtrArray) sessions = some_sessions();
    g_autoptr(SessionRecord) mine = session_of("marie", 1, 512);
    g_autoptr(SessionRecord) theirs = session_of("new", 1, 512);
    g_autoptr(GError) first = NULL;
    g_autoptr(GError) second = NULL;
    g_assert_false(limits_allow(settings, &roomy, sessions, mine, &first));
    g_assert_false(limits_allow(settings, &roomy, sessions, theirs, &second));
    g_assert_nonnull(strstr(first->message, "Stopping a session of yours makes room."));
    g_assert_nonnull(strstr(second->message, "Try again later."));
    g_assert_nonnull(strstr(second->message, "The next one is due to end at"));
}

/* A share of a small host never forbids the session that one gets without asking. */
static void test_smallest_share(void)
{
    const char *overrides[] = {"service_max_load=0", NULL};
    g_autoptr(GError) error = NULL;
    g_autoptr(Settings) settings = settings_load("/nonexistent/qwd.conf", false, overrides, NULL);
    g_autoptr(GPtrArray) nobody = g_ptr_array_new();
    g_autoptr(SessionRecord) first = session_of("marie", 1, 4096);
    g_autoptr(SessionRecord) bigger = session_of("marie", 2, 4096);
    const HostUse small = {.cpus = 2, .memory_mib = 4096, .memory_free_mib = 4096, .disk_free_mib = 100000};
    g_assert_true(limits_allow(settings, &small, nobody, first, &error));
    g_assert_false(limits_allow(settings, &small, nobody, bigger, &error));
    g_assert_nonnull(strstr(error->message, "Processor cores for one user: 1 at once; you use 0 and ask for 2."));
}

/* Limits for each user: a group may say another number, administrators have none, and who has no name is told apart by
 * the computer. */
static void test_whose_limit(void)
{
    g_autoptr(Settings) settings = settings_with("service_max_session_nb_per_user=2");
    g_autoptr(GPtrArray) sessions = some_sessions();
    g_autoptr(SessionRecord) wanted = session_of("marie", 1, 512);
    g_assert_nonnull(limits_broken(settings, &roomy, sessions, wanted));
    wanted->plan->sessions_max = 3;
    g_assert_null(limits_broken(settings, &roomy, sessions, wanted));
    wanted->plan->sessions_max = 1;
    wanted->plan->by_admin = true;
    g_assert_null(limits_broken(settings, &roomy, sessions, wanted));

    g_autoptr(GPtrArray) nameless = g_ptr_array_new_with_free_func((GDestroyNotify)session_free);
    for (int i = 0; i < 2; i++) {
        SessionRecord *session = session_of("", 1, 512);
        session_set_text(&session->remote_host, "192.0.2.1");
        g_ptr_array_add(nameless, session);
    }
    g_autoptr(SessionRecord) visitor = session_of("", 1, 512);
    g_assert_null(limits_broken(settings, &roomy, nameless, visitor));
    session_set_text(&visitor->remote_host, "192.0.2.1");
    const LimitRule *rule = limits_broken(settings, &roomy, nameless, visitor);
    g_assert_cmpstr(limit_rule_setting(rule), ==, "service_max_session_nb_per_user");
    g_assert_true(limit_rule_is_own(rule));
}

/* Waiting does not help who asks for more than there ever is. */
static void test_waiting(void)
{
    g_autoptr(Settings) settings = settings_with("service_max_session_nb=3");
    g_autoptr(Settings) small = settings_with("service_max_cpu_fraction_nb_per_user=0.5");
    g_autoptr(GPtrArray) sessions = some_sessions();
    g_autoptr(SessionRecord) wanted = session_of("new", 5, 512);
    g_assert_nonnull(limits_broken(settings, &roomy, sessions, wanted));
    g_assert_true(limits_can_wait(settings, &roomy, wanted));
    g_assert_false(limits_can_wait(small, &roomy, wanted));
    ((SessionRecord *)sessions->pdata[0])->state = SESSION_QUEUED; /* who waits takes no room */
    g_assert_null(limits_broken(settings, &roomy, sessions, wanted));
}

/* A record that is in the list already, such as a queued one, does not count against itself. */
static void test_not_itself(void)
{
    g_autoptr(Settings) settings = settings_with("service_max_session_nb=3");
    g_autoptr(GPtrArray) sessions = some_sessions();
    g_assert_true(limits_allow(settings, &roomy, sessions, sessions->pdata[0], NULL));
}

static void test_next_end(void)
{
    g_autoptr(GPtrArray) sessions = some_sessions();
    ((SessionRecord *)sessions->pdata[1])->ends_at = 700;
    ((SessionRecord *)sessions->pdata[2])->ends_at = 600;
    ((SessionRecord *)sessions->pdata[3])->ends_at = 500; /* has ended */
    g_assert_cmpint(limits_next_end(sessions, NULL), ==, 600);
    g_assert_cmpint(limits_next_end(sessions, "marie"), ==, 700);
    g_assert_cmpint(limits_next_end(sessions, "nobody"), ==, 0);
    ((SessionRecord *)sessions->pdata[0])->ends_at = 900;
    g_assert_cmpint(limits_next_gpu_end(sessions, NULL), ==, 900);
    g_assert_cmpint(limits_next_gpu_end(sessions, "paul"), ==, 0);
}

/* What a page says of free places. */
static void test_capacity(void)
{
    static const struct {
        const char *override, *owner;
        Capacity expected;
    } rows[] = {
        {"", "marie", {.taken = 3, .own_taken = 2}},
        {"service_max_session_nb=4", "marie", {.most = 4, .taken = 3, .own_taken = 2}},
        {"service_max_session_nb=3", "zoe", {.most = 3, .taken = 3, .is_full = true, .free_at = 700}},
        {"service_max_session_nb_per_user=2",
         "marie",
         {.taken = 3, .own_most = 2, .own_taken = 2, .is_full = true, .is_own = true, .free_at = 800}},
        {"service_max_load=0.1", "zoe", {.taken = 3, .is_full = true}},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GPtrArray) sessions = some_sessions();
        g_autoptr(Settings) settings = settings_with(rows[i].override);
        g_autoptr(SessionRecord) wanted = session_of(rows[i].owner, 1, 1024);
        for (guint k = 0; k < sessions->len; k++)
            ((SessionRecord *)sessions->pdata[k])->ends_at = 900 - 100 * k;
        Capacity found = limits_capacity(settings, &roomy, sessions, wanted);
        const Capacity *expected = &rows[i].expected;
        g_assert_cmpint(found.most, ==, expected->most);
        g_assert_cmpint(found.taken, ==, expected->taken);
        g_assert_cmpint(found.own_most, ==, expected->own_most);
        g_assert_cmpint(found.own_taken, ==, expected->own_taken);
        g_assert_true(found.is_full == expected->is_full && found.is_own == expected->is_own);
        g_assert_cmpint(found.free_at, ==, expected->free_at);
    }
}

static void test_host(void)
{
    HostUse use;
    host_use_read(&use, "/tmp");
    g_assert_cmpint(use.cpus, >, 0);
    g_assert_cmpint(use.memory_free_mib, >, 0);
    g_assert_cmpint(use.memory_free_mib, <=, use.memory_mib);
    g_assert_cmpint(use.disk_free_mib, >, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/limits/rules", test_rules);
    g_test_add_func("/limits/gpus", test_gpus);
    g_test_add_func("/limits/advice", test_advice);
    g_test_add_func("/limits/not-itself", test_not_itself);
    g_test_add_func("/limits/smallest-share", test_smallest_share);
    g_test_add_func("/limits/whose", test_whose_limit);
    g_test_add_func("/limits/waiting", test_waiting);
    g_test_add_func("/limits/next-end", test_next_end);
    g_test_add_func("/limits/capacity", test_capacity);
    g_test_add_func("/limits/host", test_host);
    return g_test_run();
}
