/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Sessions on disk, and the history of ended ones. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/token.h"
#include "core/store.h"
#include "records.h"
#include "temp.h"

#define ABSENT "00000000000000000000000000000000"

typedef struct {
    char *folder;
    Settings *settings;
    SessionRecord *session;
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    f->folder = temp_folder();
    f->settings = temp_settings(f->folder, NULL);
    f->session = test_session_new(f->settings, "alice");
    autofd int lock = store_lock(f->settings, &error);
    g_assert_no_error(error);
    g_assert_true(store_create(f->settings, f->session, &error));
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    session_free(f->session);
    settings_free(f->settings);
    temp_folder_remove(f->folder);
}

static char *record_path(const Fixture *f)
{
    return g_build_filename(f->settings->dir_snapshots, f->session->id, "session.json", NULL);
}

static void overwrite_record(const Fixture *f, const char *text)
{
    g_autofree char *path = record_path(f);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

/* --- records --- */

static void test_create(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = store_folder(f->settings, f->session->id), *path = record_path(f);
    struct stat st;
    g_assert_cmpint(stat(folder, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 0777, ==, 0700);
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 0777, ==, 0600);
    g_autoptr(SessionRecord) read = store_load(f->settings, f->session->id, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(read->owner, ==, "alice");
    g_assert_true(store_remove(f->settings, f->session->id, &error));
    g_assert_null(store_load(f->settings, f->session->id, &error));
    assert_error(error, QWD_ERROR_NOT_FOUND, "There is no such session");
    g_assert_true(store_remove(f->settings, f->session->id, &error)); /* twice is fine */
}

static void test_paths(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *run = store_run_folder(f->settings, "ID"), *display = store_display_folder(f->settings);
    g_autofree char *expected = g_build_filename(f->folder, "run", "ID", NULL);
    g_assert_cmpstr(run, ==, expected);
    g_assert_true(g_str_has_suffix(display, "/run/display"));
}

/* Whatever stands in the address, no path comes of it. */
static void test_bad_ids(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const bad[] = {"",         ".",   "..", "../x", "/etc", "display", ".qemu-web-desktop.lock",
                                      ABSENT "/", ABSENT};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(store_load(f->settings, bad[i], &error));
        assert_error(error, QWD_ERROR_NOT_FOUND, "no such session");
        g_assert_null(store_find(f->settings, bad[i], &error));
        assert_error(error, QWD_ERROR_NOT_FOUND, "no such session");
    }
}

/* --- changes --- */

static bool add_viewer(SessionRecord *session, void *data, GError **error)
{
    (void)data;
    (void)error;
    session->extensions++;
    return true;
}

static bool refuse(SessionRecord *session, void *data, GError **error)
{
    (void)data;
    session->extensions = 99;
    return qwd_error_fail(error, QWD_ERROR_CONFLICT, "no");
}

static void test_change(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_autoptr(SessionRecord) changed = store_change(f->settings, f->session->id, add_viewer, NULL, &error);
    g_assert_cmpint(changed->extensions, ==, 1);
    g_assert_null(store_change(f->settings, f->session->id, refuse, NULL, &error));
    assert_error(error, QWD_ERROR_CONFLICT, "no");
    g_autoptr(SessionRecord) read = store_load(f->settings, f->session->id, &error);
    g_assert_cmpint(read->extensions, ==, 1);
    g_assert_null(store_change(f->settings, ABSENT, add_viewer, NULL, &error));
    assert_error(error, QWD_ERROR_NOT_FOUND, "no such session");
    g_autofree char *folder = store_folder(f->settings, ABSENT);
    g_assert_false(g_file_test(folder, G_FILE_TEST_EXISTS));
}

/* Many writers at once lose nothing, and readers never see half a record. */
static void test_parallel_changes(Fixture *f, gconstpointer unused)
{
    (void)unused;
    enum { WRITERS = 4, CHANGES = 25 };
    for (int i = 0; i < WRITERS; i++) {
        if (fork() != 0)
            continue;
        bool good = true;
        for (int k = 0; k < CHANGES; k++) {
            g_autoptr(SessionRecord) changed = store_change(f->settings, f->session->id, add_viewer, NULL, NULL);
            g_autoptr(SessionRecord) read = store_load(f->settings, f->session->id, NULL);
            good = good && changed && read;
        }
        _exit(good ? 0 : 1);
    }
    for (int status, i = 0; i < WRITERS; i++) {
        g_assert_cmpint(wait(&status), >, 0);
        g_assert_cmpint(status, ==, 0);
    }
    g_autoptr(SessionRecord) read = store_load(f->settings, f->session->id, NULL);
    g_assert_cmpint(read->extensions, ==, WRITERS * CHANGES);
}

/* --- lists --- */

static void test_list(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_autoptr(SessionRecord) second = test_session_new(f->settings, "bob");
    second->created_at += 10;
    g_assert_true(store_create(f->settings, second, &error));
    g_autofree char *foreign = g_build_filename(f->settings->dir_snapshots, "lost+found", NULL);
    g_autofree char *empty = store_folder(f->settings, ABSENT);
    g_assert_cmpint(g_mkdir(foreign, 0700) + g_mkdir(empty, 0700), ==, 0);
    g_autoptr(GPtrArray) sessions = store_list(f->settings, &error);
    g_assert_no_error(error);
    g_assert_cmpint(sessions->len, ==, 2);
    g_assert_cmpstr(((SessionRecord *)sessions->pdata[0])->owner, ==, "bob"); /* the newest first */
}

static void test_list_absent(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_autofree char *nowhere = g_build_filename(f->folder, "nowhere", NULL);
    g_autoptr(Settings) settings = temp_settings(nowhere, NULL);
    g_autoptr(GPtrArray) none = store_list(settings, &error);
    g_assert_no_error(error);
    g_assert_cmpint(none->len, ==, 0);
    g_free(temp_file(f->folder, "nowhere", "")); /* a file, where the folder should be */
    g_assert_null(store_list(settings, &error));
    g_assert_nonnull(error);
}

/* A broken record concerns its session alone. */
static void test_broken(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const broken[] = {"", "{", "[]", "{}", "\xff\xfe", "{\"schema\":1,\"state\":\"running\"}"};
    g_autoptr(SessionRecord) good = test_session_new(f->settings, "bob");
    g_assert_true(store_create(f->settings, good, NULL));
    for (size_t i = 0; i <= G_N_ELEMENTS(broken); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *large = g_strnfill(70000, ' ');
        overwrite_record(f, i < G_N_ELEMENTS(broken) ? broken[i] : large);
        g_assert_null(store_load(f->settings, f->session->id, &error));
        g_assert_nonnull(strstr(error->message, "session.json"));
        g_assert_false(g_error_matches(error, QWD_ERROR, QWD_ERROR_NOT_FOUND));
        g_autoptr(GPtrArray) sessions = store_list(f->settings, NULL);
        g_assert_cmpint(sessions->len, ==, 1);
        g_assert_null(store_change(f->settings, f->session->id, add_viewer, NULL, NULL));
    }
}

/* --- tokens --- */

static void test_token(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *token = token_new(), *other = token_new(), *folder = store_display_folder(f->settings);
    g_autofree char *hash = token_hash(token);
    SessionLink *link = session_add_link(f->session, ROLE_CONTROL, "", 0);
    link->is_own = true;
    g_assert_null(store_find_token(f->settings, link));
    session_set_text(&link->hash, hash);
    g_assert_null(store_find_token(f->settings, link));
    g_assert_true(folder_make_private(folder, NULL));
    g_free(temp_file(folder, other, ""));
    g_free(temp_file(folder, token, ""));
    g_autofree char *found = store_find_token(f->settings, link);
    g_assert_cmpstr(found, ==, token);
    g_autofree char *own = store_find_role_token(f->settings, f->session, ROLE_CONTROL);
    g_assert_cmpstr(own, ==, token);
    g_assert_null(store_find_role_token(f->settings, f->session, ROLE_VIEW));
}

/* --- history --- */

static void end(SessionRecord *session, const char *reason)
{
    session->state = SESSION_ENDED;
    session_set_text(&session->reason, reason);
}

static char *history_path(const Fixture *f)
{
    return g_build_filename(f->settings->dir_snapshots, ".qemu-web-desktop.history", NULL);
}

static void test_history(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    end(f->session, "Two\nlines, and the id " ABSENT " of another one.");
    g_assert_true(store_remember(f->settings, f->session, &error));
    g_autoptr(SessionRecord) other = test_session_new(f->settings, "bob");
    end(other, "It was over.");
    g_assert_true(store_remember(f->settings, other, &error));
    g_assert_true(store_remove(f->settings, f->session->id, &error));
    g_autoptr(SessionRecord) found = store_find(f->settings, f->session->id, &error);
    g_assert_no_error(error);
    g_assert_cmpint(found->state, ==, SESSION_ENDED);
    g_assert_cmpstr(found->reason, ==, f->session->reason);
    g_assert_null(store_recall(f->settings, ABSENT, &error));
    assert_error(error, QWD_ERROR_NOT_FOUND, "no such session");
    g_autofree char *path = history_path(f);
    struct stat st;
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 0777, ==, 0600);
}

