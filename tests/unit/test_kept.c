/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Ended sessions whose disk is kept: which, how long, how many, and what becomes of their folders and records. */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "app/app.h"
#include "app/keep.h"
#include "base/error.h"
#include "base/fd.h"
#include "core/kept.h"
#include "core/saving.h"
#include "core/store.h"
#include "clock.h"
#include "records.h"
#include "temp.h"

/* --- which --- */

typedef struct {
    const char *setting;
    bool oneshot, use_master, was_ready, was_resumed, was_stopped;
    gint64 kept_s;
} Row;

static const Row rows[] = {
    {"snapshot_keep=0", false, false, true, false, false, 0},
    {"snapshot_keep=2h", false, false, true, false, false, 7200},
    {"snapshot_keep=2h", true, false, true, false, false, 0},
    {"snapshot_keep=2h", false, true, true, false, false, 0},
    {"snapshot_keep=2h", false, false, false, false, false, 0},   /* it never ran */
    {"snapshot_keep=2h", false, false, false, true, false, 7200}, /* it did, in an earlier life */
    {"snapshot_keep=2h", false, false, true, false, true, 0},
    {"snapshot_keep=2h", false, false, false, true, true, 7200}, /* somebody took it out of the queue again */
};

static void test_which(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const Row *row = &rows[i];
        g_autoptr(Settings) settings = temp_settings("/nonexistent", row->setting, NULL);
        g_autoptr(SessionRecord) session = test_session_new(settings, "alice");
        session->plan->oneshot = row->oneshot;
        session->plan->use_master = row->use_master;
        session->ready_at = row->was_ready ? 100 : 0;
        session->resumed_at = row->was_resumed ? 50 : 0;
        session->stop_requested_at = row->was_stopped ? 200 : 0;
        g_assert_cmpint(kept_until(settings, session, 1000), ==, row->kept_s ? 1000 + row->kept_s : 0);
    }
}

/* Nobody is told that a disk will be kept when it is larger than what may be. */
static void test_promise(void)
{
    g_autoptr(TempFolder) root = temp_folder();
    g_autoptr(Settings) settings = temp_settings(root, "snapshot_keep=2h", "snapshot_keep_size=1M", NULL);
    g_autoptr(SessionRecord) session = test_session_new(settings, "alice");
    g_autofree char *folder = store_folder(settings, session->id);
    g_autofree char *disk = g_build_filename(folder, "disk.qcow2", NULL), *data = g_malloc0(2 * 1024 * 1024);
    session->ready_at = 100;
    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    g_assert_true(g_file_set_contents(disk, data, 1000, NULL));
    g_assert_cmpint(kept_promise(settings, session, 1000), ==, 8200);
    g_assert_true(g_file_set_contents(disk, data, 2 * 1024 * 1024, NULL));
    g_assert_cmpint(kept_promise(settings, session, 1000), ==, 0);
}

static void add(GPtrArray *sessions, const Settings *settings, const char *owner, gint64 ended_at, gint64 until)
{
    SessionRecord *session = test_session_new(settings, owner);
    session->state = ended_at ? SESSION_ENDED : SESSION_RUNNING;
    session->ended_at = ended_at;
    session->kept_until = until;
    g_ptr_array_add(sessions, session);
}

static void check_surplus(const char *setting, const char *owner, const char *expected)
{
    g_autoptr(Settings) settings = temp_settings("/nonexistent", setting, NULL);
    g_autoptr(GPtrArray) sessions = g_ptr_array_new_with_free_func((GDestroyNotify)session_free);
    add(sessions, settings, "alice", 30, 2000);
    add(sessions, settings, "alice", 10, 2000);
    add(sessions, settings, "alice", 20, 2000);
    add(sessions, settings, "alice", 0, 0); /* runs */
    add(sessions, settings, "bob", 5, 2000);
    add(sessions, settings, "bob", 7, 1000); /* over, at the time that is now */
    g_autoptr(GPtrArray) surplus = kept_surplus(settings, sessions, owner, 1000);
    g_autoptr(GString) found = g_string_new(NULL);
    for (guint i = 0; i < surplus->len; i++)
        g_string_append_printf(found, "%d ", (int)((const SessionRecord *)surplus->pdata[i])->ended_at);
    g_assert_cmpstr(found->str, ==, expected);
}

