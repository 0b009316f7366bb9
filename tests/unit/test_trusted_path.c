/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Other users are a number that is not ours: with root's rights, files are given to it. */
#include "base/trusted_path.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "temp.h"

#define OTHER_UID 12345

static void assert_trusted(const char *path)
{
    g_autoptr(GError) error = NULL;
    g_assert_true(path_check_trusted(path, &error));
    g_assert_no_error(error);
}

static void assert_refused(const char *path, const char *words, const char *culprit)
{
    g_autoptr(GError) error = NULL;
    g_assert_false(path_check_trusted(path, &error));
    g_assert_nonnull(error);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, culprit));
    assert_error(error, QWD_ERROR_CONFIG, words);
}

static char *made(const char *folder, const char *name, mode_t mode)
{
    char *path = g_build_filename(folder, name, NULL);
    g_assert_cmpint(mkdir(path, 0700), ==, 0);
    g_assert_cmpint(chmod(path, mode), ==, 0);
    return path;
}

static void test_modes(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *open = made(folder, "open", 0777), *sticky = made(folder, "sticky", 01777);
    g_autofree char *below = made(open, "below", 0700), *in_sticky = made(sticky, "below", 0755);
    g_autofree char *absent = g_build_filename(sticky, "absent", "deeper", NULL);
    g_autofree char *file = temp_file(folder, "file", ""), *behind = g_build_filename(file, "x", NULL);
    assert_trusted("/");
    assert_trusted(folder);
    assert_trusted(sticky);
    assert_trusted(in_sticky);
    assert_trusted(absent);
    assert_refused(open, "Other users can write to", open);
    assert_refused(below, "(mode 0777)", open);
    g_autoptr(GError) error = NULL;
    g_assert_false(path_check_trusted(behind, &error));
    g_assert_nonnull(error);
    assert_refused("relative", "no absolute path", "relative");
    assert_refused("/tmp/../tmp", "no absolute path", "/tmp/../tmp");
}

static void test_links(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *good = made(folder, "good", 0700), *open = made(folder, "open", 0777);
    g_autofree char *below = made(open, "below", 0700), *deep = made(good, "deep", 0700);
    g_autofree char *to_good = g_build_filename(folder, "to-good", NULL);
    g_autofree char *to_open = g_build_filename(folder, "to-open", NULL);
    g_autofree char *through = g_build_filename(to_good, "deep", NULL),
                    *round = g_build_filename(folder, "round", NULL);
    g_autofree char *up = g_build_filename(deep, "up", NULL), *back = g_build_filename(folder, "back", NULL);
    g_assert_true(symlink("good", to_good) == 0 && symlink(below, to_open) == 0 && symlink("round", round) == 0 &&
                  symlink("../../open", up) == 0 && symlink("good/../good", back) == 0);
    assert_trusted(to_good);
    assert_trusted(through);
    assert_refused(to_open, "Other users can write to", open);
    assert_refused(up, "Other users can write to", open);
    assert_refused(round, "cannot be followed", round);
    assert_refused(back, "cannot be followed", back);
}

static void test_owners(void)
{
    if (geteuid() != 0) {
        g_test_skip("needs root");
        return;
    }
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *sticky = made(folder, "sticky", 01777), *theirs = made(sticky, "theirs", 0700);
    g_autofree char *ours = made(theirs, "ours", 0700), *link = g_build_filename(sticky, "link", NULL);
    g_assert_cmpint(chown(theirs, OTHER_UID, OTHER_UID), ==, 0);
    g_assert_cmpint(symlink(folder, link), ==, 0);
    assert_trusted(link);
    g_assert_cmpint(lchown(link, OTHER_UID, OTHER_UID), ==, 0);
    assert_refused(theirs, "belongs to another user (uid 12345)", theirs);
    assert_refused(ours, "belongs to another user", theirs);
    assert_refused(link, "belongs to another user", link); /* though it leads to a good one */
    g_autofree char *group = made(folder, "group", 0770);
    assert_trusted(group);
    g_assert_cmpint(chown(group, 0, OTHER_UID), ==, 0);
    g_assert_cmpint(chmod(group, 0770), ==, 0);
    assert_refused(group, "Other users can write to", group);
}

