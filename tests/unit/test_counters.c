/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "core/counters.h"
#include "concurrent.h"
#include "temp.h"

#define FILE_NAME "snapshots/.qemu-web-desktop.counters"

static void add(const Settings *settings, const char *name, gint64 by)
{
    g_autoptr(GError) error = NULL;
    bool good = counters_add(settings, &(Count){name, by}, 1, &error);
    g_assert_no_error(error);
    g_assert_true(good);
}

static void assert_count(const Settings *settings, const char *name, gint64 expected)
{
    g_autoptr(JsonValue) counters = counters_read(settings);
    g_assert_cmpint(json_get_integer(counters, name, 0), ==, expected);
}

static void test_add(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(Settings) settings = temp_settings(folder, NULL);
    assert_count(settings, "a", 0);
    add(settings, "a", 1);
    const Count both[] = {{"a", 2}, {"b", 40}};
    g_assert_true(counters_add(settings, both, 2, NULL));
    assert_count(settings, "a", 3);
    assert_count(settings, "b", 40);
}

static void add_many(int number, int out, const void *data)
{
    (void)number;
    for (int i = 0; i < 25; i++)
        add(data, "shared", 1);
    concurrent_answer(out, true);
}

static void test_many_requests(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(Settings) settings = temp_settings(folder, NULL);
    g_autofree char *said = concurrent_run(add_many, settings);
    g_assert_cmpint(concurrent_count(said, 'y'), ==, CONCURRENT_PROCESSES);
    assert_count(settings, "shared", 25 * CONCURRENT_PROCESSES);
}

/* Put aside, and counting begins anew. */
static void check_broken(const char *content)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(Settings) settings = temp_settings(folder, NULL);
    add(settings, "a", 5);
    g_autofree char *path = temp_file(folder, FILE_NAME, content);
    g_autofree char *aside = g_strconcat(path, ".broken", NULL), *kept = NULL;
    assert_count(settings, "a", 0);
    add(settings, "a", 1);
    assert_count(settings, "a", 1);
    g_assert_true(g_file_get_contents(aside, &kept, NULL, NULL));
    g_assert_cmpstr(kept, ==, content);
}

static void test_broken(void)
{
    g_autofree char *large = g_strnfill(20000, ' '), *object = g_strconcat("{}", large, NULL);
    check_broken("");
    check_broken("{\"a\": 5");
    check_broken("[1]");
    check_broken(object);
}

static void test_wrong_type(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(Settings) settings = temp_settings(folder, NULL);
    add(settings, "b", 1);
    g_autofree char *path = temp_file(folder, FILE_NAME, "{\"a\": \"5\", \"b\": 2}");
    add(settings, "a", 1);
    assert_count(settings, "a", 1);
    assert_count(settings, "b", 2);
}

static void test_no_folder(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Settings) settings = temp_settings("/proc/nowhere", NULL);
    g_assert_false(counters_add(settings, &(Count){"a", 1}, 1, &error));
    assert_error(error, QWD_ERROR_INTERNAL, "/proc/nowhere");
    assert_count(settings, "a", 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/counters/add", test_add);
    g_test_add_func("/counters/many", test_many_requests);
    g_test_add_func("/counters/broken", test_broken);
    g_test_add_func("/counters/wrong-type", test_wrong_type);
    g_test_add_func("/counters/no-folder", test_no_folder);
    return g_test_run();
}
