/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <string.h>
#include <unistd.h>

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
        .cpus = 8, .memory_mib = 16384, .memory_free_mib = 8192, .memory_touched_mib = 5120, .disk_free_mib = 100000,  \
        .load = 1                                                                                                      \
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
    {"service_max_cpu_fraction_nb_per_user=0.29", "new", 29, 512, {.cpus = 100}, NULL},
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
    {"service_min_free_memory=1G", "new", 1, 7169, ROOMY, "The server has 7 GB of memory for new sessions"},
    /* 3 GB of what is free have been granted to sessions that have not touched them yet */
    {"service_min_free_memory=1G", "new", 1, 4096, {.memory_free_mib = 8192, .memory_touched_mib = 2048}, NULL},
    {"service_min_free_memory=1G",
     "new",
     1,
     4097,
     {.memory_free_mib = 8192, .memory_touched_mib = 2048},
     "The server has 4 GB of memory for new sessions"},
    {"service_min_free_disk=1G", "new", 1, 512, {.cpus = 8, .memory_free_mib = 8192, .disk_free_mib = 1024}, NULL},
    {"service_min_free_disk=1G",
     "new",
     1,
     512,
     {.cpus = 8, .memory_free_mib = 8192, .disk_free_mib = 1023},
     "The server's disk is nearly full: 1023 MB are free, and 1 GB must stay free."},
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

/* What helps differs: a session of one's own that makes room, time, less, or somebody else. */
static const struct {
    const char *override, *owner;
    gint64 cpus, memory_mib;
    HostUse use;
    const char *advice; /* the end of the refusal */
    bool has_time;
} advice_cases[] = {
    {"service_max_session_nb=3", "marie", 1, 512, ROOMY, " Stopping a session of yours makes room.", true},
    {"service_max_session_nb=3", "new", 1, 512, ROOMY, " Try again later.", true},
    {"service_max_cpu_fraction_nb_per_user=0.5", "marie", 4, 512, ROOMY,
     " Ask for at most 2, or stop a session of yours.", true},
    {"service_max_cpu_fraction_nb_per_user=0.25", "marie", 1, 512, ROOMY, " Stopping a session of yours makes room.",
     true},
    {"service_max_cpu_fraction_nb_per_user=0.5", "marie", 5, 512, ROOMY, "ask for 5. Ask for at most 4.", false},
    {"service_max_mem_fraction_nb_per_user=0.297", "marie", 1, 8192, ROOMY, "ask for 8 GB. Ask for at most 4.7 GB.",
     false},
    {"service_max_mem_fraction_nb_per_user=0.32", "marie", 1, 2048, ROOMY,
     " Ask for at most 1.1 GB, or stop a session of yours.", true},
    {"service_max_mem_fraction_nb_per_user=0.3", "marie", 1, 2048, ROOMY, " Stopping a session of yours makes room.",
     true}, /* the form offers nothing below 1 GB */
    {"service_max_mem_fraction_nb_per_user=0.03", "marie", 1, 8192, ROOMY, " Ask for at most 491 MB.", false},
    {"service_max_load=0.01", "marie", 1, 512, ROOMY, " Try again later.", false},
    {"service_min_free_disk=1T", "marie", 1, 512, ROOMY, " Try again later.", false},
    {"service_min_free_memory=1G", "marie", 1, 11264, ROOMY, " Ask for at most 7 GB, or stop a session of yours.",
     true},
    {"service_min_free_memory=1G", "marie", 1, 11265, ROOMY, " Ask for at most 7 GB, or try again later.", true},
    {"service_min_free_memory=8G", "marie", 1, 5120, ROOMY, " Try again later.", true},
    {"service_min_free_memory=1G", "marie", 1, 12289, ROOMY, " Ask for at most 12 GB.", false},
    {"service_min_free_memory=14G", "marie", 1, 512, ROOMY, " Tell the administrator of this service.", false},
};

static void test_advice(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(advice_cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Settings) settings = settings_with(advice_cases[i].override);
        g_autoptr(GPtrArray) sessions = some_sessions();
        g_autoptr(SessionRecord) wanted =
            session_of(advice_cases[i].owner, advice_cases[i].cpus, advice_cases[i].memory_mib);
        g_assert_false(limits_allow(settings, &advice_cases[i].use, sessions, wanted, &error));
        g_test_message("%s", error->message);
        g_assert_true(g_str_has_suffix(error->message, advice_cases[i].advice));
        bool has_time = strstr(error->message, "The next one is due to end at") != NULL;
        g_assert_true(has_time == advice_cases[i].has_time);
    }
}