static void test_surplus(void)
{
    check_surplus("snapshot_keep_max=3", NULL, "7 ");
    check_surplus("snapshot_keep_max=3", "alice", "7 10 ");
    check_surplus("snapshot_keep_max=1", "alice", "7 10 20 30 ");
    check_surplus("snapshot_keep_max=4", "alice", "7 ");
    check_surplus("snapshot_keep_max=0", "alice", "7 ");
    check_surplus("snapshot_keep_max=1", "bob", "7 5 ");
}

/* Each takes as many MiB as its ended_at says. */
static gint64 size_of(const Settings *settings, const SessionRecord *session)
{
    (void)settings;
    return session->ended_at * 1024 * 1024;
}

static void check_over_size(const char *all, const char *own, const char *owner, const char *expected)
{
    g_autoptr(Settings) settings = temp_settings("/nonexistent", all, own, NULL);
    g_autoptr(GPtrArray) sessions = g_ptr_array_new_with_free_func((GDestroyNotify)session_free);
    add(sessions, settings, "alice", 30, 2000);
    add(sessions, settings, "alice", 10, 2000);
    add(sessions, settings, "alice", 0, 0); /* is being resumed */
    add(sessions, settings, "bob", 5, 2000);
    add(sessions, settings, "bob", 20, 2000);
    SessionRecord *saved = sessions->pdata[3];
    session_set_text(&saved->save_state, SAVE_RUNNING);
    session_set_process(saved, SAVE_PROCESS, process_id_of(getpid()));
    g_autoptr(GPtrArray) over = kept_over_size(settings, sessions, size_of, owner, owner ? 10 * 1024 * 1024 : 0);
    g_autoptr(GString) found = g_string_new(NULL);
    for (guint i = 0; i < over->len; i++)
        g_string_append_printf(found, "%d ", (int)((const SessionRecord *)over->pdata[i])->ended_at);
    g_assert_cmpstr(found->str, ==, expected);
}

static void test_over_size(void)
{
    static const char none[] = "snapshot_keep_size=0", none_own[] = "snapshot_keep_size_per_user=0";
    check_over_size(none, none_own, "alice", "");
    check_over_size("snapshot_keep_size=75M", none_own, "alice", "");
    check_over_size("snapshot_keep_size=74M", none_own, "alice", "10 ");
    check_over_size("snapshot_keep_size=65M", none_own, NULL, "");
    check_over_size("snapshot_keep_size=64M", none_own, NULL, "10 ");
    check_over_size("snapshot_keep_size=40M", none_own, NULL, "10 20 ");
    check_over_size("snapshot_keep_size=1M", none_own, NULL, "10 20 30 ");
    check_over_size(none, "snapshot_keep_size_per_user=50M", "alice", "");
    check_over_size(none, "snapshot_keep_size_per_user=49M", "alice", "10 ");
    check_over_size(none, "snapshot_keep_size_per_user=34M", "bob", "20 ");
    check_over_size("snapshot_keep_size=45M", "snapshot_keep_size_per_user=40M", "alice", "10 20 ");
}

