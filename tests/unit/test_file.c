/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Files, folders, locks, and JSON in files. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "temp.h"

static void test_read(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *path = temp_file(folder, "f", "0123456789");
    size_t length = 0;
    g_autofree char *text = file_read(path, 10, &length, &error);
    g_assert_cmpstr(text, ==, "0123456789");
    g_assert_cmpint(length, ==, 10);
    g_assert_null(file_read(path, 9, NULL, &error));
    assert_error(error, QWD_ERROR_TOO_LARGE, "larger than 9 bytes");
    g_autofree char *end = file_read_end(path, 3, &error);
    g_assert_cmpstr(end, ==, "789");
    g_autofree char *all = file_read_end(path, 100, &error);
    g_assert_cmpstr(all, ==, "0123456789");
    g_assert_null(file_read(folder, 100, NULL, &error));
    assert_error(error, QWD_ERROR_INTERNAL, "not a regular file");
    g_assert_null(file_read("/dev/zero", 100, NULL, &error));
    assert_error(error, QWD_ERROR_INTERNAL, "not a regular file");
    g_autofree char *absent = g_build_filename(folder, "absent", NULL);
    g_assert_null(file_read(absent, 100, NULL, &error));
    assert_error(error, QWD_ERROR_NOT_FOUND, absent);
    g_autofree char *fifo = g_build_filename(folder, "fifo", NULL);
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    g_assert_null(file_read(fifo, 100, NULL, &error)); /* and does not wait for a writer */
    assert_error(error, QWD_ERROR_INTERNAL, "not a regular file");
}

static void test_absent(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *path = temp_file(folder, "f", ""), *below = g_build_filename(path, "x", NULL);
    g_autofree char *absent = g_build_filename(folder, "absent", NULL), *link = g_build_filename(folder, "link", NULL);
    g_assert_true(file_is_absent(absent));
    g_assert_false(file_is_absent(path));
    g_assert_false(file_is_absent(below)); /* nobody can tell */
    g_assert_cmpint(symlink(absent, link), ==, 0);
    g_assert_false(file_is_absent(link));
}

static void test_write(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *path = g_build_filename(folder, "f", NULL);
    struct stat st;
    g_assert_true(file_write_atomic(path, "a\0b", 3, 0640, FILE_WRITE_DURABLE, &error));
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, 3);
    g_assert_cmpint(st.st_mode & 0777, ==, 0640 & ~umask(022));
    g_assert_true(file_write_atomic(path, "", 0, 0600, FILE_WRITE_FAST, &error));
    g_assert_true(file_append(path, "one\n", 0600, &error));
    g_assert_true(file_append(path, "two\n", 0600, &error));
    g_autofree char *text = file_read(path, 100, NULL, &error);
    g_assert_cmpstr(text, ==, "one\ntwo\n");
    g_autofree char *link = g_build_filename(folder, "link", NULL);
    g_assert_cmpint(symlink(path, link), ==, 0);
    g_assert_false(file_append(link, "x", 0600, &error));
    assert_error(error, QWD_ERROR_INTERNAL, "Cannot open");
    g_assert_false(file_append("/dev/full", "x", 0600, &error));
    assert_error(error, QWD_ERROR_UNAVAILABLE, "No space left");
    g_autofree char *pipe = g_build_filename(folder, "pipe", NULL);
    g_assert_cmpint(mkfifo(pipe, 0600), ==, 0);
    g_assert_false(file_append(pipe, "nobody waits for a reader", 0600, &error));
    assert_error(error, QWD_ERROR_INTERNAL, "Cannot open");
    g_autofree char *nowhere = g_build_filename(folder, "absent", "f", NULL);
    g_assert_false(file_write_atomic(nowhere, "x", 1, 0600, FILE_WRITE_FAST, &error));
    assert_error(error, QWD_ERROR_INTERNAL, "No such file or directory");
}

static void test_lock(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *path = g_build_filename(folder, "lock", NULL);
    {
        autofd int held = file_lock(path, &error);
        g_assert_cmpint(held, >=, 0);
        g_assert_cmpint(fcntl(held, F_GETFD) & FD_CLOEXEC, !=, 0);
        g_assert_cmpint(file_try_lock(path, &error), ==, -1);
        assert_error(error, QWD_ERROR_CONFLICT, "in use");
    }
    autofd int again = file_try_lock(path, &error);
    g_assert_cmpint(again, >=, 0);
    g_autofree char *nowhere = g_build_filename(folder, "absent", "lock", NULL);
    g_assert_cmpint(file_lock(nowhere, &error), ==, -1);
    assert_error(error, QWD_ERROR_NOT_FOUND, "Cannot open");
    g_autofree char *fifo = g_build_filename(folder, "fifo", NULL);
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    g_assert_cmpint(file_lock(fifo, &error), ==, -1);
    assert_error(error, QWD_ERROR_INTERNAL, "not a regular file");
}