/* With a list, the group's bits are those of everybody whom it names (acl(5)). */
static void test_access_list(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *listed = made(folder, "listed", 0770);
    struct {
        guint32 version;
        struct {
            guint16 tag, rights;
            guint32 id;
        } entries[5];
    } list = {2, {{1, 7, ~0U}, {2, 7, OTHER_UID}, {4, 0, ~0U}, {16, 7, ~0U}, {32, 0, ~0U}}};
    assert_trusted(listed);
    g_assert_cmpint(setxattr(listed, "system.posix_acl_access", &list, sizeof list, 0), ==, 0);
    assert_refused(listed, "Other users can write to", listed);
}

static void test_of_root(void)
{
    if (geteuid() != 0) {
        g_test_skip("needs root");
        return;
    }
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *sticky = made(folder, "sticky", 01777), *open = made(folder, "open", 0777);
    g_autofree char *absent = g_build_filename(folder, "absent", NULL), *there = made(sticky, "there", 0755);
    g_autofree char *risky = g_build_filename(sticky, "absent", NULL), *theirs = made(folder, "theirs", 0755);
    g_autofree char *below = made(theirs, "below", 0755), *deep = g_build_filename(sticky, "absent/deeper", NULL);
    g_assert_cmpint(chown(theirs, OTHER_UID, OTHER_UID), ==, 0);
    g_assert_true(path_is_of_root(folder) && path_is_of_root(absent) && path_is_of_root(there));
    g_assert_false(path_is_of_root(risky) || path_is_of_root(deep));
    g_assert_false(path_is_of_root(open) || path_is_of_root(theirs) || path_is_of_root(below));
    g_assert_true(path_is_placed_by_root(open) && path_is_placed_by_root(theirs) && path_is_placed_by_root(absent));
    g_assert_false(path_is_placed_by_root(below) || path_is_placed_by_root(risky));
    g_assert_cmpint(chown(there, OTHER_UID, OTHER_UID), ==, 0);
    g_assert_false(path_is_placed_by_root(there)); /* its owner may remove it */
}

static void assert_opens(const char *path, bool can, int code)
{
    g_autoptr(GError) error = NULL;
    autofd int fd = path_open_file(path, &error);
    g_assert_cmpint(fd >= 0, ==, can);
    if (!can)
        g_assert_error(error, QWD_ERROR, code);
}

static void test_open(void)
{
    if (geteuid() != 0) {
        g_test_skip("needs root");
        return;
    }
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *file = temp_file(folder, "file", "x"), *link = g_build_filename(folder, "link", NULL);
    g_autofree char *up = g_build_filename(folder, "up", NULL), *through = g_build_filename(up, "link", NULL);
    g_autofree char *fifo = g_build_filename(folder, "fifo", NULL), *absent = g_build_filename(folder, "no", NULL);
    g_assert_true(symlink("file", link) == 0 && symlink(folder, up) == 0 && mkfifo(fifo, 0600) == 0);
    assert_opens(file, true, 0);
    assert_opens(through, true, 0);
    assert_opens(folder, false, QWD_ERROR_USAGE);
    assert_opens(fifo, false, QWD_ERROR_USAGE);
    assert_opens(absent, false, QWD_ERROR_NOT_FOUND);
    g_assert_cmpint(lchown(up, OTHER_UID, OTHER_UID), ==, 0);
    assert_opens(through, false, QWD_ERROR_DENIED);
    assert_opens(link, true, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/trusted-path/modes", test_modes);
    g_test_add_func("/trusted-path/links", test_links);
    g_test_add_func("/trusted-path/owners", test_owners);
    g_test_add_func("/trusted-path/access-list", test_access_list);
    g_test_add_func("/trusted-path/of-root", test_of_root);
    g_test_add_func("/trusted-path/open", test_open);
    return g_test_run();
}
