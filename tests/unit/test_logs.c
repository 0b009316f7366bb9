/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Logs of sessions: kept, swept, found again. */
#include <fcntl.h>
#include <string.h>
#include <utime.h>

#include "app/journal.h"
#include "app/monitor.h"
#include "app/logs.h"
#include "base/error.h"
#include "core/session_logs.h"
#include "core/store.h"
#include "records.h"
#include "temp.h"

#define DAY_S 86400

static SessionRecord *stored_session(const Settings *settings)
{
    g_autoptr(GError) error = NULL;
    SessionRecord *session = test_session_new(settings, "alice");
    store_create(settings, session, &error);
    g_assert_no_error(error);
    return session;
}

static void write_log(const Settings *settings, const char *id, const char *name, const char *text)
{
    g_autofree char *folder = store_folder(settings, id);
    g_autofree char *path = temp_file(folder, name, text);
    (void)path;
}

static void keep(const Settings *settings, const char *id)
{
    g_autoptr(GError) error = NULL;
    bool good = session_logs_keep(settings, id, &error);
    g_assert_no_error(error);
    g_assert_true(good);
    g_assert_true(store_remove(settings, id, NULL));
}

static char *kept_text(const Settings *settings, const char *id, const char *name)
{
    g_autofree char *path = g_build_filename(settings->dir_logs, id, name, NULL);
    char *text = NULL;
    g_file_get_contents(path, &text, NULL, NULL);
    return text;
}

static bool is_kept(const Settings *settings, const char *id)
{
    g_autofree char *path = g_build_filename(settings->dir_logs, id, NULL);
    return g_file_test(path, G_FILE_TEST_IS_DIR);
}

/* --- keeping --- */

