/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Files and folders: bounded reads, atomic writes, locks, and removal that
 * never follows a symbolic link. Paths are borrowed, results are owned by the caller. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/* Opens a regular file, and waits for nobody who might write into a pipe in its place. -1 on error (QWD_ERROR_NOT_FOUND
 * when there is none). */
int file_open_to_read(const char *path, GError **error);

/* The whole of a regular file of at most max_bytes, NUL added behind it. NULL on error
 * (QWD_ERROR_NOT_FOUND when there is none). *length may be NULL. */
char *file_read(const char *path, size_t max_bytes, size_t *length, GError **error);

/* The same for a text that somebody keeps: an absent file is "", one with NUL bytes is QWD_ERROR_CONFIG. */
char *file_read_text(const char *path, size_t max_bytes, GError **error);

/* The last max_bytes of a regular file, or all of a shorter one; otherwise as file_read. */
char *file_read_end(const char *path, size_t max_bytes, GError **error);

typedef enum {
    FILE_WRITE_FAST = 0,    /* atomic for readers; may be lost when the power goes */
    FILE_WRITE_DURABLE = 1, /* fsynced before it takes its name */
} FileDurability;

/* Replaces `path` in one step: readers see the old content or the new. */
bool file_write_atomic(const char *path, const char *data, size_t length, mode_t mode, FileDurability durability,
                       GError **error);

/* The same for a file that somebody keeps: durable; an existing file keeps its owner and mode, `mode` is that of a new
 * one; a symbolic link stays one. */
bool file_replace(const char *path, const char *data, size_t length, mode_t mode, GError **error);

/* Adds `text` at the end of `path` in one write, making the file (mode) when absent. Never waits for somebody to read
 * from it. On a full disk a part may have been written. */
bool file_append(const char *path, const char *text, mode_t mode, GError **error);

/* Waits for the exclusive flock(2) on `path` (made when absent, 0600). The lock is held by the
 * returned descriptor and ends with it. -1 on error. Holders must be quick: there is no deadline. */
int file_lock(const char *path, GError **error);

/* The same without waiting: -1 with QWD_ERROR_CONFLICT when somebody else holds it. */
int file_try_lock(const char *path, GError **error);

/* Makes `path` (and parents) a folder of mode 0700 that belongs to us; refuses one that exists
 * with another owner or is open to others. */
bool folder_make_private(const char *path, GError **error);

/* Whether nothing has this name: false also when nobody can tell, so that who must not pass does not. */
bool file_is_absent(const char *path);

/* What a file takes on its disk; 0 when it cannot be told. */
gint64 file_bytes_on_disk(const char *path);

/* Removes a folder with all it holds; an absent one is fine. What cannot be removed stays alone: the error names one.
 * Symbolic links are removed, not followed. */
bool folder_remove(const char *path, GError **error);

/* Paths of the files in a folder whose names end in `suffix`, without hidden ones, sorted; empty when there is no such
 * folder. Free with g_strfreev. */
char **folder_files(const char *folder, const char *suffix);

/* Paths of the files in folder config.d beside `path` whose names end in `suffix`, sorted; empty when
 * there is no such folder. Free with g_strfreev. */
char **files_beside(const char *path, const char *suffix);