static void test_revive(void)
{
    g_autoptr(Settings) settings = temp_settings("/nonexistent", "snapshot_lifetime=2h", NULL);
    g_autoptr(SessionRecord) session = test_session_new(settings, "alice");
    gint64 created_at = session->created_at;
    session->state = SESSION_FAILED;
    session->ready_at = session->ended_at = session->kept_until = session->extensions = session->idle_stop_at = 5;
    session_set_text(&session->reason, "It crashed.");
    session_set_text(&session->image_version, "1-2");
    session_set_process(session, "qemu", (ProcessId){1, 2});
    session_add_step(session, "disk", 1);
    session->admitted_ms = 5;
    kept_revive(session, 5000250);
    g_assert_cmpint(session->state, ==, SESSION_STARTING);
    g_assert_cmpint(session->ready_at + session->ended_at + session->kept_until + session->extensions, ==, 0);
    g_assert_cmpint(session->idle_stop_at, ==, 0);
    g_assert_cmpstr(session->reason, ==, "");
    g_assert_cmpstr(session->image_version, ==, "1-2");
    g_assert_cmpuint(session->processes->len + session->steps->len, ==, 0);
    g_assert_cmpint(session->created_at, ==, created_at);
    g_assert_cmpint(session->resumed_at, ==, 5000);
    g_assert_cmpint(session->admitted_ms, ==, 5000250);
    g_assert_cmpint(session->ends_at, ==, 5000 + 7200);
}

/* --- what becomes of it --- */

typedef struct {
    char *folder;
    Settings *settings;
} Fixture;

static void set_up(Fixture *f, gconstpointer setting)
{
    f->folder = temp_folder();
    f->settings = temp_settings(f->folder, setting, "snapshot_keep_max=2", "check_user_with_local=yes",
                                "service_max_load=0", "dir_lib=/nonexistent", NULL);
}

static void tear_down(Fixture *f, gconstpointer setting)
{
    (void)setting;
    settings_free(f->settings);
    temp_folder_remove(f->folder);
}

/* A session with a disk, which has run and ended. */
static SessionRecord *ended_session(const Fixture *f, const char *owner, gint64 ended_at)
{
    g_autoptr(GError) error = NULL;
    SessionRecord *session = test_session_new(f->settings, owner);
    session->state = SESSION_RUNNING;
    session->ready_at = session->created_at;
    g_assert_true(store_create(f->settings, session, &error));
    g_autofree char *folder = store_folder(f->settings, session->id);
    g_free(temp_file(folder, "disk.qcow2", "precious"));
    session->state = SESSION_ENDED;
    session->ended_at = ended_at;
    session_set_text(&session->reason, "Its life-time was over.");
    return session;
}

static SessionRecord *put_away(const Fixture *f, const char *owner, gint64 ended_at)
{
    g_autoptr(GError) error = NULL;
    SessionRecord *session = ended_session(f, owner, ended_at);
    g_assert_true(keep_or_remove(f->settings, session, &error));
    g_assert_no_error(error);
    return session;
}

static bool has_disk(const Fixture *f, const SessionRecord *session)
{
    g_autofree char *folder = store_folder(f->settings, session->id);
    g_autofree char *disk = g_build_filename(folder, "disk.qcow2", NULL);
    return g_file_test(disk, G_FILE_TEST_EXISTS);
}

static void test_removed(Fixture *f, gconstpointer setting)
{
    (void)setting;
    g_autoptr(SessionRecord) session = put_away(f, "alice", session_now());
    g_assert_false(has_disk(f, session));
    g_autoptr(SessionRecord) past = store_find(f->settings, session->id, NULL);
    g_assert_cmpstr(past->reason, ==, "Its life-time was over.");
}

static void test_kept(Fixture *f, gconstpointer setting)
{
    (void)setting;
    gint64 now = session_now();
    g_autoptr(SessionRecord) session = put_away(f, "alice", now);
    g_assert_true(has_disk(f, session));
    g_autoptr(SessionRecord) kept = store_load(f->settings, session->id, NULL);
    g_assert_true(session_is_kept(kept, now));
    g_assert_cmpint(kept->kept_until, ==, now + 3600);
    g_assert_cmpstr(kept->reason, ==, "Its life-time was over.");
    g_autoptr(SessionRecord) past = store_recall(f->settings, session->id, NULL);
    g_assert_cmpint(past->kept_until, ==, 0); /* the history does not promise a disk */
}

