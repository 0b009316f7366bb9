/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#define REMOVE_TRIES 100

static bool read_exactly(int fd, char *buffer, size_t length, size_t *got, GError **error)
{
    for (*got = 0; *got < length;) {
        ssize_t n = read(fd, buffer + *got, length - *got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return qwd_error_errno(error, errno, "Cannot read");
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return true;
}

static bool check_regular(int fd, const char *path, struct stat *st, GError **error)
{
    return (fstat(fd, st) == 0 && S_ISREG(st->st_mode)) ||
           qwd_error_fail(error, QWD_ERROR_INTERNAL, "%s is not a regular file.", path);
}

static int open_to_read(const char *path, struct stat *st, GError **error)
{
    autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        qwd_error_fail(error, errno == ENOENT ? QWD_ERROR_NOT_FOUND : QWD_ERROR_INTERNAL, "Cannot open %s: %s", path,
                       g_strerror(errno));
        return -1;
    }
    return check_regular(fd, path, st, error) ? fd_steal(&fd) : -1;
}

int file_open_to_read(const char *path, GError **error)
{
    struct stat st;
    return open_to_read(path, &st, error);
}

static int open_regular(const char *path, size_t max_bytes, size_t *size, GError **error)
{
    struct stat st;
    autofd int fd = open_to_read(path, &st, error);
    if (fd < 0)
        return -1;
    if ((size_t)st.st_size > max_bytes) {
        qwd_error_fail(error, QWD_ERROR_TOO_LARGE, "%s is larger than %zu bytes.", path, max_bytes);
        return -1;
    }
    *size = (size_t)st.st_size;
    return fd_steal(&fd);
}

static char *read_text(int fd, const char *path, size_t size, size_t *length, GError **error)
{
    size_t got;
    g_autofree char *buffer = g_malloc(size + 1);
    if (!read_exactly(fd, buffer, size, &got, error)) {
        g_prefix_error(error, "%s: ", path);
        return NULL;
    }
    buffer[got] = '\0';
    if (length)
        *length = got;
    return g_steal_pointer(&buffer);
}

char *file_read(const char *path, size_t max_bytes, size_t *length, GError **error)
{
    size_t size;
    autofd int fd = open_regular(path, max_bytes, &size, error);
    return fd < 0 ? NULL : read_text(fd, path, size, length, error);
}

char *file_read_text(const char *path, size_t max_bytes, GError **error)
{
    g_autoptr(GError) cause = NULL;
    size_t length = 0;
    g_autofree char *text = file_read(path, max_bytes, &length, &cause);
    if (text && strlen(text) == length)
        return g_steal_pointer(&text);
    if (!text && g_error_matches(cause, QWD_ERROR, QWD_ERROR_NOT_FOUND))
        return g_strdup("");
    if (text)
        qwd_error_fail(error, QWD_ERROR_CONFIG, "%s is no text file.", path);
    else
        g_propagate_error(error, g_steal_pointer(&cause));
    return NULL;
}

char *file_read_end(const char *path, size_t max_bytes, GError **error)
{
    size_t size;
    autofd int fd = open_regular(path, G_MAXSIZE, &size, error);
    if (fd < 0)
        return NULL;
    if (size > max_bytes)
        lseek(fd, (off_t)(size - max_bytes), SEEK_SET);
    return read_text(fd, path, MIN(size, max_bytes), NULL, error);
}

/* GLib tells of a failure in a code of its own and in a text that names its temporary file. */
static int errno_of(const GError *cause)
{
    static const int known[] = {ENOSPC, EDQUOT, EROFS, EACCES, EPERM, ENOENT, ENOTDIR, EISDIR, EMFILE, ENFILE};
    for (size_t i = 0; i < G_N_ELEMENTS(known); i++) {
        if (strstr(cause->message, g_strerror(known[i])))
            return known[i];
    }
    return EIO;
}

bool file_write_atomic(const char *path, const char *data, size_t length, mode_t mode, FileDurability durability,
                       GError **error)
{
    GFileSetContentsFlags flags = G_FILE_SET_CONTENTS_CONSISTENT;
    if (durability == FILE_WRITE_DURABLE)
        flags |= G_FILE_SET_CONTENTS_DURABLE;
    g_autoptr(GError) cause = NULL;
    if (g_file_set_contents_full(path, data, (gssize)length, flags, (int)mode, &cause))
        return true;
    return qwd_error_errno(error, errno_of(cause), "Cannot write %s", path);
}

/* The owner first: a change of it takes bits of the mode away. */
static bool take_over_owner(int fd, const struct stat *like)
{
    struct stat own;
    if (fstat(fd, &own) < 0)
        return false;
    bool same = own.st_uid == like->st_uid && own.st_gid == like->st_gid;
    return same || fchown(fd, like->st_uid, like->st_gid) == 0;
}

bool file_replace(const char *path, const char *data, size_t length, mode_t mode, GError **error)
{
    struct stat like;
    char *resolved = realpath(path, NULL);
    const char *target = resolved ? resolved : path;
    bool exists = resolved && stat(resolved, &like) == 0;
    g_autofree char *temporary = g_strconcat(target, ".XXXXXX", NULL);
    autofd int fd = g_mkstemp_full(temporary, O_RDWR | O_CLOEXEC, 0600);
    bool good = fd >= 0 && fd_write_all(fd, data, length) && (!exists || take_over_owner(fd, &like)) &&
                fchmod(fd, exists ? like.st_mode & 07777 : mode) == 0 && fsync(fd) == 0 &&
                rename(temporary, target) == 0;
    int saved_errno = errno;
    if (!good && fd >= 0)
        unlink(temporary);
    free(resolved);
    return good || qwd_error_errno(error, saved_errno, "Cannot write %s", path);
}

bool file_append(const char *path, const char *text, mode_t mode, GError **error)
{
    autofd int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, mode);
    if (fd < 0)
        return qwd_error_errno(error, errno, "Cannot open %s", path);
    ssize_t length = (ssize_t)strlen(text);
    errno = ENOSPC; /* what a short write means */
    if (write(fd, text, (size_t)length) != length)
        return qwd_error_errno(error, errno, "Cannot write %s", path);
    return true;
}

