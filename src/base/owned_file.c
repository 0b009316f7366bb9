/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/owned_file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/account.h"
#include "base/error.h"
#include "base/file.h"
#include "base/trusted_path.h"

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
    struct stat st;
    mode_t mode = lstat(work->path, &st) == 0 && S_ISREG(st.st_mode) ? st.st_mode & 0777 : work->mode;
    /* The account may have to replace a file that is root's. */
    bool good = account_is_child()
                    ? file_write_atomic(work->path, work->text, strlen(work->text), mode, FILE_WRITE_DURABLE, error)
                    : file_replace(work->path, work->text, strlen(work->text), work->mode, error);
    return good ? g_strdup("") : NULL;
}

static char *run_by_owner(const char *user, const AccountWork *work, const char *path, GError **error)
{
    return account_is_root() && path_is_of_root(path) ? work->run(work->data, error) : account_run(user, work, error);
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
