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
#include "temp.h"
#include "web/pages.h"
#include "web/template.h"

#define NO_LIMIT                                                                                                       \
    "service_max_session_nb=0", "service_max_session_nb_per_user=0", "service_max_cpu_fraction_nb_per_user=0",         \
        "service_max_mem_fraction_nb_per_user=0", "service_max_load=0", "service_queue=yes",                           \
        "check_user_with_local=yes", "dir_lib=/nonexistent"

static const Identity alice = {.user = "alice", .is_authenticated = true};

typedef struct {
    char *folder;
    Settings *settings;
    gint64 count;
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->folder = temp_folder();
    f->settings = temp_settings(f->folder, NO_LIMIT, NULL);
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
                 {"/waiting/full-disk", test_full_disk}};
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].name, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
