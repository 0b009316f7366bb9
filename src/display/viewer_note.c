/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "display/viewer_note.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"

#define NOTE_LINK "/memfd:qwd-viewer (deleted)" /* proc_pid_fd(5) */
#define NOTE_MAX_BYTES 16384

static bool is_note(int folder, const char *name)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(folder, name, target, sizeof target - 1);
    target[MAX(length, 0)] = '\0';
    return g_str_equal(target, NOTE_LINK);
}

/* The note open for reading; -1 with errno, ENOENT when there is none. */
static int open_note(DIR *folder)
{
    errno = 0;
    for (struct dirent *entry; (entry = readdir(folder)); errno = 0) {
        if (is_note(dirfd(folder), entry->d_name))
            return openat(dirfd(folder), entry->d_name, O_RDONLY | O_CLOEXEC);
    }
    errno = errno ? errno : ENOENT;
    return -1;
}

int viewer_note_open(const struct ucred *peer, GError **error)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/fd", (int)peer->pid);
    if (peer->uid != geteuid()) {
        qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "%s is of another account.", path);
        return -1;
    }
    DIR *folder = opendir(path);
    if (!folder) {
        qwd_error_fail(error, QWD_ERROR_INTERNAL, "%s: %s", path, g_strerror(errno));
        return -1;
    }
    int fd = open_note(folder), cause = errno;
    closedir(folder);
    if (fd < 0)
        qwd_error_fail(error, cause == ENOENT ? QWD_ERROR_NOT_FOUND : QWD_ERROR_INTERNAL, "%s: %s", path,
                       g_strerror(cause));
    return fd;
}

json_t *viewer_note_read(int fd, GError **error)
{
    char text[NOTE_MAX_BYTES + 1];
    ssize_t length = pread(fd, text, sizeof text, 0);
    if (length >= 0 && length <= NOTE_MAX_BYTES)
        return json_object_parse(text, (size_t)length, error);
    qwd_error_fail(error, QWD_ERROR_INTERNAL,
                   "The note of a viewer's process cannot be read, or is longer than %d bytes.", NOTE_MAX_BYTES);
    return NULL;
}