/* What can never be had is said before what is taken at the moment. */
static void test_never_first(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Settings) settings = settings_with("service_min_free_memory=1G");
    g_autoptr(GPtrArray) sessions = some_sessions();
    g_autoptr(SessionRecord) wanted = session_of("new", 1, 12289);
    settings->service_max_session_nb = 3;
    g_assert_cmpstr(limit_rule_setting(limits_broken(settings, &roomy, sessions, wanted)), ==,
                    "service_max_session_nb");
    g_assert_false(limits_allow(settings, &roomy, sessions, wanted, &error));
    g_assert_cmpstr(error->message, ==,
                    "The server has 7 GB of memory for new sessions, and you ask for 12.0 GB. Ask for at most 12 GB.");
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
static const struct {
    const char *override;
    gint64 cpus, memory_mib;
    bool nobody_runs, can_wait;
} wait_cases[] = {
    {"service_max_session_nb=3", 5, 512, false, true},
    {"service_max_cpu_fraction_nb_per_user=0.5", 5, 512, false, false},
    {"service_max_load=0.01", 1, 512, true, true},
    {"service_min_free_memory=1G", 1, 12288, false, true}, /* free now, and what sessions have touched */
    {"service_min_free_memory=1G", 1, 12289, false, false},
    {"service_min_free_disk=1T", 1, 512, false, true}, /* a session may give it back at its end */
    {"service_min_free_disk=1T", 1, 512, true, false},
};

static void test_waiting(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(wait_cases); i++) {
        g_autoptr(Settings) settings = settings_with(wait_cases[i].override);
        g_autoptr(GPtrArray) sessions = some_sessions();
        g_autoptr(SessionRecord) wanted = session_of("new", wait_cases[i].cpus, wait_cases[i].memory_mib);
        for (guint k = 0; wait_cases[i].nobody_runs && k < sessions->len; k++)
            ((SessionRecord *)sessions->pdata[k])->state = SESSION_ENDED;
        g_test_message("%s", wait_cases[i].override);
        g_assert_nonnull(limits_broken(settings, &roomy, sessions, wanted));
        g_assert_true(limits_can_wait(settings, &roomy, sessions, wanted) == wait_cases[i].can_wait);
    }
    g_autoptr(Settings) settings = settings_with("service_max_session_nb=3");
    g_autoptr(GPtrArray) sessions = some_sessions();
    g_autoptr(SessionRecord) wanted = session_of("new", 1, 512);
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
    g_autoptr(SessionRecord) marie = session_of("marie", 1, 512);
    g_autoptr(SessionRecord) nobody = session_of("nobody", 1, 512);
    g_assert_cmpint(limits_next_end(sessions, NULL), ==, 600);
    g_assert_cmpint(limits_next_end(sessions, marie), ==, 700);
    g_assert_cmpint(limits_next_end(sessions, nobody), ==, 0);
    ((SessionRecord *)sessions->pdata[0])->ends_at = 900;
    g_assert_cmpint(limits_next_gpu_end(sessions, NULL), ==, 900);
    g_assert_cmpint(limits_next_gpu_end(sessions, nobody), ==, 0);

    /* Those without a name are told apart by the computer: nobody hears of a stranger's end. */
    g_autoptr(SessionRecord) stranger = session_of("", 1, 512);
    session_set_text(&marie->owner, "");
    session_set_text(&marie->remote_host, "192.0.2.1");
    ((SessionRecord *)sessions->pdata[1])->owner[0] = '\0';
    session_set_text(&((SessionRecord *)sessions->pdata[1])->remote_host, "192.0.2.1");
    g_assert_cmpint(limits_next_end(sessions, marie), ==, 700);
    g_assert_cmpint(limits_next_end(sessions, stranger), ==, 0);
}

/* Sessions of a (ends at 300 and 900) and b (600), and c who waits since before. */
static const struct {
    const char *override, *owner;
    gint64 cpus, expected;
} expected_cases[] = {
    {"service_max_session_nb=0", "d", 1, 0},   /* there is room */
    {"service_max_session_nb=4", "d", 1, 300}, /* c goes before */
    {"service_max_session_nb=3", "d", 1, 600},
    {"service_max_session_nb=2", "d", 1, 900},
    {"service_max_session_nb=1", "d", 1, 0},            /* not before c ends, who has not begun */
    {"service_max_session_nb_per_user=2", "a", 1, 300}, /* one's own ends alone */
    {"service_max_session_nb_per_user=1", "a", 1, 900},
    {"service_max_session_nb_per_user=1", "b", 1, 600},
    {"service_max_session_nb_per_user=1", "c", 1, 0},
    {"service_max_cpu_fraction_nb_per_user=0.5", "a", 3, 300},
    {"service_max_cpu_fraction_nb_per_user=0.5", "a", 4, 900}, /* as many ends as it takes */
    {"service_max_load=0.1", "d", 1, 0},                       /* nobody can tell */
    {"service_min_free_memory=14G", "d", 1, 0},
    {"service_min_free_disk=1T", "d", 1, 0},
};

