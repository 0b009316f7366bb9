/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Those who wait for room: what they wait for, who holds up whom, and who need not wait at all. */
#include <string.h>

#include "app/app.h"
#include "app/queue.h"
#include "base/error.h"
#include "base/json.h"
#include "core/limits.h"
#include "core/store.h"
#include "clock.h"
#include "paths.h"
#include "records.h"
#include "requests.h"
#include "sysfs.h"
#include "temp.h"
#include "web/pages.h"
#include "web/template.h"

#define NO_LIMIT                                                                                                       \
    "service_max_session_nb=0", "service_max_session_nb_per_user=0", "service_max_cpu_fraction_nb_per_user=0",         \
        "service_max_mem_fraction_nb_per_user=0", "service_max_load=0", "service_queue=yes",                           \
        "check_user_with_local=yes", "dir_lib=/nonexistent", "snapshot_alloc_mem=512M"

static const Identity alice = {.user = "alice", .is_authenticated = true};

typedef struct {
    char *folder;
    Settings *settings;
    Identity who; /* looks at pages */
    gint64 count;
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->folder = temp_folder();
    f->settings = temp_settings(f->folder, NO_LIMIT, NULL);
    f->who = alice;
    f->count = 0;
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    settings_free(f->settings);
    temp_folder_remove(f->folder);
}

static SessionRecord *made(Fixture *f, const char *owner, SessionState state, gint64 ends_at)
{
    SessionRecord *session = test_session_new(f->settings, owner);
    session->state = state;
    session->ends_at = ends_at;
    session->admitted_ms = ++f->count; /* in this order */
    return session;
}

/* A record in the store. Returns its id. */
static char *stored(Fixture *f, const char *owner, SessionState state, gint64 ends_at)
{
    g_autoptr(SessionRecord) session = made(f, owner, state, ends_at);
    g_assert_true(store_create(f->settings, session, NULL));
    return g_strdup(session->id);
}

