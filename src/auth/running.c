/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "auth/running.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/token.h"

#define WAITING 'w'
#define RUNNING 'r'
#define MARK_CHARS 32
#define NO_MARK "none"
#define NAME_PARTS (RUNNING_MARKS + 2) /* state, marks, a token */
#define WHAT_MAX_BYTES 16384

static char *folder_path(const Settings *settings)
{
    return g_build_filename(settings->dir_login, "running", NULL);
}

static char *mark_text(const char *mark)
{
    return mark ? g_strndup(mark, MARK_CHARS) : g_strdup(NO_MARK);
}

static char *new_path(const char *folder, char *const marks[RUNNING_MARKS])
{
    g_autofree char *first = mark_text(marks[0]), *second = mark_text(marks[1]), *token = token_new();
    return g_strdup_printf("%s/%c-%s-%s-%s", folder, WAITING, first, second, token);
}

static bool write_what(int fd, const json_t *what)
{
    char *text = json_dumps(what, JSON_COMPACT);
    bool good = text && fd_write_all(fd, text, strlen(text));
    free(text);
    return good;
}

bool running_register(const Settings *settings, char *const marks[RUNNING_MARKS], const json_t *what,
                      RunningAttempt *attempt, GError **error)
{
    g_autofree char *folder = folder_path(settings);
    if (!folder_make_private(folder, error))
        return false;
    g_autofree char *path = new_path(folder, marks);
    autofd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || !write_what(fd, what)) {
        qwd_error_errno(error, errno, "Cannot write %s", path);
        unlink(path);
        return false;
    }
    *attempt = (RunningAttempt){.path = g_steal_pointer(&path), .fd = fd_steal(&fd)};
    return true;
}

bool running_start(RunningAttempt *attempt, GError **error)
{
    g_autofree char *path = g_strdup(attempt->path);
    strrchr(path, '/')[1] = RUNNING;
    if (rename(attempt->path, path) < 0)
        return qwd_error_errno(error, errno, "Cannot rename %s", attempt->path);
    g_free(attempt->path);
    attempt->path = g_steal_pointer(&path);
    return true;
}

void running_abandon(RunningAttempt *attempt)
{
    g_clear_pointer(&attempt->path, g_free);
    fd_close_pointed(&attempt->fd);
    attempt->fd = -1;
}

void running_finish(RunningAttempt *attempt)
{
    if (!attempt->path)
        return;
    unlink(attempt->path);
    running_abandon(attempt);
}

static bool has_mark(const char *part, const char *mark)
{
    g_autofree char *text = mark_text(mark);
    return mark && g_str_equal(part, text);
}

RunningCounts running_count(const Settings *settings, char *const marks[RUNNING_MARKS])
{
    RunningCounts counts = {0};
    g_autofree char *folder = folder_path(settings);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_auto(GStrv) parts = g_strsplit(name, "-", NAME_PARTS);
        if (g_strv_length(parts) != NAME_PARTS)
            continue;
        counts.waiting += *name == WAITING && has_mark(parts[1], marks[0]);
        for (size_t i = 0; i < RUNNING_MARKS; i++)
            counts.running[i] += *name == RUNNING && has_mark(parts[1 + i], marks[i]);
    }
    return counts;
}

static bool is_abandoned(const char *path)
{
    autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

json_t *running_take_abandoned(const Settings *settings)
{
    json_t *abandoned = json_array();
    g_autofree char *folder = folder_path(settings);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        if (!is_abandoned(path))
            continue;
        json_t *what = *name == RUNNING ? json_object_read(path, WHAT_MAX_BYTES, NULL) : NULL;
        if (what)
            json_array_append_new(abandoned, what);
        unlink(path);
    }
    return abandoned;
}

guint running_watch(const Settings *settings, EventCallback callback, void *data, GError **error)
{
    g_autofree char *folder = folder_path(settings);
    return watch_folder(folder, callback, data, error);
}
