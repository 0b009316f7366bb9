/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Logs that other programs write, and that stay within their limits: with programs that write without end. */
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bounded_log.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/wait.h"
#include "temp.h"

#define DEADLINE_MS 60000

typedef struct {
    TempFolder *folder;
    char *path, *older;
    int writer;
    BoundedLog *log;
} Place;

static Place *place_new(gint64 max_bytes)
{
    g_autoptr(GError) error = NULL;
    Place *place = g_new0(Place, 1);
    place->folder = temp_folder();
    place->path = g_build_filename(place->folder, "log", NULL);
    place->older = g_build_filename(place->folder, "log.1", NULL);
    place->log = bounded_log_open(place->path, max_bytes, &place->writer, &error);
    g_assert_no_error(error);
    g_assert_nonnull(place->log);
    return place;
}

static void place_free(Place *place)
{
    bounded_log_close(place->log);
    fd_close_pointed(&place->writer);
    temp_folder_remove(place->folder);
    g_free(place->path);
    g_free(place->older);
    g_free(place);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Place, place_free)

static void put(const Place *place, const char *text)
{
    g_assert_cmpint(write(place->writer, text, strlen(text)), ==, strlen(text));
}

static void assert_content(const Place *place, const char *expected)
{
    size_t length;
    g_autofree char *text = bounded_log_read(place->path, &length);
    g_assert_cmpmem(text, length, expected, strlen(expected));
}

static gint64 bytes_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_size : 0;
}

/* --- what is kept --- */

static void test_order(void)
{
    g_autoptr(Place) place = place_new(20);
    put(place, "0123456789");
    bounded_log_catch_up(place->log);
    assert_content(place, "0123456789");
    put(place, "abcde");
    bounded_log_catch_up(place->log);
    assert_content(place, "0123456789abcde");
    put(place, "fghijABC"); /* the oldest ten are gone */
    bounded_log_catch_up(place->log);
    assert_content(place, "abcdefghijABC");
    g_assert_cmpint(bytes_of(place->path), ==, 3);
}

static void test_mode(void)
{
    g_autoptr(Place) place = place_new(20);
    struct stat st;
    g_assert_cmpint(stat(place->path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 0777, ==, 0600);
}

static void test_zeros(void)
{
    g_autoptr(Place) place = place_new(1000);
    size_t length;
    g_assert_cmpint(write(place->writer, "a\0b", 3), ==, 3);
    bounded_log_catch_up(place->log);
    g_autofree char *text = bounded_log_read(place->path, &length);
    g_assert_cmpmem(text, length, "a\0b", 3);
}

/* A second machine of the same session: its log begins anew, the first one's is still there. */
static void test_again(void)
{
    g_autoptr(Place) place = place_new(1000);
    g_autoptr(GError) error = NULL;
    put(place, "first\n");
    bounded_log_close(place->log);
    fd_close_pointed(&place->writer);
    place->log = bounded_log_open(place->path, 1000, &place->writer, &error);
    g_assert_no_error(error);
    g_assert_cmpint(bytes_of(place->path), ==, 0);
    put(place, "second\n");
    bounded_log_catch_up(place->log);
    assert_content(place, "first\nsecond\n");
}

static void test_absent(void)
{
    g_autoptr(GError) error = NULL;
    int writer = -1;
    size_t length = 1;
    g_assert_null(bounded_log_open("/nonexistent/log", 1000, &writer, &error));
    assert_error(error, QWD_ERROR_INTERNAL, "/nonexistent/log");
    g_assert_cmpint(writer, ==, -1);
    g_autofree char *text = bounded_log_read("/nonexistent/log", &length);
    g_assert_cmpstr(text, ==, "");
    g_assert_cmpint(length, ==, 0);
    bounded_log_close(NULL);
}

/* --- programs --- */

static pid_t start(Place *place, const char *const *argv)
{
    g_autoptr(GError) error = NULL;
    SpawnOptions options = {.argv = argv, SPAWN_OPTIONS_INIT, .die_with_parent = true};
    options.stdout_fd = place->writer;
    pid_t pid;
    bool good = process_spawn(&options, &pid, &error);
    g_assert_no_error(error);
    g_assert_true(good);
    fd_close_pointed(&place->writer);
    return pid;
}

typedef struct {
    const Place *place;
    gint64 most;    /* bytes in both files at any time */
    ino_t previous; /* the older file */
    int exchanges;
} Flood;

static bool has_flooded(void *data)
{
    Flood *flood = data;
    struct stat st;
    flood->most = MAX(flood->most, bytes_of(flood->place->path) + bytes_of(flood->place->older));
    if (stat(flood->place->older, &st) == 0 && st.st_ino != flood->previous) {
        flood->previous = st.st_ino;
        flood->exchanges++;
    }
    return flood->exchanges == 5;
}

static double cpu_s(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static void test_flood(void)
{
    const gint64 limit = 1024 * 1024;
    g_autoptr(Place) place = place_new(limit);
    Flood flood = {.place = place};
    double cpu_before_s = cpu_s();
    gint64 begin_us = g_get_monotonic_time();
    pid_t pid = start(place, (const char *[]){"yes", "a flood", NULL});
    g_assert_true(wait_until(has_flooded, &flood, DEADLINE_MS, NULL));
    double wall_s = (double)(g_get_monotonic_time() - begin_us) / 1e6, used_s = cpu_s() - cpu_before_s;
    g_test_message("%.2f s, of which %.3f s with the processor; at most %d bytes", wall_s, used_s, (int)flood.most);
    g_assert_cmpint(flood.most, <=, limit);
    g_assert_cmpint(flood.most, >, limit / 2);
    g_assert_cmpfloat(used_s, <, wall_s / 2);
    g_assert_cmpfloat(wall_s, >, 2.0 / 3.3);         /* five halves, the first begun at once, at 3.2 MB/s and no more */
    g_clear_pointer(&place->log, bounded_log_close); /* the program ends with its reader */
    int status;
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}

static void on_end(pid_t pid, int status, gpointer data)
{
    (void)pid;
    *(int *)data = status;
}

static bool is_set(void *data)
{
    return *(const int *)data >= 0;
}

/* The program goes on, and its words are lost, when they cannot be written. */
static void test_folder_gone(void)
{
    g_autoptr(Place) place = place_new(1000);
    int status = -1;
    g_assert_true(folder_remove(place->folder, NULL));
    pid_t pid = start(place, (const char *[]){"head", "-c", "300000", "/dev/zero", NULL});
    g_child_watch_add(pid, on_end, &status);
    g_assert_true(wait_until(is_set, &status, DEADLINE_MS, NULL));
    g_assert_cmpint(status, ==, 0);
}

/* Its last words are there when it has ended, however late its reader is. */
static void test_last_words(void)
{
    g_autoptr(Place) place = place_new(1000000);
    int status;
    pid_t pid = start(place, (const char *[]){"printf", "that was it\\n", NULL});
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    bounded_log_catch_up(place->log);
    assert_content(place, "that was it\n");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/bounded-log/order", test_order);
    g_test_add_func("/bounded-log/mode", test_mode);
    g_test_add_func("/bounded-log/zeros", test_zeros);
    g_test_add_func("/bounded-log/again", test_again);
    g_test_add_func("/bounded-log/absent", test_absent);
    g_test_add_func("/bounded-log/flood", test_flood);
    g_test_add_func("/bounded-log/folder-gone", test_folder_gone);
    g_test_add_func("/bounded-log/last-words", test_last_words);
    return g_test_run();
}