static void check_wait(const Fixture *f, const char *id, const QueueWait *expected)
{
    g_auto(QueueWait) wait = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(SessionRecord) session = store_load(f->settings, id, &error);
    g_assert_no_error(error);
    g_assert_true(app_queue_describe(f->settings, session, &wait, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(wait.position, ==, expected->position);
    g_assert_cmpstr(wait.reason, ==, expected->reason);
    g_assert_true(wait.is_own == expected->is_own);
    g_assert_cmpint(wait.expected_at, ==, expected->expected_at);
}

#define REASON(text) .reason = (char *)(text)

/* What is said is what holds: one's own limit and one's own ends, a place, something else, or those before. */
static void test_describe(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *first = stored(f, "alice", SESSION_RUNNING, 5000);
    g_autofree char *foreign = stored(f, "bob", SESSION_RUNNING, 4000);
    g_autofree char *own = stored(f, "alice", SESSION_QUEUED, 0);
    g_autofree char *other = stored(f, "bob", SESSION_QUEUED, 0);
    check_wait(f, first, &(QueueWait){0});
    check_wait(f, own, &(QueueWait){.position = 1});
    f->settings->service_max_session_nb_per_user = 1;
    check_wait(f, own,
               &(QueueWait){1, REASON("Sessions for one user: 1 at once; you have 1."), true, .expected_at = 5000});
    f->settings->service_max_session_nb_per_user = 0;
    f->settings->service_max_session_nb = 2;
    check_wait(f, own, &(QueueWait){1, REASON("Sessions on this service: 2 at once; 2 run."), .expected_at = 4000});
    check_wait(f, other, &(QueueWait){2, REASON("Sessions on this service: 2 at once; 2 run."), .expected_at = 5000});
    f->settings->service_max_session_nb = 3;
    check_wait(f, other, &(QueueWait){2, NULL, .expected_at = 4000}); /* one place, for who is before */

    g_autoptr(SessionRecord) master = made(f, "carol", SESSION_QUEUED, 0);
    master->plan->use_master = true;
    g_assert_true(store_create(f->settings, master, NULL));
    f->settings->service_max_session_nb = 0;
    check_wait(f, master->id, &(QueueWait){1, REASON("Another session uses the image of this machine.")});
}

static const char *text_at(const json_t *queue, const char *key)
{
    return json_string_value(json_object_get(queue, key));
}

/* What the page makes of it. */
static void test_page(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_autoptr(Request) request = test_request("GET", "", NULL);
    g_autofree char *running = stored(f, "alice", SESSION_RUNNING, 1800000000), *templates = source_path("html");
    g_autofree char *waiting = stored(f, "alice", SESSION_QUEUED, 0);
    f->settings->service_max_session_nb_per_user = 1;
    const PageContext context = {
        .settings = f->settings, .request = request, .base = "http://desk.example", .who = (Identity *)&alice};
    g_autoptr(SessionRecord) session = store_load(f->settings, waiting, NULL);
    g_autoptr(JsonValue) values = page_session(&context, session);
    const json_t *queue = json_object_get(json_object_get(values, "session"), "queue");
    g_assert_cmpstr(text_at(queue, "reason"), ==, "Sessions for one user: 1 at once; you have 1.");
    g_assert_cmpstr(text_at(json_object_get(queue, "expected"), "iso"), ==, "2027-01-15T08:00:00Z");
    g_autofree char *page = template_render(templates, "session.html", values, &error);
    g_assert_no_error(error);
    g_assert_nonnull(strstr(page, "you have 1. You are next in the queue."));
    g_assert_nonnull(strstr(page, "A session of yours is due to end at"));
}

/* It has no time yet that could be extended. */
static void test_extend(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_autofree char *id = stored(f, "alice", SESSION_QUEUED, session_now() + 600);
    g_assert_null(app_extend(f->settings, &alice, id, 0, &error));
    assert_error(error, QWD_ERROR_CONFLICT, "waits for room");
    g_autoptr(SessionRecord) after = store_load(f->settings, id, NULL);
    g_assert_cmpint(after->extensions, ==, 0);
}

static bool waits(const Fixture *f, const char *id)
{
    g_autoptr(SessionRecord) session = store_load(f->settings, id, NULL);
    return session && session->state == SESSION_QUEUED;
}

static char *waiting_for(Fixture *f, const char *owner, gint64 memory_mib, gint64 asked_ago_s)
{
    g_autoptr(SessionRecord) session = made(f, owner, SESSION_QUEUED, 0);
    session->plan->memory_mib = memory_mib;
    session->admitted_ms = (session_now() - asked_ago_s) * 1000;
    g_assert_true(store_create(f->settings, session, NULL));
    return g_strdup(session->id);
}

/* Those behind wait as long as a place can come for the first one, and not for memory that never can. */
static void test_holding_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->settings->service_min_free_memory = 1;
    f->settings->service_max_session_nb = 1;
    g_autofree char *running = stored(f, "carol", SESSION_RUNNING, 5000);
    g_autofree char *head = waiting_for(f, "alice", G_GINT64_CONSTANT(1) << 40, 20);
    g_autofree char *small = waiting_for(f, "bob", 1, 10);
    g_assert_true(app_queue_advance(f->settings, NULL));
    g_assert_true(waits(f, head) && waits(f, small));
    f->settings->service_max_session_nb = 2;
    g_assert_true(app_queue_advance(f->settings, NULL));
    g_assert_true(waits(f, head) && !waits(f, small));
}

/* For memory that others have at the moment, they wait an hour. */
static void test_holding_up_for_memory(Fixture *f, gconstpointer unused)
{
    (void)unused;
    HostUse use;
    host_use_read(&use, f->folder);
    f->settings->service_min_free_memory = 1;
    g_autoptr(SessionRecord) running = made(f, "carol", SESSION_RUNNING, 5000);
    running->plan->memory_mib = use.memory_free_mib * 7 / 10; /* others may take or leave some meanwhile */
    g_assert_true(store_create(f->settings, running, NULL));
    g_autofree char *head = waiting_for(f, "alice", use.memory_free_mib * 7 / 10, 3500);
    g_autofree char *small = waiting_for(f, "bob", 1, 10);
    g_assert_true(app_queue_advance(f->settings, NULL));
    g_assert_true(waits(f, head) && waits(f, small));
    g_autofree char *before = waiting_for(f, "dora", use.memory_free_mib * 7 / 10, 3601);
    g_autoptr(SessionRecord) stopped = app_stop(f->settings, &alice, head, NULL);
    g_assert_nonnull(stopped);
    g_assert_true(app_queue_advance(f->settings, NULL));
    g_assert_true(waits(f, before) && !waits(f, small));
}

/* A disk that is full while nothing runs does not empty itself. */
static void test_full_disk(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    f->settings->service_min_free_disk = G_GINT64_CONSTANT(1) << 40;
    g_autoptr(SessionRecord) refused = made(f, "alice", SESSION_QUEUED, 0);
    g_assert_false(app_queue_enter(f->settings, refused, NULL, true, &error));
    assert_error(error, QWD_ERROR_LIMIT, "Tell the administrator of this service.");
    g_clear_error(&error);
    g_autofree char *running = stored(f, "bob", SESSION_RUNNING, 5000);
    g_autoptr(SessionRecord) waiting = made(f, "alice", SESSION_QUEUED, 0);
    g_assert_true(app_queue_enter(f->settings, waiting, NULL, true, &error));
    g_assert_no_error(error);
    g_assert_true(waits(f, waiting->id));
}

/* --- what stands in the way of a new session --- */

/* Each limit as it is reached when alice and bob have a session each, of one core and 512 MB. */
static const struct {
    const char *setting;
    gint64 integer;
    double real;
    const char *message; /* its beginning: what the host has left changes meanwhile */
    bool needs_gpu;      /* which the form does not ask for by itself */
    bool may_wait;       /* there is room later */
} limit_rows[] = {
    {"service_max_session_nb_per_user", 1, 0,
     "Sessions for one user: 1 at once; you have 1. The next one is due to end at 2030-03-17 19:46, in 2 h. Stopping a "
     "session of yours makes room.",
     false, true},
    {"service_max_cpu_fraction_nb_per_user", 0, 1e-6,
     "Processor cores for one user: 1 at once; you use 1 and ask for 1. The next one is due to end at ", false, true},
    {"service_max_mem_fraction_nb_per_user", 0, 1e-9,
     "Memory for one user: 512 MB at once; you use 512 MB and ask for 512 MB. The next one is due to end at ", false,
     true},
    {"service_max_gpu_nb_per_user", 1, 0, "GPUs for one user: 1 at once; you have 1. The next one is due to end at ",
     true, true},
    {"service_max_session_nb", 2, 0, "Sessions on this service: 2 at once; 2 run. The next one is due to end at ",
     false, true},
    {"service_max_load", 0, -1, "The server is busy: its load is ", false, false},
    {"service_min_free_memory", G_GINT64_CONSTANT(1) << 40, 0,
     "The server has 0 MB of memory for new sessions, and you ask for 512 MB. Tell the administrator of this service.",
     false, false},
    {"service_min_free_disk", G_GINT64_CONSTANT(1) << 40, 0, "The server's disk is nearly full: ", false, true},
};

static void set_limit(Fixture *f, size_t i)
{
    const SettingRow *row = settings_find(limit_rows[i].setting);
    void *field = (char *)f->settings + row->offset;
    if (row->kind == SETTING_REAL)
        *(double *)field = limit_rows[i].real;
    else
        *(gint64 *)field = limit_rows[i].integer;
}

static void store_of(Fixture *f, const char *owner)
{
    g_autoptr(SessionRecord) session = made(f, owner, SESSION_RUNNING, NOON + 7200);
    session->plan->gpu = g_str_equal(owner, "alice");
    g_assert_true(store_create(f->settings, session, NULL));
}

static SessionRecord *wanted_of(Fixture *f, size_t i)
{
    SessionRecord *wanted = made(f, "alice", SESSION_STARTING, 0);
    wanted->plan->gpu = limit_rows[i].needs_gpu;
    return wanted;
}

/* Amounts that others change meanwhile. */
static char *without_figures(const char *text)
{
    g_autoptr(GRegex) figures = g_regex_new("[0-9]+(\\.[0-9]+)?( [MG]B)?", 0, 0, NULL);
    return g_regex_replace_literal(figures, text, -1, 0, "#", 0, NULL);
}

static void assert_same(const char *a, const char *b)
{
    g_autofree char *first = without_figures(a), *second = without_figures(b);
    g_assert_cmpstr(first, ==, second);
}

/* What the page with the form has of it. */
static json_t *obstacle_of_page(Fixture *f, const GPtrArray *sessions)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Request) request = test_request("GET", "", NULL);
    g_autoptr(GPtrArray) machines = g_ptr_array_new_with_free_func((GDestroyNotify)machine_free);
    g_autofree char *image = temp_file(f->folder, "tiny.iso", "image"), *templates = source_path("html");
    g_ptr_array_add(machines, machine_from_path(image));
    const PageContext context = {
        .settings = f->settings, .request = request, .base = "http://desk.example", .who = &f->who};
    g_autoptr(JsonValue) values = page_landing(&context, machines, sessions);
    g_autofree char *page = template_render(templates, "landing.html", values, &error);
    g_assert_no_error(error);
    json_t *capacity = json_object_get(json_object_get(values, "visitor"), "capacity");
    g_assert_true(json_is_object(capacity));
    return json_incref(json_object_get(capacity, "obstacle"));
}

