/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "fetch/part.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"

#define NOTE_MAX_BYTES 65536
#define IMAGE_MODE 0644

/* Whether the name still leads to the file that was opened: it may have become a whole image meanwhile. */
static bool is_still_there(int fd, const char *path, struct stat *st)
{
    struct stat named;
    return fstat(fd, st) == 0 && lstat(path, &named) == 0 && named.st_ino == st->st_ino && named.st_dev == st->st_dev;
}

static bool lock_part(Part *part, GError **error)
{
    struct stat st;
    part->fd = open(part->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, IMAGE_MODE);
    if (part->fd < 0 && (errno == EACCES || errno == EROFS))
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "%s cannot be written by the service account: %s.", part->path,
                              g_strerror(errno));
    if (part->fd < 0)
        return qwd_error_errno(error, errno, "Cannot open %s", part->path);
    bool is_ours = flock(part->fd, LOCK_EX | LOCK_NB) == 0 && is_still_there(part->fd, part->path, &st);
    part->size = is_ours ? st.st_size : 0;
    return is_ours ||
           qwd_error_fail(error, QWD_ERROR_CONFLICT, "%s is being downloaded by another process.", part->target);
}

bool part_restart(Part *part, GError **error)
{
    if (ftruncate(part->fd, 0) < 0)
        return qwd_error_errno(error, errno, "Cannot write %s", part->path);
    part->size = 0;
    return true;
}

bool part_open(Part *part, const char *target, const char *url, GError **error)
{
    part->target = g_strdup(target);
    part->path = g_strconcat(target, PART_SUFFIX, NULL);
    part->note_path = g_strconcat(target, PART_NOTE_SUFFIX, NULL);
    part->url = g_strdup(url);
    if (!lock_part(part, error))
        return false;
    g_autoptr(JsonValue) note = json_object_read(part->note_path, NOTE_MAX_BYTES, NULL);
    bool is_known = note && *url && g_str_equal(json_get_text(note, "url", ""), url);
    part->validator = g_strdup(is_known ? json_get_text(note, "validator", "") : "");
    return (is_known && *part->validator) || part_restart(part, error);
}

bool part_set_validator(Part *part, const char *validator, GError **error)
{
    if (g_str_equal(validator, part->validator))
        return true;
    g_free(part->validator);
    part->validator = g_strdup(validator);
    g_autoptr(JsonValue) note = json_pack("{s:s, s:s}", "url", part->url, "validator", validator);
    return json_object_write(part->note_path, note, FILE_WRITE_FAST, error);
}

bool part_append(Part *part, const char *bytes, size_t length, GError **error)
{
    while (length > 0) {
        ssize_t n = pwrite(part->fd, bytes, length, part->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return qwd_error_errno(error, errno, "Cannot write %s", part->path);
        bytes += n;
        length -= (size_t)n;
        part->size += n;
    }
    return true;
}

bool part_has(const Part *part, gint64 offset, const char *bytes, size_t length)
{
    g_autofree char *there = g_malloc(length);
    return pread(part->fd, there, length, offset) == (ssize_t)length && memcmp(there, bytes, length) == 0;
}

gint64 part_free_bytes(const Part *part)
{
    struct statvfs fs;
    return fstatvfs(part->fd, &fs) == 0 ? (gint64)fs.f_bavail * (gint64)fs.f_frsize : G_MAXINT64;
}

/* The new name is on the disk when its folder is. */
static bool sync_folder(const char *path)
{
    g_autofree char *folder = g_path_get_dirname(path);
    autofd int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0;
}

bool part_save(Part *part, GError **error)
{
    return (fchmod(part->fd, IMAGE_MODE) == 0 && fsync(part->fd) == 0) ||
           qwd_error_errno(error, errno, "Cannot write %s", part->path);
}

bool part_finish(Part *part, GError **error)
{
    if (rename(part->path, part->target) < 0 || !sync_folder(part->target))
        return qwd_error_errno(error, errno, "Cannot put %s in place", part->target);
    unlink(part->note_path);
    g_clear_pointer(&part->path, g_free);
    return true;
}

void part_discard(Part *part)
{
    if (part->fd < 0 || !part->path)
        return;
    unlink(part->path);
    unlink(part->note_path);
    g_clear_pointer(&part->path, g_free);
}

void part_clear(Part *part)
{
    if (part->fd >= 0 && part->path && (part->size == 0 || !part->validator || !*part->validator))
        part_discard(part);
    fd_close_pointed(&part->fd);
    g_free(part->path);
    g_free(part->note_path);
    g_free(part->target);
    g_free(part->url);
    g_free(part->validator);
}