static void test_keep(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(Settings) settings = temp_settings(folder, NULL);
    g_autoptr(SessionRecord) session = stored_session(settings);
    struct stat st;
    write_log(settings, session->id, "qemu.log", "new");
    write_log(settings, session->id, "qemu.log.1", "old");
    write_log(settings, session->id, "serial.log", "");
    write_log(settings, session->id, "disk.qcow2", "disk");
    g_autofree char *while_running = session_logs_folder(settings, session->id);
    keep(settings, session->id);
    g_autofree char *afterwards = session_logs_folder(settings, session->id);
    g_assert_cmpstr(while_running, !=, afterwards);
    g_autofree char *new = kept_text(settings, session->id, "qemu.log");
    g_autofree char *old = kept_text(settings, session->id, "qemu.log.1");
    g_assert_cmpstr(new, ==, "new");
    g_assert_cmpstr(old, ==, "old");
    g_assert_null(kept_text(settings, session->id, "serial.log")); /* nothing was in it */
    g_assert_null(kept_text(settings, session->id, "disk.qcow2"));
    g_assert_null(kept_text(settings, session->id, "session.json"));
    g_assert_cmpint(stat(afterwards, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 0777, ==, 0700);
}

static void test_keep_nothing(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(Settings) settings = temp_settings(folder, "session_log_keep=0", NULL);
    g_autoptr(Settings) keeping = temp_settings(folder, NULL);
    g_autoptr(SessionRecord) session = stored_session(settings), silent = stored_session(settings);
    write_log(settings, session->id, "qemu.log", "text");
    keep(settings, session->id);
    keep(keeping, silent->id);
    g_assert_false(is_kept(settings, session->id));
    g_assert_false(is_kept(settings, silent->id));
}

/* On another file system a file is copied. */
static void test_keep_elsewhere(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *elsewhere = g_strdup("/dev/shm/qwd-unit-XXXXXX");
    g_assert_nonnull(g_mkdtemp(elsewhere));
    g_autofree char *logs = g_strdup_printf("dir_logs=%s", elsewhere);
    g_autoptr(Settings) settings = temp_settings(folder, logs, NULL);
    g_autoptr(SessionRecord) session = stored_session(settings);
    write_log(settings, session->id, "serial.log", "login:");
    keep(settings, session->id);
    g_autofree char *text = kept_text(settings, session->id, "serial.log");
    folder_remove(elsewhere, NULL);
    g_assert_cmpstr(text, ==, "login:");
}

static void test_keep_fails(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(GError) error = NULL;
    g_autoptr(Settings) settings = temp_settings(folder, "dir_logs=/proc/nowhere", NULL);
    g_autoptr(SessionRecord) session = stored_session(settings);
    g_assert_false(session_logs_keep(settings, session->id, &error));
    assert_error(error, QWD_ERROR_INTERNAL, "/proc/nowhere");
}

/* --- sweeping --- */

static void plant(const Settings *settings, const char *id, gint64 age_s, size_t bytes)
{
    g_autofree char *folder = g_build_filename(settings->dir_logs, id, NULL);
    g_autofree char *text = g_strnfill(bytes, 'x');
    gint64 then = session_now() - age_s;
    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    g_autofree char *path = temp_file(folder, "qemu.log", text);
    g_assert_cmpint(utime(folder, &(struct utimbuf){.actime = then, .modtime = then}), ==, 0);
    (void)path;
}

#define A "aaaaaaaa000000000000000000000000"
#define B "bbbbbbbb000000000000000000000000"
#define B2 "bbbbbbbb100000000000000000000000"
#define C "cccccccc000000000000000000000000"

static void test_sweep_old(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(Settings) settings = temp_settings(folder, "session_log_keep=2d", NULL);
    g_assert_cmpint(session_logs_sweep(settings), ==, 0); /* there is no folder yet */
    plant(settings, A, 2 * DAY_S - 60, 10);
    plant(settings, B, 2 * DAY_S + 60, 10);
    g_autofree char *foreign = g_build_filename(settings->dir_logs, "notes", NULL);
    g_assert_cmpint(g_mkdir_with_parents(foreign, 0700), ==, 0);
    g_assert_cmpint(utime(foreign, &(struct utimbuf){0}), ==, 0);
    g_assert_cmpint(session_logs_sweep(settings), ==, 1);
    g_assert_true(is_kept(settings, A));
    g_assert_false(is_kept(settings, B));
    g_assert_true(g_file_test(foreign, G_FILE_TEST_IS_DIR)); /* somebody else's */
}

static void test_sweep_room(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(Settings) settings = temp_settings(folder, "session_log_room=1M", NULL);
    plant(settings, A, 30, 500000);
    plant(settings, B, 10, 500000);
    plant(settings, C, 20, 500000);
    g_assert_cmpint(session_logs_sweep(settings), ==, 1);
    g_assert_false(is_kept(settings, A)); /* the oldest */
    g_assert_true(is_kept(settings, B) && is_kept(settings, C));
}

static void test_sweep_all(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(Settings) settings = temp_settings(folder, "session_log_keep=0", NULL);
    plant(settings, A, 0, 10);
    g_assert_cmpint(session_logs_sweep(settings), ==, 1);
    g_assert_false(is_kept(settings, A));
}

/* --- finding --- */

static void check_found(const Settings *settings, const char *word, const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *id = logs_find_session(settings, word, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(id, ==, expected);
}

static void check_lost(const Settings *settings, const char *word, QwdErrorKind kind)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *id = logs_find_session(settings, word, &error);
    g_assert_null(id);
    g_assert_error(error, QWD_ERROR, (int)kind);
}

static void test_find(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(Settings) settings = temp_settings(folder, NULL);
    g_autoptr(SessionRecord) session = stored_session(settings);
    g_autofree char *beginning = g_strndup(session->id, 8);
    g_autofree char *log = temp_file(folder, "log.1", "[then] START CPU=1 NAME=" C "\n[then] junk NAME=dddddddd\n");
    plant(settings, A, 10, 10);
    plant(settings, B, 10, 10);
    plant(settings, B2, 10, 10);
    check_found(settings, beginning, session->id);
    check_found(settings, session->id, session->id);
    check_found(settings, "aaaaaaaa", A);
    check_found(settings, "bbbbbbbb1", B2);
    check_found(settings, "cccccccc0", C);
    check_lost(settings, "bbbbbbbb", QWD_ERROR_USAGE); /* two of them */
    check_lost(settings, "aaaaaaa", QWD_ERROR_USAGE);  /* too short */
    check_lost(settings, A "0", QWD_ERROR_USAGE);
    check_lost(settings, "../../../etc/passwd", QWD_ERROR_USAGE);
    check_lost(settings, "AAAAAAAA", QWD_ERROR_USAGE);
    check_lost(settings, "dddddddd", QWD_ERROR_NOT_FOUND);
    check_lost(settings, "eeeeeeee", QWD_ERROR_NOT_FOUND);
}

static void test_lines(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(Settings) settings = temp_settings(folder, NULL);
    g_autofree char *before = temp_file(folder, "log.1", "1 NAME=" A "\n2 NAME=" B "\n");
    g_autofree char *now = temp_file(folder, "log", "3 WHAT=session " A " x\n4 NAME=" B "\n5 NAME=" A);
    g_autofree char *lines = logs_lines_of(settings, A);
    g_assert_cmpstr(lines, ==, "1 NAME=" A "\n3 WHAT=session " A " x\n5 NAME=" A);
}

static void test_end(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(GError) error = NULL;
    g_autoptr(Settings) settings = temp_settings(folder, NULL);
    g_autoptr(Settings) elsewhere = temp_settings(folder, "log_to=syslog", NULL);
    GString *text = g_string_new(NULL);
    for (int i = 1; i <= 150; i++)
        g_string_append_printf(text, "line %d\n", i);
    g_autofree char *content = g_string_free(text, FALSE);
    g_assert_null(logs_end(settings, &error));
    assert_error(error, QWD_ERROR_NOT_FOUND, "/log");
    g_autofree char *path = temp_file(folder, "log", content);
    g_autofree char *end = logs_end(settings, &error);
    g_assert_true(g_str_has_prefix(end, "line 51\n") && g_str_has_suffix(end, "line 150\n"));
    g_assert_null(logs_end(elsewhere, &error));
    assert_error(error, QWD_ERROR_UNAVAILABLE, "journalctl");
}

/* --- writing --- */

static void test_line_format(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(Settings) settings = temp_settings(folder, NULL);
    g_autoptr(SessionRecord) session = test_session_new(settings, "alice");
    journal_session(settings, "STOP", session, "two\nlines");
    g_autofree char *text = NULL, *pattern = NULL;
    g_assert_true(g_file_get_contents(settings->file_log, &text, NULL, NULL));
    pattern = g_strdup_printf(
        "^\\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d \\d{4}\\] STOP  CPU=1 MEM=512 GPU= "
        "USER=alice VM=tiny.iso NAME=%s two lines\n$",
        session->id);
    g_assert_true(g_regex_match_simple(pattern, text, G_REGEX_DOLLAR_ENDONLY, 0));
}

/* Between the moments when the file gets its other name and when there is a new one. */
static void test_while_rotated(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(Settings) settings = temp_settings(folder, NULL);
    const AuditLine line = {.event = "LOGIN", .user = "alice", .address = "::1", .what = "", .why = ""};
    g_autofree char *rotated = temp_file(folder, "log.1", "before\n"), *text = NULL;
    g_assert_cmpint(g_mkdir_with_parents(settings->file_log, 0755), ==, 0); /* nobody can write into that */
    journal_audit(settings, &line);
    g_assert_true(g_file_get_contents(rotated, &text, NULL, NULL));
    g_assert_true(g_str_has_prefix(text, "before\n[") && strstr(text, "] LOGIN USER=alice FROM=::1 WHAT=\n"));
}

/* syslog cannot be asked, so the errors stand in a small file of ours as well. */
static void test_errors_with_syslog(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(Settings) settings = temp_settings(folder, "log_to=syslog", NULL);
    g_autoptr(SessionRecord) session = test_session_new(settings, "alice");
    g_assert_cmpint(g_mkdir_with_parents(settings->dir_snapshots, 0700), ==, 0);
    g_autofree char *long_text = g_strnfill(65536, 'x'), *none = journal_errors(settings);
    g_assert_cmpstr(none, ==, "");
    journal_session(settings, "STOP", session, "as it should");
    journal_session(settings, "ERROR", session, "the first");
    g_autofree char *first = journal_errors(settings);
    g_autoptr(GPtrArray) lines = trouble_lines(first, 10);
    g_assert_cmpuint(lines->len, ==, 1);
    g_assert_cmpstr(((const TroubleLine *)lines->pdata[0])->text, ==, "the first");
    for (int i = 0; i < 3; i++) {
        g_free(temp_file(settings->dir_snapshots, ".qemu-web-desktop.errors", long_text));
        journal_session(settings, "ERROR", session, "one more");
    }
    journal_session(settings, "ERROR", session, "the last");
    g_autofree char *all = journal_errors(settings);
    g_assert_cmpint(strlen(all), <, 140 * 1024);
    g_autoptr(GPtrArray) newest = trouble_lines(all, 1);
    g_assert_cmpstr(((const TroubleLine *)newest->pdata[0])->text, ==, "the last");
    g_assert_false(g_file_test(settings->file_log, G_FILE_TEST_EXISTS));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/logs/keep", test_keep);
    g_test_add_func("/logs/keep-nothing", test_keep_nothing);
    g_test_add_func("/logs/keep-elsewhere", test_keep_elsewhere);
    g_test_add_func("/logs/keep-fails", test_keep_fails);
    g_test_add_func("/logs/sweep-old", test_sweep_old);
    g_test_add_func("/logs/sweep-room", test_sweep_room);
    g_test_add_func("/logs/sweep-all", test_sweep_all);
    g_test_add_func("/logs/find", test_find);
    g_test_add_func("/logs/lines", test_lines);
    g_test_add_func("/logs/end", test_end);
    g_test_add_func("/journal/format", test_line_format);
    g_test_add_func("/journal/errors-with-syslog", test_errors_with_syslog);
    g_test_add_func("/journal/while-rotated", test_while_rotated);
    return g_test_run();
}