/* Without a queue, the form says before what Create says then. */
static void check_refusal(Fixture *f, size_t i)
{
    g_auto(QueueWait) wait = {0};
    g_autoptr(GError) refusal = NULL, preview = NULL;
    g_autoptr(SessionRecord) asked = wanted_of(f, i), wanted = wanted_of(f, i);
    g_autoptr(GPtrArray) sessions = store_list(f->settings, NULL);
    f->settings->service_queue = false;
    g_assert_false(app_queue_enter(f->settings, asked, NULL, true, &refusal));
    g_test_message("%s: %s", limit_rows[i].setting, refusal->message);
    g_assert_error(refusal, QWD_ERROR, QWD_ERROR_LIMIT);
    g_assert_true(g_str_has_prefix(refusal->message, limit_rows[i].message));
    g_assert_false(app_queue_preview(f->settings, sessions, wanted, &wait, &preview));
    g_assert_error(preview, QWD_ERROR, QWD_ERROR_LIMIT);
    assert_same(preview->message, refusal->message);
    g_autoptr(JsonValue) obstacle = obstacle_of_page(f, sessions);
    if (!limit_rows[i].needs_gpu)
        assert_same(text_at(obstacle, "text"), refusal->message);
    g_assert_false(json_is_true(json_object_get(obstacle, "would_wait")));
}