/* By the hash of its token, while it runs and when it is remembered; one that is not open has none. */
/* The last ones of somebody, newest first, and of nobody else; a record whose owner is unknown is nobody's. */
static void test_history_last(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const owners[] = {"alice", "bob", "alice", "", "alic", "alice"};
    static const struct {
        const char *owner;
        guint count, found;
    } rows[] = {{"alice", 10, 3}, {"alice", 2, 2}, {"bob", 10, 1}, {"", 10, 1},
                {"carol", 10, 0}, {NULL, 10, 6},   {NULL, 4, 4}};
    for (size_t i = 0; i < G_N_ELEMENTS(owners); i++) {
        g_autoptr(SessionRecord) session = test_session_new(f->settings, owners[i]);
        session->ended_at = (gint64)i + 1;
        g_assert_true(store_remember(f->settings, session, NULL));
    }
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GPtrArray) last = store_recall_last(f->settings, rows[i].owner, rows[i].count);
        g_assert_cmpint(last->len, ==, rows[i].found);
        for (guint k = 1; k < last->len; k++)
            g_assert_cmpint(((SessionRecord *)last->pdata[k - 1])->ended_at, >,
                            ((SessionRecord *)last->pdata[k])->ended_at);
    }
}

static void test_linked(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *token = token_new(), *hash = token_hash(token);
    g_assert_null(store_find_linked(f->settings, hash));
    session_add_link(f->session, ROLE_VIEW, "", 0);
    session_set_text(&session_add_link(f->session, ROLE_CONTROL, "", 0)->hash, hash);
    g_assert_true(store_create(f->settings, f->session, NULL));
    g_autoptr(SessionRecord) running = store_find_linked(f->settings, hash);
    g_assert_cmpstr(running->id, ==, f->session->id);
    g_assert_null(store_find_linked(f->settings, ""));
    g_assert_null(store_find_linked(f->settings, f->session->id));
    g_assert_true(store_remember(f->settings, f->session, NULL));
    g_assert_true(store_remove(f->settings, f->session->id, NULL));
    g_autoptr(SessionRecord) ended = store_find_linked(f->settings, hash);
    g_assert_cmpstr(ended->id, ==, f->session->id);
    g_assert_null(store_find_linked(f->settings, token));
}

