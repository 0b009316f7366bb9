/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What a folder takes: all that is in it, nothing that it leads to, and no longer than allowed. */
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/measure.h"
#include "temp.h"

#define KIB 1024
#define FILES 20

static const MeasureLimits no_limits = {G_MAXINT64, G_MAXUINT, 60000};

static void put(const char *folder, const char *name, gsize bytes)
{
    g_autofree char *text = g_strnfill(bytes, 'x');
    g_free(temp_file(folder, name, text));
}

static gint64 measure(const char *path, MeasureLimits limits, bool *is_whole)
{
    autofd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    gint64 bytes = folder_measure(fd, &limits, is_whole);
    g_assert_cmpint(folder_measure(fd, &limits, NULL), ==, bytes); /* the descriptor is as it was */
    return bytes;
}

static void test_all_of_it(void)
{
    g_autoptr(TempFolder) place = temp_folder();
    g_autofree char *folder = g_build_filename(place, "own", NULL), *deep = g_build_filename(folder, "a", "b", NULL);
    g_autofree char *link = g_build_filename(deep, "link", NULL), *loop = g_build_filename(deep, "loop", NULL);
    bool is_whole = false;
    g_assert_cmpint(g_mkdir_with_parents(deep, 0700), ==, 0);
    put(place, "others", 8 << 20);
    put(folder, "file", 300 * KIB);
    put(deep, ".hidden", 500 * KIB);
    g_assert_cmpint(symlink("../../../others", link), ==, 0);
    g_assert_cmpint(symlink("../..", loop), ==, 0);
    gint64 bytes = measure(folder, no_limits, &is_whole);
    g_assert_true(is_whole);
    g_assert_cmpint(bytes, >=, 800 * KIB);
    g_assert_cmpint(bytes, <, 1000 * KIB);
}

static void test_limits(void)
{
    static const MeasureLimits limits[] = {
        {G_MAXINT64, FILES / 2, 60000}, {FILES / 2 * 64 * KIB, G_MAXUINT, 60000}, {G_MAXINT64, G_MAXUINT, 0}};
    g_autoptr(TempFolder) folder = temp_folder();
    for (int i = 0; i < FILES; i++) {
        g_autofree char *name = g_strdup_printf("%d", i);
        put(folder, name, 64 * KIB);
    }
    bool is_whole = false;
    gint64 all = measure(folder, no_limits, &is_whole);
    g_assert_true(is_whole);
    for (size_t i = 0; i < G_N_ELEMENTS(limits); i++) {
        g_assert_cmpint(measure(folder, limits[i], &is_whole), <, all);
        g_assert_false(is_whole);
    }
}

/* Deeper than descriptors reach. */
static void test_depth(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    GString *path = g_string_new(folder);
    bool is_whole = true;
    for (int i = 0; i < 150; i++)
        g_string_append(path, "/d");
    g_assert_cmpint(g_mkdir_with_parents(path->str, 0700), ==, 0);
    measure(folder, no_limits, &is_whole);
    g_assert_false(is_whole);
    g_string_free(path, TRUE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/measure/all-of-it", test_all_of_it);
    g_test_add_func("/measure/limits", test_limits);
    g_test_add_func("/measure/depth", test_depth);
    return g_test_run();
}
