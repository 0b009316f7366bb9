/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/owned_file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/account.h"
#include "base/error.h"
#include "base/file.h"

#define LINKS_MAX 40

/* --- whose a folder is --- */

/* In a folder with the sticky bit others cannot touch what is root's. */
static bool only_root_changes(const struct stat *st, bool is_last)
{
    bool by_others = (st->st_mode & S_IWOTH) || ((st->st_mode & S_IWGRP) && st->st_gid != 0);
    return !by_others || (!is_last && (st->st_mode & S_ISVTX));
}

/* Every folder and every link on the way. */
static bool is_of_root(const char *path, bool is_last, int links)
{
    struct stat st;
    g_autofree char *parent = g_path_get_dirname(path);
    if (!g_str_equal(parent, path) && !is_of_root(parent, false, links))
        return false;
    if (lstat(path, &st) < 0 || st.st_uid != 0)
        return false;
    if (!S_ISLNK(st.st_mode))
        return only_root_changes(&st, is_last);
    g_autofree char *target = links > 0 ? g_file_read_link(path, NULL) : NULL;
    g_autofree char *place = target ? g_canonicalize_filename(target, parent) : NULL;
    return place && is_of_root(place, is_last, links - 1);
}

static char *nearest_existing(const char *path)
{
    char *nearest = g_canonicalize_filename(path, NULL);
    while (access(nearest, F_OK) < 0 && !g_str_equal(nearest, "/")) {
        char *parent = g_path_get_dirname(nearest);
        g_free(nearest);
        nearest = parent;
    }
    return nearest;
}

bool folder_is_of_root(const char *path)
{
    g_autofree char *nearest = nearest_existing(path);
    return is_of_root(nearest, true, LINKS_MAX);
}

/* --- files --- */

typedef struct {
    const char *path, *text;
    size_t max_bytes;
    mode_t mode;
} FileWork;

static char *read_work(void *data, GError **error)
{
    const FileWork *work = data;
    return file_read_text(work->path, work->max_bytes, error);
}

static char *replace_work(void *data, GError **error)
{
    const FileWork *work = data;
    g_autofree char *folder = g_path_get_dirname(work->path);
    if (g_mkdir_with_parents(folder, 0755) < 0) {
        qwd_error_errno(error, errno, "Cannot make the folder %s", folder);
        return NULL;
    }
    /* The account may have to replace a file that is root's. */
    bool good = account_is_child() ? file_write_atomic(work->path, work->text, strlen(work->text), work->mode,
                                                       FILE_WRITE_DURABLE, error)
                                   : file_replace(work->path, work->text, strlen(work->text), work->mode, error);
    return good ? g_strdup("") : NULL;
}

static char *run_by_owner(const char *user, const AccountWork *work, const char *path, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(path);
    return account_is_root() && folder_is_of_root(folder) ? work->run(work->data, error)
                                                          : account_run(user, work, error);
}

char *owned_file_read_text(const char *user, const char *path, size_t max_bytes, GError **error)
{
    FileWork file = {.path = path, .max_bytes = max_bytes};
    return run_by_owner(user, &(AccountWork){.run = read_work, .data = &file}, path, error);
}

bool owned_file_replace(const char *user, const char *path, const char *text, mode_t mode, GError **error)
{
    FileWork file = {.path = path, .text = text, .mode = mode};
    g_autofree char *done = run_by_owner(user, &(AccountWork){.run = replace_work, .data = &file}, path, error);
    return done != NULL;
}
