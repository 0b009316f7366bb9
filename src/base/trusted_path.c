/* SPDX-License-Identifier: AGPL-3.0-or-later
 * From the root down: what lies in a folder that only trusted users change is what it is found to be. */
#include "base/trusted_path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#define LINKS_MAX 40 /* as the kernel: path_resolution(7) */
#define ACL_NAME "system.posix_acl_access"

typedef struct {
    bool root_only;  /* nobody but root is trusted, and nobody else may make what is absent */
    bool place_only; /* others may change what is at the end of the path, but put nothing else there */
    int links;       /* so many may still be followed */
} Check;

/* In a user namespace root may have no number; whoever owns / stands for it. */
static bool is_trusted_owner(uid_t uid, bool root_only)
{
    struct stat root;
    return uid == 0 || (!root_only && uid == geteuid()) || (stat("/", &root) == 0 && uid == root.st_uid);
}

/* Where there is an access control list, the group's bits are what all those may do at most whom it names (acl(5)). */
static bool is_open_to_group(const char *part, const struct stat *st)
{
    bool is_our_group = st->st_gid == 0 || st->st_gid == getegid();
    return (st->st_mode & S_IWGRP) && (!is_our_group || getxattr(part, ACL_NAME, NULL, 0) > 0);
}

static bool is_writable_by_others(const char *part, const struct stat *st)
{
    return !S_ISLNK(st->st_mode) && ((st->st_mode & S_IWOTH) || is_open_to_group(part, st));
}

static bool check_part(const char *part, const struct stat *st, bool root_only, GError **error)
{
    if (!is_trusted_owner(st->st_uid, root_only))
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "%s belongs to another user (uid %u), who can change it.", part,
                              (unsigned)st->st_uid);
    return !is_writable_by_others(part, st) || (st->st_mode & S_ISVTX) ||
           qwd_error_fail(error, QWD_ERROR_CONFIG, "Other users can write to %s (mode %04o).", part,
                          (unsigned)(st->st_mode & 07777));
}

/* Whether others can make files in the folder that a part is in, or would be in; be it sticky. */
static bool is_in_open_folder(const char *part)
{
    struct stat st;
    g_autofree char *folder = g_path_get_dirname(part);
    return stat(folder, &st) < 0 || is_writable_by_others(folder, &st);
}

static bool check_absent(const char *part, const Check *check, GError **error)
{
    return !check->root_only || !is_in_open_folder(part) ||
           qwd_error_fail(error, QWD_ERROR_CONFIG, "Other users can make %s.", part);
}

/* Behind a link, .. is another folder than the one before it in the text. */
static bool leads_back(const char *path)
{
    while (g_str_has_prefix(path, "../"))
        path += strlen("../");
    return strstr(path, "/../") || g_str_has_suffix(path, "/..");
}

/* Where a link leads, with the `rest` that comes behind it; NULL when that cannot be told. Free with g_free. */
static char *path_behind(const char *link, const char *rest)
{
    g_autofree char *target = g_file_read_link(link, NULL), *folder = g_path_get_dirname(link);
    if (!target || leads_back(target))
        return NULL;
    g_autofree char *joined = g_strconcat(target, rest, NULL);
    return g_canonicalize_filename(joined, folder);
}

static bool check_way(const char *path, Check check, GError **error);

static bool check_link(const char *link, const char *rest, Check check, GError **error)
{
    g_autofree char *path = check.links > 0 ? path_behind(link, rest) : NULL;
    check.links--;
    return path ? check_way(path, check, error)
                : qwd_error_fail(error, QWD_ERROR_CONFIG, "The link %s cannot be followed.", link);
}

/* `path` is canonical. */
static bool check_way(const char *path, Check check, GError **error)
{
    size_t length = strlen(path);
    for (size_t end = 1;; end += strcspn(path + end, "/")) {
        struct stat st;
        g_autofree char *part = g_strndup(path, end);
        if (lstat(part, &st) < 0)
            return errno == ENOENT ? check_absent(part, &check, error)
                                   : qwd_error_errno(error, errno, "Cannot look at %s", part);
        bool is_end = end >= length && !S_ISLNK(st.st_mode);
        if (is_end && check.place_only && !is_in_open_folder(part))
            return true;
        if (!check_part(part, &st, check.root_only, error))
            return false;
        if (S_ISLNK(st.st_mode))
            return check_link(part, path + end, check, error);
        if (is_end)
            return true;
        end += end > 1; /* over the slash */
    }
}

static bool check_path(const char *path, Check check, GError **error)
{
    if (!g_path_is_absolute(path) || leads_back(path))
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "%s is no absolute path without \"..\".", path);
    g_autofree char *whole = g_canonicalize_filename(path, NULL);
    return check_way(whole, check, error);
}

bool path_check_trusted(const char *path, GError **error)
{
    return check_path(path, (Check){.links = LINKS_MAX}, error);
}

bool path_is_of_root(const char *path)
{
    return check_path(path, (Check){.root_only = true, .links = LINKS_MAX}, NULL);
}

bool path_is_placed_by_root(const char *path)
{
    return check_path(path, (Check){.root_only = true, .place_only = true, .links = LINKS_MAX}, NULL);
}

/* --- opening --- */

/* The path behind the first link of root's on the way; NULL when there is none. Free with g_free. */
static char *follow_link_of_root(const char *path)
{
    for (const char *end = strchr(path + 1, '/');; end = strchr(end + 1, '/')) {
        struct stat st;
        g_autofree char *part = end ? g_strndup(path, (size_t)(end - path)) : g_strdup(path);
        if (lstat(part, &st) == 0 && S_ISLNK(st.st_mode) && is_trusted_owner(st.st_uid, true))
            return path_behind(part, end ? end : "");
        if (!end)
            return NULL;
    }
}

static int open_without_links(const char *path)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
}

/* A descriptor of O_PATH has no effect on a device or a FIFO. */
static int open_regular(int place, const char *path, GError **error)
{
    struct stat st;
    g_autofree char *again = g_strdup_printf("/proc/self/fd/%d", place);
    if (fstat(place, &st) < 0 || !S_ISREG(st.st_mode)) {
        qwd_error_fail(error, QWD_ERROR_USAGE, "%s is no regular file.", path);
        return -1;
    }
    int fd = open(again, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        qwd_error_errno(error, errno, "Cannot open %s", path);
    return fd;
}

int path_open_file(const char *path, GError **error)
{
    g_autofree char *current = g_canonicalize_filename(path, NULL);
    for (int links = 0; links < LINKS_MAX; links++) {
        char *next = follow_link_of_root(current);
        if (!next)
            break;
        g_free(current);
        current = next;
    }
    autofd int place = open_without_links(current);
    if (place >= 0)
        return open_regular(place, path, error);
    if (errno == ELOOP)
        qwd_error_fail(error, QWD_ERROR_DENIED,
                       "On the way to %s there is a symbolic link of another account, which could change it. Give the "
                       "path that it leads to.",
                       path);
    else
        qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "Cannot open %s: %s", path, g_strerror(errno));
    return -1;
}