static void test_private(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *path = g_build_filename(folder, "a", "b", NULL);
    struct stat st;
    g_assert_true(folder_make_private(path, &error));
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 07777, ==, 0700);
    g_assert_true(folder_make_private(path, &error)); /* again is fine */
    g_assert_cmpint(chmod(path, 0750), ==, 0);
    g_assert_false(folder_make_private(path, &error));
    assert_error(error, QWD_ERROR_CONFIG, "mode 0700");
    g_autofree char *link = g_build_filename(folder, "link", NULL);
    g_assert_cmpint(symlink("/tmp", link), ==, 0);
    g_assert_false(folder_make_private(link, &error));
    assert_error(error, QWD_ERROR_CONFIG, "must be a folder");
    g_autofree char *file = temp_file(folder, "file", "");
    g_assert_false(folder_make_private(file, &error));
    assert_error(error, QWD_ERROR_CONFIG, "must be a folder");
    if (geteuid() == 0) {
        g_assert_cmpint(chmod(path, 0700) + chown(path, 65534, 65534), ==, 0);
        g_assert_false(folder_make_private(path, &error));
        assert_error(error, QWD_ERROR_CONFIG, "belongs to uid 0");
    }
}

static void test_remove(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *keep = g_build_filename(folder, "keep", NULL), *tree = g_build_filename(folder, "tree", NULL);
    g_autofree char *deep = g_build_filename(tree, "a", "b", "c", NULL);
    g_assert_cmpint(g_mkdir_with_parents(deep, 0700) + g_mkdir(keep, 0700), ==, 0);
    g_autofree char *precious = temp_file(keep, "precious", "x"), *inside = temp_file(deep, "file", "x");
    g_autofree char *link = g_build_filename(deep, "link", NULL), *up = g_build_filename(tree, "up", NULL);
    g_assert_cmpint(symlink(keep, link) + symlink("..", up), ==, 0);
    g_assert_true(folder_remove(tree, &error));
    g_assert_false(g_file_test(tree, G_FILE_TEST_EXISTS));
    g_assert_true(g_file_test(precious, G_FILE_TEST_EXISTS));
    g_assert_true(folder_remove(tree, &error)); /* an absent one, */
    g_assert_true(folder_remove(deep, &error)); /* and one in an absent one */
    g_assert_cmpint(symlink(keep, tree), ==, 0);
    g_assert_true(folder_remove(tree, &error)); /* a link itself */
    g_assert_true(g_file_test(precious, G_FILE_TEST_EXISTS));
    g_assert_no_error(error);
}

/* Somebody who writes into a folder that is being removed: it goes all the same when they are done. */
static void test_remove_while_written(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *path = g_build_filename(folder, "session", NULL), *file = g_build_filename(path, "lock", NULL);
    for (int round = 0; round < 50; round++) {
        g_assert_cmpint(g_mkdir(path, 0700), ==, 0);
        pid_t writer = fork();
        if (writer == 0) {
            for (int i = 0; i < 20; i++)
                close(open(file, O_CREAT | O_WRONLY, 0600));
            _exit(0);
        }
        g_assert_true(folder_remove(path, &error));
        g_assert_no_error(error);
        g_assert_cmpint(waitpid(writer, NULL, 0), ==, writer);
        g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    }
}

static void test_beside(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *path = g_build_filename(folder, "x.conf", NULL),
                    *more = g_build_filename(folder, "config.d", NULL);
    g_auto(GStrv) none = files_beside(path, ".conf");
    g_assert_cmpint(g_strv_length(none), ==, 0);
    g_assert_cmpint(g_mkdir(more, 0700), ==, 0);
    static const char *const names[] = {"b.conf", "a.conf", ".hidden.conf", "c.ini", "d.conf~"};
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        g_free(temp_file(more, names[i], ""));
    g_auto(GStrv) found = files_beside(path, ".conf");
    g_assert_cmpint(g_strv_length(found), ==, 2);
    g_assert_true(g_str_has_suffix(found[0], "/config.d/a.conf"));
    g_assert_true(g_str_has_suffix(found[1], "/config.d/b.conf"));
}

/* --- sockets --- */

static void test_sockets(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *path = g_build_filename(folder, "s", NULL);
    autofd int listener = unix_listen(path, &error);
    g_assert_no_error(error);
    autofd int client = unix_connect(path, &error);
    g_assert_no_error(error);
    g_assert_cmpint(fcntl(client, F_GETFD) & FD_CLOEXEC, !=, 0);
    g_assert_cmpint(unix_listen(path, &error), ==, -1);
    assert_error(error, QWD_ERROR_INTERNAL, "Cannot listen on");
    g_autofree char *filler = g_strnfill(UNIX_PATH_MAX_BYTES - strlen(folder) - 1, 'x');
    g_autofree char *longest = g_build_filename(folder, filler, NULL);
    autofd int fits = unix_listen(longest, &error);
    g_assert_cmpint(fits, >=, 0);
    g_autofree char *longer = g_strconcat(longest, "x", NULL);
    g_assert_cmpint(unix_listen(longer, &error), ==, -1);
    assert_error(error, QWD_ERROR_CONFIG, "Choose a shorter dir_cfg");
    g_assert_cmpint(unix_connect(longer, &error), ==, -1);
    assert_error(error, QWD_ERROR_CONFIG, "longer than 107 bytes");
}