static void test_expected(void)
{
    static const char *const owners[] = {"a", "b", "a", "c"};
    for (size_t i = 0; i < G_N_ELEMENTS(expected_cases); i++) {
        g_autoptr(Settings) settings = settings_with(expected_cases[i].override);
        g_autoptr(GPtrArray) sessions = g_ptr_array_new_with_free_func((GDestroyNotify)session_free);
        for (guint k = 0; k < G_N_ELEMENTS(owners); k++) {
            SessionRecord *session = session_of(owners[k], 1, 512);
            session->ends_at = 300 * (k + 1);
            session->state = k == 3 ? SESSION_QUEUED : SESSION_RUNNING;
            g_ptr_array_add(sessions, session);
        }
        g_autoptr(SessionRecord) wanted = session_of(expected_cases[i].owner, expected_cases[i].cpus, 512);
        g_test_message("%s %s", expected_cases[i].override, expected_cases[i].owner);
        g_assert_cmpint(limits_expected_at(settings, &roomy, sessions, wanted), ==, expected_cases[i].expected);
    }
}

/* Which limit it is that somebody waits for, in words. */
static void test_reason(void)
{
    g_autoptr(Settings) settings = settings_with("service_max_session_nb=3");
    g_autoptr(GPtrArray) sessions = some_sessions();
    g_autoptr(SessionRecord) wanted = session_of("marie", 1, 512);
    g_autofree char *place = limits_reason(settings, &roomy, sessions, wanted);
    g_assert_cmpstr(place, ==, "Sessions on this service: 3 at once; 3 run.");
    settings->service_max_session_nb_per_user = 2;
    g_autofree char *own = limits_reason(settings, &roomy, sessions, wanted);
    g_assert_cmpstr(own, ==, "Sessions for one user: 2 at once; you have 2.");
    settings->service_max_session_nb = 0;
    session_set_text(&wanted->owner, "new");
    g_assert_null(limits_reason(settings, &roomy, sessions, wanted));
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
        {"service_max_session_nb=3", "zoe", {.most = 3, .taken = 3}},
        {"service_max_session_nb_per_user=2", "marie", {.taken = 3, .own_most = 2, .own_taken = 2}},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GPtrArray) sessions = some_sessions();
        g_autoptr(Settings) settings = settings_with(rows[i].override);
        g_autoptr(SessionRecord) wanted = session_of(rows[i].owner, 1, 1024);
        Capacity found = limits_capacity(settings, sessions, wanted);
        const Capacity *expected = &rows[i].expected;
        g_assert_cmpint(found.most, ==, expected->most);
        g_assert_cmpint(found.taken, ==, expected->taken);
        g_assert_cmpint(found.own_most, ==, expected->own_most);
        g_assert_cmpint(found.own_taken, ==, expected->own_taken);
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

/* Of each session as much as its QEMU has taken, and not more than it was granted; this program stands for QEMU. */
static void test_touched(void)
{
    HostUse use = {.memory_touched_mib = 42};
    g_autoptr(Settings) off = settings_with("service_min_free_memory=0");
    g_autoptr(Settings) on = settings_with("service_min_free_memory=1G");
    g_autoptr(GPtrArray) sessions = some_sessions();
    host_use_read_sessions(&use, on, sessions);
    g_assert_cmpint(use.memory_touched_mib, ==, 0);
    SessionRecord *small = sessions->pdata[1], *large = sessions->pdata[0];
    small->plan->memory_mib = 1;
    session_set_process(small, "qemu", process_id_of(getpid()));
    session_set_process(sessions->pdata[3], "qemu", process_id_of(getpid())); /* has ended */
    host_use_read_sessions(&use, on, sessions);
    g_assert_cmpint(use.memory_touched_mib, ==, 1);
    large->plan->memory_mib = 1 << 20;
    session_set_process(large, "qemu", process_id_of(getpid()));
    host_use_read_sessions(&use, on, sessions);
    g_assert_cmpint(use.memory_touched_mib, >, 2);
    g_assert_cmpint(use.memory_touched_mib, <, 1 << 20);
    host_use_read_sessions(&use, off, sessions);
    g_assert_cmpint(use.memory_touched_mib, ==, 0);
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
    g_test_add_func("/limits/never-first", test_never_first);
    g_test_add_func("/limits/expected", test_expected);
    g_test_add_func("/limits/reason", test_reason);
    g_test_add_func("/limits/touched", test_touched);
    return g_test_run();
}
