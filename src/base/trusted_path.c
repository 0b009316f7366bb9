/* SPDX-License-Identifier: AGPL-3.0-or-later
 * From the root down: what lies in a folder that only trusted users change is what it is found to be. */
#include "base/trusted_path.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

#define LINKS_MAX 40 /* as the kernel: path_resolution(7) */

/* In a user namespace root may have no number; whoever owns / stands for it. */
static bool is_trusted_owner(uid_t uid)
{
    struct stat root;
    return uid == 0 || uid == geteuid() || (stat("/", &root) == 0 && uid == root.st_uid);
}

static bool is_open_to_others(const struct stat *st)
{
    bool by_group = (st->st_mode & S_IWGRP) && st->st_gid != 0 && st->st_gid != getegid();
    return !S_ISLNK(st->st_mode) && ((st->st_mode & S_IWOTH) || by_group) && !(st->st_mode & S_ISVTX);
}

static bool check_part(const char *part, const struct stat *st, GError **error)
{
    if (!is_trusted_owner(st->st_uid))
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "%s belongs to another user (uid %u), who can change it.", part,
                              (unsigned)st->st_uid);
    return !is_open_to_others(st) || qwd_error_fail(error, QWD_ERROR_CONFIG, "Other users can write to %s (mode %04o).",
                                                    part, (unsigned)(st->st_mode & 07777));
}

/* Behind a link, .. is another folder than the one before it in the text. */
static bool leads_back(const char *path)
{
    while (g_str_has_prefix(path, "../"))
        path += strlen("../");
    return strstr(path, "/../") || g_str_has_suffix(path, "/..");
}

static bool check_way(const char *path, int links, GError **error);

/* Goes on where the link leads, with what comes behind it. */
static bool check_link(const char *link, const char *rest, int links, GError **error)
{
    g_autofree char *target = g_file_read_link(link, NULL), *folder = g_path_get_dirname(link);
    if (!target || leads_back(target) || links == 0)
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "The link %s cannot be followed.", link);
    g_autofree char *joined = g_strconcat(target, rest, NULL), *path = g_canonicalize_filename(joined, folder);
    return check_way(path, links - 1, error);
}

/* `path` is canonical. */
static bool check_way(const char *path, int links, GError **error)
{
    size_t length = strlen(path);
    for (size_t end = 1;; end += strcspn(path + end, "/")) {
        struct stat st;
        g_autofree char *part = g_strndup(path, end);
        if (lstat(part, &st) < 0)
            return errno == ENOENT || qwd_error_errno(error, errno, "Cannot look at %s", part);
        if (!check_part(part, &st, error))
            return false;
        if (S_ISLNK(st.st_mode))
            return check_link(part, path + end, links, error);
        if (end >= length)
            return true;
        end += end > 1; /* over the slash */
    }
}

bool path_check_trusted(const char *path, GError **error)
{
    if (!g_path_is_absolute(path) || leads_back(path))
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "%s is no absolute path without \"..\".", path);
    g_autofree char *whole = g_canonicalize_filename(path, NULL);
    return check_way(whole, LINKS_MAX, error);
}
