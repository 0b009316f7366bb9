/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/bounded_log.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"

#define CHUNK_BYTES 65536          /* what a pipe holds */
#define REST_MS 20                 /* between two chunks: at most 3.2 MB/s */
#define CATCH_UP_MAX_BYTES 1048576 /* somebody may go on writing */
#define READ_MAX_BYTES (1 << 30)   /* limits are smaller */

struct BoundedLog {
    char *path, *older_path;
    int pipe, file;
    gint64 half_bytes, bytes; /* of the limit; in the file */
    guint source;             /* waits for the pipe, or rests */
};

static char *older_path(const char *path)
{
    return g_strconcat(path, ".1", NULL);
}

/* --- the file --- */

static bool begin_file(BoundedLog *log, GError **error)
{
    fd_close_pointed(&log->file);
    if (rename(log->path, log->older_path) < 0 && errno != ENOENT)
        return qwd_error_errno(error, errno, "Cannot rename %s", log->path);
    log->bytes = 0;
    log->file = open(log->path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    return log->file >= 0 || qwd_error_errno(error, errno, "Cannot open %s", log->path);
}

/* What cannot be written, as on a full disk, is lost: the program must not wait for that. */
static void put(BoundedLog *log, const char *data, gint64 length)
{
    while (length > 0) {
        if ((log->file < 0 || log->bytes >= log->half_bytes) && !begin_file(log, NULL))
            return;
        ssize_t written = write(log->file, data, (size_t)MIN(length, log->half_bytes - log->bytes));
        if (written < 0)
            return;
        log->bytes += written;
        data += written;
        length -= written;
    }
}

/* --- the pipe --- */

/* Returns as read(2). */
static ssize_t take_chunk(BoundedLog *log)
{
    char chunk[CHUNK_BYTES];
    ssize_t length;
    do {
        length = read(log->pipe, chunk, sizeof chunk);
    } while (length < 0 && errno == EINTR);
    put(log, chunk, length);
    return length;
}

static void wait_for_more(BoundedLog *log);

static gboolean on_rested(gpointer data)
{
    wait_for_more(data);
    return G_SOURCE_REMOVE;
}

static gboolean on_readable(int fd, GIOCondition condition, gpointer data)
{
    (void)fd;
    (void)condition;
    BoundedLog *log = data;
    ssize_t length = take_chunk(log);
    log->source = length == 0 ? 0 : g_timeout_add(REST_MS, on_rested, log); /* 0: the program has ended */
    return G_SOURCE_REMOVE;
}

static void wait_for_more(BoundedLog *log)
{
    log->source = g_unix_fd_add(log->pipe, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, log);
}

BoundedLog *bounded_log_open(const char *path, gint64 max_bytes, int *writer, GError **error)
{
    int ends[2];
    BoundedLog *log = g_new0(BoundedLog, 1);
    *log = (BoundedLog){.path = g_strdup(path),
                        .older_path = older_path(path),
                        .pipe = -1,
                        .file = -1,
                        .half_bytes = MAX(max_bytes / 2, 1)};
    if (!begin_file(log, error) || !g_unix_open_pipe(ends, FD_CLOEXEC, error)) {
        bounded_log_close(log);
        return NULL;
    }
    log->pipe = ends[0];
    *writer = ends[1];
    fd_set_nonblocking(log->pipe, NULL);
    wait_for_more(log);
    return log;
}

void bounded_log_catch_up(BoundedLog *log)
{
    ssize_t length;
    for (ssize_t all = 0; all < CATCH_UP_MAX_BYTES && (length = take_chunk(log)) > 0;)
        all += length;
}

void bounded_log_close(BoundedLog *log)
{
    if (!log)
        return;
    if (log->pipe >= 0)
        bounded_log_catch_up(log);
    if (log->source)
        g_source_remove(log->source);
    fd_close_pointed(&log->pipe);
    fd_close_pointed(&log->file);
    g_free(log->path);
    g_free(log->older_path);
    g_free(log);
}

char *bounded_log_read(const char *path, size_t *length)
{
    g_autofree char *older = older_path(path);
    const char *const parts[] = {older, path};
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
        size_t part_length;
        g_autofree char *part = file_read(parts[i], READ_MAX_BYTES, &part_length, NULL);
        if (part)
            g_string_append_len(text, part, (gssize)part_length);
    }
    *length = text->len;
    return g_string_free(text, FALSE);
}
