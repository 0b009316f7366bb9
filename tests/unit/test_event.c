/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"
#include "base/event.h"
#include "base/fd.h"
#include "base/wait.h"
#include "temp.h"

#define DEADLINE_MS 60000

static void count(void *data)
{
    ++*(int *)data;
}

static bool has_counted(void *data)
{
    return *(int *)data > 0;
}

static void test_folder(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *path = g_build_filename(folder, "sub", NULL);
    g_autofree char *file = g_build_filename(path, "record", NULL);
    g_assert_cmpint(g_mkdir(path, 0700), ==, 0);
    int changes = 0;
    guint watch = watch_folder(path, count, &changes, &error);
    g_assert_no_error(error);
    g_assert_cmpint(watch, >, 0);
    for (int i = 0; i < 3; i++) { /* several at once may be one call */
        g_assert_true(file_write_atomic(file, "x", 1, 0600, FILE_WRITE_FAST, NULL));
    }
    g_assert_true(wait_until(has_counted, &changes, DEADLINE_MS, &error));
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    changes = 0;
    autofd int open_file = open(file, O_RDONLY | O_CLOEXEC); /* keeps the folder, though nobody can find it any more */
    g_assert_cmpint(open_file, >=, 0);
    g_assert_cmpint(g_remove(file), ==, 0);
    g_assert_cmpint(g_rmdir(path), ==, 0);
    g_assert_true(wait_until(has_counted, &changes, DEADLINE_MS, &error));
    g_source_remove(watch);
    g_assert_cmpint(watch_folder(path, count, &changes, &error), ==, 0);
    assert_error(error, QWD_ERROR_INTERNAL, "Cannot watch");
}

/* A time that has passed comes at once; one of the next second not before it. */
static void test_alarm(void)
{
    g_autoptr(GError) error = NULL;
    int rings = 0;
    g_assert_cmpint(alarm_at(0, count, &rings, &error), >, 0);
    g_assert_true(wait_until(has_counted, &rings, DEADLINE_MS, &error));
    rings = 0;
    gint64 when = g_get_real_time() / G_USEC_PER_SEC + 1;
    alarm_at(when, count, &rings, &error);
    g_assert_true(wait_until(has_counted, &rings, DEADLINE_MS, &error));
    g_assert_cmpint(g_get_real_time() / G_USEC_PER_SEC, >=, when);
    g_assert_cmpint(rings, ==, 1);
    g_source_remove(alarm_at(G_MAXINT32, count, &rings, &error));
    g_assert_no_error(error);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/event/folder", test_folder);
    g_test_add_func("/event/alarm", test_alarm);
    return g_test_run();
}