/* --- JSON --- */

static void test_json_refuses(void)
{
    static const char *const bad[] = {
        "", "[]", "1", "\"x\"", "{", "{\"a\":1,\"a\":2}", "{\"a\":\"\xff\"}", "{} {}", "{\"a\":1e999}"};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(json_object_parse(bad[i], strlen(bad[i]), &error));
        assert_error(error, QWD_ERROR_USAGE, "Not ");
    }
    g_autoptr(GError) error = NULL;
    GString *deep = g_string_new(NULL);
    for (int i = 0; i < 100000; i++)
        g_string_append(deep, "{\"a\":");
    g_assert_null(json_object_parse(deep->str, deep->len, &error));
    assert_error(error, QWD_ERROR_USAGE, "depth");
    g_string_free(deep, TRUE);
}

static void test_json_types(void)
{
    static const char text[] = "{\"t\":\"x\",\"i\":5,\"b\":true,\"r\":1.5,\"n\":null}";
    g_autoptr(JsonValue) object = json_object_parse(text, strlen(text), NULL);
    g_assert_cmpstr(json_get_text(object, "t", "-"), ==, "x");
    g_assert_cmpstr(json_get_text(object, "i", "-"), ==, "-");
    g_assert_cmpstr(json_get_text(object, "absent", NULL), ==, NULL);
    g_assert_cmpint(json_get_integer(object, "i", 7), ==, 5);
    g_assert_cmpint(json_get_integer(object, "r", 7), ==, 7);
    g_assert_cmpint(json_get_integer(object, "t", 7), ==, 7);
    g_assert_true(json_get_bool(object, "b", false));
    g_assert_true(json_get_bool(object, "n", true));
    g_assert_cmpint(json_get_integer(NULL, "i", 7), ==, 7);
}

static void test_json_file(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *path = g_build_filename(folder, "f.json", NULL);
    g_autoptr(JsonValue) object = json_pack("{s:s}", "key", "\xc3\xa9\n");
    struct stat st;
    g_assert_true(json_object_write(path, object, FILE_WRITE_DURABLE, &error));
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 0777, ==, 0600);
    g_autoptr(JsonValue) again = json_object_read(path, 100, &error);
    g_assert_true(json_equal(object, again));
    g_free(temp_file(folder, "f.json", "{\n\"a\": nonsense}"));
    g_assert_null(json_object_read(path, 100, &error));
    assert_error(error, QWD_ERROR_USAGE, "line 2");
    g_assert_null(json_object_read(path, 5, &error));
    assert_error(error, QWD_ERROR_TOO_LARGE, "f.json");
}

static void test_read_text(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *path = temp_file(folder, "text", "abc\n"), *absent = g_build_filename(folder, "absent", NULL);
    g_autofree char *text = file_read_text(path, 4, &error), *empty = file_read_text(absent, 4, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(text, ==, "abc\n");
    g_assert_cmpstr(empty, ==, "");
    g_assert_null(file_read_text(path, 3, &error));
    assert_error(error, QWD_ERROR_TOO_LARGE, "text");
    g_assert_true(g_file_set_contents(path, "a\0b", 3, NULL));
    g_assert_null(file_read_text(path, 4, &error));
    assert_error(error, QWD_ERROR_CONFIG, "is no text file");
}

/* Owner, mode and symbolic links stay; a new file gets the mode. */
static void test_replace(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *path = temp_file(folder, "kept", "old"), *link = g_build_filename(folder, "link", NULL);
    g_autofree char *fresh = g_build_filename(folder, "fresh", NULL), *text = NULL;
    g_assert_cmpint(chmod(path, 0640), ==, 0);
    g_assert_cmpint(symlink("kept", link), ==, 0);
    g_assert_true(file_replace(link, "new", 3, 0644, &error));
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "new");
    g_assert_true(g_file_test(link, G_FILE_TEST_IS_SYMLINK));
    struct stat st;
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 07777, ==, 0640);
    g_assert_true(file_replace(fresh, "x", 1, 0644, &error));
    g_assert_cmpint(stat(fresh, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 07777, ==, 0644);
    g_autofree char *nowhere = g_build_filename(folder, "no", "file", NULL);
    g_assert_false(file_replace(nowhere, "x", 1, 0644, &error));
    assert_error(error, QWD_ERROR_INTERNAL, "Cannot write");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/file/read", test_read);
    g_test_add_func("/file/absent", test_absent);
    g_test_add_func("/file/write", test_write);
    g_test_add_func("/file/lock", test_lock);
    g_test_add_func("/file/private", test_private);
    g_test_add_func("/file/remove", test_remove);
    g_test_add_func("/file/remove-while-written", test_remove_while_written);
    g_test_add_func("/file/beside", test_beside);
    g_test_add_func("/fd/sockets", test_sockets);
    g_test_add_func("/json/refuses", test_json_refuses);
    g_test_add_func("/json/types", test_json_types);
    g_test_add_func("/json/file", test_json_file);
    g_test_add_func("/file/read-text", test_read_text);
    g_test_add_func("/file/replace", test_replace);
    return g_test_run();
}