static int lock_open(const char *path, int operation, GError **error)
{
    struct stat st;
    autofd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0 && errno == ENOENT)
        qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "Cannot open %s: %s", path, g_strerror(errno));
    else if (fd < 0)
        qwd_error_errno(error, errno, "Cannot open %s", path);
    if (fd < 0 || !check_regular(fd, path, &st, error))
        return -1;
    while (flock(fd, operation) < 0) {
        if (errno == EINTR)
            continue;
        if (errno == EWOULDBLOCK)
            qwd_error_fail(error, QWD_ERROR_CONFLICT, "%s is in use.", path);
        else
            qwd_error_errno(error, errno, "Cannot lock %s", path);
        return -1;
    }
    return fd_steal(&fd);
}

int file_lock(const char *path, GError **error)
{
    return lock_open(path, LOCK_EX, error);
}

int file_try_lock(const char *path, GError **error)
{
    return lock_open(path, LOCK_EX | LOCK_NB, error);
}

bool folder_make_private(const char *path, GError **error)
{
    g_autofree char *parent = g_path_get_dirname(path);
    if (g_mkdir_with_parents(parent, 0755) < 0)
        return qwd_error_errno(error, errno, "Cannot make the folder %s", parent);
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return qwd_error_errno(error, errno, "Cannot make the folder %s", path);
    struct stat st;
    if (lstat(path, &st) < 0)
        return qwd_error_errno(error, errno, "Cannot look at the folder %s", path);
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
        return qwd_error_fail(error, QWD_ERROR_CONFIG,
                              "%s must be a folder that belongs to uid %u with mode 0700. Remove it or choose another.",
                              path, (unsigned)geteuid());
    return true;
}

bool file_is_absent(const char *path)
{
    struct stat st;
    return lstat(path, &st) < 0 && errno == ENOENT;
}

gint64 file_bytes_on_disk(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (gint64)st.st_blocks * 512 : 0;
}

static bool remove_content(int folder_fd, GError **error);

static bool remove_entry(int folder_fd, const char *name, GError **error)
{
    if (unlinkat(folder_fd, name, 0) == 0 || errno == ENOENT)
        return true;
    if (errno != EISDIR && errno != EPERM)
        return qwd_error_errno(error, errno, "Cannot remove %s", name);
    autofd int fd = openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return qwd_error_errno(error, errno, "Cannot open %s", name);
    for (int i = 0; i < REMOVE_TRIES; i++) {
        if (!remove_content(fd, error))
            return false;
        if (unlinkat(folder_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
            return true;
        if (errno != ENOTEMPTY) /* somebody has just put something into it */
            break;
    }
    return qwd_error_errno(error, errno, "Cannot remove %s", name);
}

static bool remove_content(int folder_fd, GError **error)
{
    int copy = fcntl(folder_fd, F_DUPFD_CLOEXEC, 0);
    DIR *folder = copy < 0 ? NULL : fdopendir(copy);
    if (!folder) {
        fd_close_pointed(&copy);
        return qwd_error_errno(error, errno, "Cannot list a folder");
    }
    bool good = true;  /* what can go goes, whatever stays */
    rewinddir(folder); /* the copy shares its place with the descriptor */
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (!g_str_equal(entry->d_name, ".") && !g_str_equal(entry->d_name, ".."))
            good &= remove_entry(folder_fd, entry->d_name, good ? error : NULL);
    }
    closedir(folder);
    return good;
}

bool folder_remove(const char *path, GError **error)
{
    autofd int parent = -1;
    g_autofree char *folder = g_path_get_dirname(path);
    g_autofree char *name = g_path_get_basename(path);
    parent = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0 && errno == ENOENT)
        return true;
    if (parent < 0)
        return qwd_error_errno(error, errno, "Cannot open %s", folder);
    if (!remove_entry(parent, name, error)) {
        g_prefix_error(error, "%s: ", path);
        return false;
    }
    return true;
}

static int compare_texts(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char **folder_files(const char *folder, const char *suffix)
{
    GPtrArray *paths = g_ptr_array_new();
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        if (g_str_has_suffix(name, suffix) && *name != '.')
            g_ptr_array_add(paths, g_build_filename(folder, name, NULL));
    }
    g_ptr_array_sort(paths, compare_texts);
    g_ptr_array_add(paths, NULL);
    return (char **)g_ptr_array_free(paths, FALSE);
}

char **files_beside(const char *path, const char *suffix)
{
    g_autofree char *parent = g_path_get_dirname(path);
    g_autofree char *folder = g_build_filename(parent, "config.d", NULL);
    return folder_files(folder, suffix);
}