/* With one, it says what a new session would wait for; what can never be had is refused all the same. */
static void check_wait_for(Fixture *f, size_t i)
{
    g_auto(QueueWait) wait = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(SessionRecord) wanted = wanted_of(f, i);
    g_autoptr(GPtrArray) sessions = store_list(f->settings, NULL);
    f->settings->service_queue = true;
    bool may_wait = app_queue_preview(f->settings, sessions, wanted, &wait, &error);
    g_assert_true(may_wait == limit_rows[i].may_wait);
    g_assert_cmpuint(wait.position, ==, may_wait);
    g_assert_true(!may_wait || g_str_has_prefix(limit_rows[i].message, wait.reason) ||
                  g_str_has_prefix(wait.reason, limit_rows[i].message));
    g_autoptr(JsonValue) obstacle = obstacle_of_page(f, sessions);
    if (limit_rows[i].needs_gpu)
        return;
    g_assert_true(json_is_true(json_object_get(obstacle, "would_wait")) == may_wait);
    g_assert_true(json_is_true(json_object_get(obstacle, "is_own")) == wait.is_own);
    assert_same(text_at(obstacle, "text"), may_wait ? wait.reason : error->message);
}

static void test_limit(Fixture *f, gconstpointer data)
{
    size_t i = GPOINTER_TO_SIZE(data);
    g_autoptr(TempFolder) root = sysfs_machine("nvidia");
    g_setenv("QWD_SYSROOT", root, TRUE);
    store_of(f, "alice");
    store_of(f, "bob");
    set_limit(f, i);
    check_refusal(f, i);
    check_wait_for(f, i);
    g_unsetenv("QWD_SYSROOT");
}

/* Every setting of the chapter has its row, but for those of the queue. */
static void test_all_limits(void)
{
    size_t count = 0;
    bool is_in_chapter = false;
    for (const SettingRow *row = settings_rows(); row->chapter || row->key; row++) {
        is_in_chapter = row->key ? is_in_chapter : g_str_equal(row->chapter, "Limits");
        if (!is_in_chapter || !row->key || g_str_has_prefix(row->key, "service_queue"))
            continue;
        size_t i = 0;
        while (i < G_N_ELEMENTS(limit_rows) && !g_str_equal(limit_rows[i].setting, row->key))
            i++;
        g_test_message("%s", row->key);
        g_assert_cmpuint(i, <, G_N_ELEMENTS(limit_rows));
        count++;
    }
    g_assert_cmpuint(count, ==, G_N_ELEMENTS(limit_rows));
}

static void check_obstacle(Fixture *f, const char *text, bool would_wait)
{
    g_autoptr(GPtrArray) sessions = store_list(f->settings, NULL);
    g_autoptr(JsonValue) obstacle = obstacle_of_page(f, sessions);
    g_assert_cmpstr(text_at(obstacle, "text"), ==, text);
    g_assert_true(json_is_true(json_object_get(obstacle, "would_wait")) == would_wait);
}

