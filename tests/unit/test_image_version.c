/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What tells one image from another that has its name, and what a process has open. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "temp.h"
#include "vm/image_version.h"

#define BYTES (1024 * 1024)

typedef struct {
    char *folder, *a, *b, *absent;
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->folder = temp_folder();
    f->a = temp_file(f->folder, "a", "one");
    f->b = temp_file(f->folder, "b", "two");
    f->absent = g_build_filename(f->folder, "absent", NULL);
    g_assert_cmpint(truncate(f->a, BYTES) + truncate(f->b, BYTES), ==, 0);
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_free(f->a);
    g_free(f->b);
    g_free(f->absent);
    temp_folder_remove(f->folder);
}

static char *version(char *first, char *second)
{
    return image_version_of((char *[]){first, second, NULL});
}

static void write_at(const char *path, off_t offset)
{
    autofd int fd = open(path, O_WRONLY | O_CLOEXEC);
    g_assert_cmpint(pwrite(fd, "x", 1, offset), ==, 1);
}

/* All files have been written to at one moment: their content alone tells them apart. */
static void set_time(const char *path)
{
    const struct timespec times[] = {{.tv_sec = 1, .tv_nsec = 5}, {.tv_sec = 1, .tv_nsec = 5}};
    g_assert_cmpint(utimensat(AT_FDCWD, path, times, 0), ==, 0);
}

static void test_content(Fixture *f, gconstpointer unused)
{
    (void)unused;
    const off_t places[] = {0, 40000, BYTES - 1};
    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        set_time(f->a);
        g_autofree char *before = version(f->a, NULL);
        write_at(f->a, places[i]);
        set_time(f->a);
        g_autofree char *after = version(f->a, NULL);
        g_assert_false(image_version_matches(before, after));
    }
    g_assert_true(g_file_set_contents(f->a, "", 0, NULL) && g_file_set_contents(f->b, "", 0, NULL));
    set_time(f->a);
    set_time(f->b);
    g_autofree char *empty = version(f->a, NULL), *other = version(f->b, NULL);
    g_assert_true(image_version_matches(empty, other));
}

static void test_order(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *ab = version(f->a, f->b), *ba = version(f->b, f->a), *a = version(f->a, NULL);
    g_assert_true(image_version_matches(ab, ab));
    g_assert_false(image_version_matches(ab, ba));
    g_assert_false(image_version_matches(ab, a));
    g_assert_false(image_version_matches(a, ab));
    g_assert_false(image_version_matches("", a));
    g_assert_false(image_version_matches("", ""));
}

/* Releases before had sizes and times alone. */
static void test_earlier_release(Fixture *f, gconstpointer unused)
{
    (void)unused;
    set_time(f->a);
    g_autofree char *now = version(f->a, f->a);
    g_assert_true(image_version_matches("1048576-1.000000005 1048576-1.000000005", now));
    g_assert_false(image_version_matches("1048576-1.000000006 1048576-1.000000005", now));
    g_assert_false(image_version_matches("1048576-1.00000000 1048576-1.000000005", now));
    g_assert_false(image_version_matches(now, "1048576-1.000000005 1048576-1.000000005"));
}

static void test_unreadable(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *fifo = g_build_filename(f->folder, "fifo", NULL);
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    char *const paths[] = {f->absent, f->folder, fifo};
    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_autofree char *found = version(paths[i], NULL);
        g_assert_false(image_version_matches(found, found));
        g_assert_cmpint(image_version_open_bytes(found, getpid()), ==, -1);
    }
}

/* A file that has lost its name is open all the same, and is not the one that has the name now. */
static void test_open(Fixture *f, gconstpointer unused)
{
    (void)unused;
    char *both[] = {f->a, f->b, NULL}, *none[] = {NULL};
    g_autofree char *recorded = version(f->a, f->b);
    g_assert_false(image_files_are_open(both, getpid()));
    g_assert_cmpint(image_version_open_bytes(recorded, getpid()), ==, -1);
    autofd int a = open(f->a, O_RDONLY | O_CLOEXEC), b = open(f->b, O_RDONLY | O_CLOEXEC);
    g_assert_true(a >= 0 && b >= 0 && image_files_are_open(both, getpid()));
    g_assert_false(image_files_are_open(none, getpid()));
    g_assert_cmpint(image_version_open_bytes(recorded, getpid()), >, 0);
    g_autofree char *other = temp_file(f->folder, "other", "one");
    g_assert_cmpint(truncate(other, BYTES) + g_rename(other, f->a), ==, 0);
    g_assert_false(image_files_are_open(both, getpid()));
    g_assert_cmpint(image_version_open_bytes(recorded, getpid()), >, 0);
    write_at(f->b, 0);
    g_assert_cmpint(image_version_open_bytes(recorded, getpid()), ==, -1);
    g_assert_cmpint(image_version_open_bytes("", getpid()), ==, -1);
    g_assert_cmpint(image_version_open_bytes(recorded, G_MAXINT), ==, -1);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(Fixture *, gconstpointer);
    } tests[] = {
        {"/image-version/content", test_content},
        {"/image-version/order", test_order},
        {"/image-version/open", test_open},
        {"/image-version/earlier-release", test_earlier_release},
        {"/image-version/unreadable", test_unreadable},
    };
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].name, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