/* It does not grow for ever, and the newest is what is kept. */
static void test_history_cut(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_autofree char *filler = g_strnfill(20000, 'x'), *path = history_path(f), *last = NULL;
    for (int i = 0; i < 100; i++) {
        g_autoptr(SessionRecord) session = test_session_new(f->settings, "alice");
        end(session, filler);
        g_assert_true(store_remember(f->settings, session, &error));
        g_free(last);
        last = g_strdup(session->id);
    }
    struct stat st;
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_size, <, 1024 * 1024);
    g_autoptr(SessionRecord) found = store_recall(f->settings, last, &error);
    g_assert_no_error(error);
}

static void test_history_broken(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_autofree char *path = history_path(f), *garbage = g_strnfill(3 * 1024 * 1024, 'x');
    g_assert_true(g_file_set_contents(path, "{broken\n\xff\n\n[]\n", -1, NULL));
    g_assert_true(store_remember(f->settings, f->session, &error));
    g_autoptr(SessionRecord) found = store_recall(f->settings, f->session->id, &error);
    g_assert_no_error(error);
    g_assert_true(g_file_set_contents(path, garbage, -1, NULL)); /* far too large: a new one is begun */
    g_assert_true(store_remember(f->settings, f->session, &error));
    g_autoptr(SessionRecord) again = store_recall(f->settings, f->session->id, &error);
    g_assert_no_error(error);
}

/* What is done to it would be done to the other session. */
static void test_foreign(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_autoptr(SessionRecord) other = test_session_new(f->settings, "bob");
    g_autofree char *text = NULL, *path = record_path(f);
    g_assert_true(store_create(f->settings, other, &error));
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_free(f->session->id);
    f->session->id = g_strdup(other->id);
    overwrite_record(f, text);
    g_assert_null(store_load(f->settings, other->id, &error));
    assert_error(error, QWD_ERROR_UNAVAILABLE, "This is the record of another session.");
    g_autoptr(GPtrArray) sessions = store_list(f->settings, &error);
    g_assert_cmpint(sessions->len, ==, 1);
}

/* A file of at most this size: the next line has room for its half. */
static void test_history_full(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_autofree char *path = history_path(f), *before = NULL, *after = NULL;
    struct stat st;
    g_assert_true(store_remember(f->settings, f->session, &error));
    g_assert_true(g_file_get_contents(path, &before, NULL, NULL));
    g_assert_cmpint(stat(path, &st), ==, 0);
    struct rlimit old, small;
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &old), ==, 0);
    small = (struct rlimit){.rlim_cur = (rlim_t)st.st_size + 50, .rlim_max = old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &small), ==, 0);
    g_assert_false(store_remember(f->settings, f->session, &error));
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &old), ==, 0);
    assert_error(error, QWD_ERROR_UNAVAILABLE, "Cannot write");
    g_assert_true(g_file_get_contents(path, &after, NULL, NULL));
    g_assert_cmpstr(after, ==, before);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(Fixture *, gconstpointer);
    } tests[] = {
        {"/store/create", test_create},
        {"/store/paths", test_paths},
        {"/store/bad-ids", test_bad_ids},
        {"/store/change", test_change},
        {"/store/parallel-changes", test_parallel_changes},
        {"/store/list", test_list},
        {"/store/list-absent", test_list_absent},
        {"/store/broken", test_broken},
        {"/store/token", test_token},
        {"/history/recall", test_history},
        {"/history/linked", test_linked},
        {"/history/last", test_history_last},
        {"/history/cut", test_history_cut},
        {"/history/broken", test_history_broken},
        {"/history/full", test_history_full},
        {"/store/foreign", test_foreign},
    };
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].name, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