/* What is no figure: others who wait, a queue that is full, an image that is taken; and nothing at all. */
static void test_other_obstacles(Fixture *f, gconstpointer unused)
{
    (void)unused;
    check_obstacle(f, NULL, false);
    g_autofree char *waiting = stored(f, "bob", SESSION_QUEUED, 0);
    check_obstacle(f, "Other sessions wait for room already.", true);
    f->settings->service_queue_max = 1;
    check_obstacle(f, "There is no room, and the queue is full: 1 waiting. Try again later.", false);
    f->settings->service_queue_max = 2;
    f->settings->service_queue_max_per_user = 1;
    check_obstacle(f, "Other sessions wait for room already.", true); /* another user's */
    g_autofree char *own = stored(f, "alice", SESSION_QUEUED, 0);
    f->settings->service_queue_max = 3;
    check_obstacle(f,
                   "Sessions of one user in the queue: 1 at most; you have 1. Cancel one of them, or try again when one "
                   "has started.",
                   false);
    f->who.is_admin = true;
    check_obstacle(f, NULL, false);
    f->who.is_admin = false;
    f->settings->service_queue_max_per_user = 0;
    check_obstacle(f, "Other sessions wait for room already.", true);
    g_autoptr(SessionRecord) master = made(f, "carol", SESSION_RUNNING, NOON + 7200);
    g_autofree char *image = g_build_filename(f->folder, "tiny.iso", NULL);
    master->plan->use_master = true;
    session_set_text(&master->plan->image, image);
    g_assert_true(store_create(f->settings, master, NULL));
    check_obstacle(f,
                   "The image of tiny.iso is in use by a session that works on the image itself or is based on it, or "
                   "the disk of such a one is kept. Stop or discard that session first.",
                   false);
}

/* Those who wait for a limit of their own, or for an image, are in nobody's way; those who wait for room are. */
static void test_not_in_the_way(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->settings->service_queue_max = 1;
    f->settings->service_max_session_nb_per_user = 1;
    g_autofree char *running = stored(f, "bob", SESSION_RUNNING, NOON + 3600);
    g_autofree char *own = stored(f, "bob", SESSION_QUEUED, 0), *own_too = stored(f, "bob", SESSION_QUEUED, 0);
    check_obstacle(f, NULL, false);
    f->settings->service_max_session_nb = 1;
    check_obstacle(f, "Sessions on this service: 1 at once; 1 run.", true);
    g_autofree char *carol = stored(f, "carol", SESSION_QUEUED, 0);
    check_obstacle(f, "There is no room, and the queue is full: 1 waiting. Try again later.", false);
    check_wait(f, carol,
               &(QueueWait){1, REASON("Sessions on this service: 1 at once; 1 run."), .expected_at = NOON + 3600});
    f->settings->service_max_session_nb = 2;
    check_obstacle(f, "There is no room, and the queue is full: 1 waiting. Try again later.", false);
    f->settings->service_queue_max = 2;
    check_obstacle(f, "Other sessions wait for room already.", true);
}

/* The number of sessions that a group gives, in place of the setting's. */
static void test_group_limit(Fixture *f, gconstpointer unused)
{
    (void)unused;
    const char *staff[] = {"staff", NULL};
    g_autofree char *running = stored(f, "alice", SESSION_RUNNING, NOON + 7200);
    g_free(f->settings->file_groups);
    f->settings->file_groups = temp_file(f->folder, "groups.conf", "[staff]\nsessions=1\n");
    f->settings->service_max_session_nb_per_user = 2;
    check_obstacle(f, NULL, false);
    f->who.groups = staff;
    check_obstacle(f, "Sessions for one user: 1 at once; you have 1.", true);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(Fixture *, gconstpointer);
    } tests[] = {{"/waiting/describe", test_describe},
                 {"/waiting/page", test_page},
                 {"/waiting/extend", test_extend},
                 {"/waiting/holding-up", test_holding_up},
                 {"/waiting/holding-up-for-memory", test_holding_up_for_memory},
                 {"/waiting/full-disk", test_full_disk},
                 {"/waiting/obstacles", test_other_obstacles},
                 {"/waiting/not-in-the-way", test_not_in_the_way},
                 {"/waiting/group", test_group_limit}};
    g_setenv("TZ", "UTC", TRUE);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/waiting/all-limits", test_all_limits);
    for (size_t i = 0; i < G_N_ELEMENTS(limit_rows); i++) {
        g_autofree char *path = g_strconcat("/waiting/limit/", limit_rows[i].setting, NULL);
        g_test_add(path, Fixture, GSIZE_TO_POINTER(i), set_up, test_limit, tear_down);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].name, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