/* A resumed session that ends within the second of its first end has a line of its own in the history. */
static void test_second_end(Fixture *f, gconstpointer setting)
{
    (void)setting;
    g_autoptr(GError) error = NULL;
    gint64 now = session_now();
    g_autoptr(SessionRecord) session = put_away(f, "alice", now);
    session->resumed_at = now;
    session_set_text(&session->reason, "Stopped by alice.");
    g_assert_true(keep_or_remove(f->settings, session, &error));
    g_autoptr(SessionRecord) past = store_recall(f->settings, session->id, NULL);
    g_assert_cmpstr(past->reason, ==, "Stopped by alice.");
}

/* The user's oldest goes, others' stay; what is over goes when anybody's is put away. */
static void test_room(Fixture *f, gconstpointer setting)
{
    (void)setting;
    gint64 now = session_now();
    g_autoptr(SessionRecord) over = put_away(f, "bob", now - 3600);
    g_autoptr(SessionRecord) other = put_away(f, "bob", now - 30);
    g_autoptr(SessionRecord) first = put_away(f, "alice", now - 20);
    g_autoptr(SessionRecord) second = put_away(f, "alice", now - 10);
    g_assert_false(has_disk(f, over));
    g_assert_true(has_disk(f, first) && has_disk(f, second));
    g_autoptr(SessionRecord) third = put_away(f, "alice", now);
    g_assert_false(has_disk(f, first));
    g_assert_true(has_disk(f, second) && has_disk(f, third) && has_disk(f, other));
}

/* Ends with a disk of so many MiB. */
static SessionRecord *put_away_large(const Fixture *f, const char *owner, gint64 ended_at, gsize mib)
{
    SessionRecord *session = ended_session(f, owner, ended_at);
    g_autofree char *folder = store_folder(f->settings, session->id);
    g_autofree char *disk = g_build_filename(folder, "disk.qcow2", NULL), *content = g_strnfill(mib << 20, 'x');
    g_assert_true(g_file_set_contents(disk, content, -1, NULL));
    g_assert_true(keep_or_remove(f->settings, session, NULL));
    return session;
}

static void test_size(Fixture *f, gconstpointer setting)
{
    (void)setting;
    gint64 now = session_now();
    f->settings->snapshot_keep_size = 5;
    f->settings->snapshot_keep_size_per_user = 4;
    g_autoptr(SessionRecord) first = put_away_large(f, "alice", now - 40, 2);
    g_autoptr(SessionRecord) large = put_away_large(f, "bob", now - 30, 5); /* for which nobody else's goes */
    g_assert_true(has_disk(f, first));
    g_assert_false(has_disk(f, large));
    g_autoptr(SessionRecord) second = put_away_large(f, "alice", now - 20, 1);
    g_assert_true(has_disk(f, first) && has_disk(f, second));
    g_autoptr(SessionRecord) other = put_away_large(f, "bob", now - 10, 3);
    g_assert_false(has_disk(f, first));
    g_assert_true(has_disk(f, second) && has_disk(f, other));
    f->settings->snapshot_keep_size = 3; /* an administrator thinks again */
    g_autoptr(GPtrArray) report = g_ptr_array_new_with_free_func(g_free);
    keep_remove_expired(f->settings, report);
    g_assert_false(has_disk(f, second));
    g_assert_true(has_disk(f, other));
    g_assert_cmpuint(report->len, ==, 1);
    g_assert_nonnull(strstr(report->pdata[0], "snapshot_keep_size"));
}

static void test_expired(Fixture *f, gconstpointer setting)
{
    (void)setting;
    g_autoptr(GPtrArray) report = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(SessionRecord) fresh = put_away(f, "alice", session_now() - 3599);
    g_autoptr(SessionRecord) over = put_away(f, "bob", session_now() - 3600);
    keep_remove_expired(f->settings, report);
    g_assert_true(has_disk(f, fresh));
    g_assert_false(has_disk(f, over));
    g_assert_cmpuint(report->len, ==, 1);
    g_assert_nonnull(strstr(report->pdata[0], over->id));
    keep_remove_expired(f->settings, report);
    g_assert_cmpuint(report->len, ==, 1);
}

/* --- asking for it --- */

static const Identity alice = {.user = "alice", .is_authenticated = true};
static const Identity bob = {.user = "bob", .is_authenticated = true};

static void test_refused(Fixture *f, gconstpointer setting)
{
    (void)setting;
    g_autoptr(GError) error = NULL;
    g_autoptr(SessionRecord) kept = put_away(f, "alice", session_now());
    g_autoptr(SessionRecord) over = put_away(f, "alice", session_now() - 3600);
    g_assert_null(app_resume(f->settings, &bob, kept->id, &error));
    assert_error(error, QWD_ERROR_NOT_FOUND, "There is no such session");
    g_assert_null(app_discard(f->settings, &bob, kept->id, &error));
    assert_error(error, QWD_ERROR_NOT_FOUND, "There is no such session");
    g_assert_null(app_resume(f->settings, &alice, over->id, &error));
    assert_error(error, QWD_ERROR_CONFLICT, "not kept any more");
    g_assert_null(app_extend(f->settings, &alice, kept->id, 0, &error));
    assert_error(error, QWD_ERROR_CONFLICT, "has ended");
    g_assert_null(app_stay(f->settings, &alice, kept->id, &error));
    assert_error(error, QWD_ERROR_CONFLICT, "has ended");
    g_assert_true(has_disk(f, kept));
}

static void test_discard(Fixture *f, gconstpointer setting)
{
    (void)setting;
    g_autoptr(GError) error = NULL;
    g_autoptr(SessionRecord) kept = put_away(f, "alice", session_now());
    g_autoptr(SessionRecord) past = app_discard(f->settings, &alice, kept->id, &error);
    g_assert_no_error(error);
    g_assert_false(session_is_kept(past, session_now()));
    g_assert_false(has_disk(f, kept));
    g_assert_null(app_resume(f->settings, &alice, kept->id, &error));
    assert_error(error, QWD_ERROR_CONFLICT, "not kept any more");
}

/* Settings under which alice, who has a session running, has no room for another. */
static Settings *full_settings(const Fixture *f, const char *setting, const char *queue)
{
    g_autoptr(SessionRecord) running = test_session_new(f->settings, "alice");
    running->state = SESSION_RUNNING;
    g_assert_true(store_create(f->settings, running, NULL));
    return temp_settings(f->folder, setting, queue, "service_max_session_nb_per_user=1", "check_user_with_local=yes",
                         "service_max_load=0", NULL);
}

/* The limits hold as for a new session. */
static void test_no_room(Fixture *f, gconstpointer setting)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SessionRecord) kept = put_away(f, "alice", session_now());
    g_autoptr(Settings) full = full_settings(f, setting, "service_queue=no");
    g_assert_null(app_resume(full, &alice, kept->id, &error));
    assert_error(error, QWD_ERROR_LIMIT, "Sessions for one user: 1 at once");
    g_autoptr(SessionRecord) after = store_load(f->settings, kept->id, NULL);
    g_assert_true(session_is_kept(after, session_now()));
}

/* It may wait for room; who leaves the queue has the disk still. */
static void test_queued(Fixture *f, gconstpointer setting)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(SessionRecord) kept = put_away(f, "alice", session_now());
    g_autoptr(Settings) full = full_settings(f, setting, "service_queue=yes");
    g_autoptr(SessionRecord) waiting = app_resume(full, &alice, kept->id, &error);
    g_assert_no_error(error);
    g_assert_cmpint(waiting->state, ==, SESSION_QUEUED);
    g_autoptr(SessionRecord) stopped = app_stop(full, &alice, kept->id, &error);
    g_assert_no_error(error);
    g_autoptr(SessionRecord) after = store_load(f->settings, kept->id, NULL);
    g_assert_true(session_is_kept(after, session_now()));
    g_assert_true(has_disk(f, kept));
}

/* A supervisor that cannot be started costs nobody a disk. */
static void test_resume(Fixture *f, gconstpointer setting)
{
    (void)setting;
    g_autoptr(GError) error = NULL;
    g_autoptr(SessionRecord) kept = put_away(f, "alice", session_now());
    g_assert_null(app_resume(f->settings, &alice, kept->id, &error));
    g_assert_error(error, QWD_ERROR, QWD_ERROR_UNAVAILABLE);
    g_autoptr(SessionRecord) after = store_load(f->settings, kept->id, NULL);
    g_assert_cmpint(after->state, ==, SESSION_ENDED);
    g_assert_cmpint(after->kept_until, ==, kept->ended_at + 3600);
    g_assert_cmpint(after->resumed_at, ==, 0);
    g_assert_true(has_disk(f, kept));
}

/* One that runs already is on its way: pressing Resume twice is no error; but its disk is not given up. */
static void test_running(Fixture *f, gconstpointer setting)
{
    (void)setting;
    g_autoptr(GError) error = NULL;
    g_autoptr(SessionRecord) running = test_session_new(f->settings, "alice");
    g_assert_true(store_create(f->settings, running, &error));
    g_autoptr(SessionRecord) same = app_resume(f->settings, &alice, running->id, &error);
    g_assert_no_error(error);
    g_assert_cmpint(same->state, ==, SESSION_QUEUED);
    g_assert_null(app_discard(f->settings, &alice, running->id, &error));
    assert_error(error, QWD_ERROR_CONFLICT, "Stop it instead");
}

/* Waiting for the end of one that is kept does not wait for its folder's. */
static void test_wait(Fixture *f, gconstpointer setting)
{
    (void)setting;
    g_autoptr(GError) error = NULL;
    g_autoptr(SessionRecord) kept = put_away(f, "alice", session_now());
    g_assert_true(app_wait_ended(f->settings, kept->id, 5000, &error));
    g_autoptr(SessionRecord) found = app_wait_ready(f->settings, kept->id, 5000, &error);
    g_assert_cmpint(found->state, ==, SESSION_ENDED);
    g_autoptr(GPtrArray) list = app_list(f->settings, &alice, &error);
    g_assert_cmpuint(list->len, ==, 1);
    g_autoptr(SessionRecord) over = put_away(f, "alice", session_now() - 3600);
    g_autoptr(GPtrArray) again = app_list(f->settings, &alice, &error);
    g_assert_cmpuint(again->len, ==, 1); /* what is over is not shown, swept up or not */
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(Fixture *f, gconstpointer setting);
    } tests[] = {{"/kept/kept", test_kept},       {"/kept/room", test_room},       {"/kept/size", test_size},
                 {"/kept/expired", test_expired}, {"/kept/refused", test_refused}, {"/kept/discard", test_discard},
                 {"/kept/resume", test_resume},   {"/kept/no-room", test_no_room}, {"/kept/queued", test_queued},
                 {"/kept/running", test_running}, {"/kept/wait", test_wait},       {"/kept/second-end", test_second_end}};
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kept/which", test_which);
    g_test_add_func("/kept/promise", test_promise);
    g_test_add_func("/kept/surplus", test_surplus);
    g_test_add_func("/kept/over-size", test_over_size);
    g_test_add_func("/kept/revive", test_revive);
    g_test_add("/kept/removed", Fixture, "snapshot_keep=0", set_up, test_removed, tear_down);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].name, Fixture, "snapshot_keep=1h", set_up, tests[i].test, tear_down);
    return g_test_run();
}
