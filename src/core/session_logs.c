/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/session_logs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/token.h"
#include "core/session.h"
#include "core/store.h"

#define COPY_MAX_BYTES (1 << 30)

static char *kept_folder(const Settings *settings, const char *id)
{
    return g_build_filename(settings->dir_logs, id, NULL);
}

char *session_logs_folder(const Settings *settings, const char *id)
{
    char *running = store_folder(settings, id);
    if (g_file_test(running, G_FILE_TEST_IS_DIR))
        return running;
    g_free(running);
    return kept_folder(settings, id);
}

/* --- keeping --- */

/* Both folders may be on different file systems. */
static bool move_file(const char *from, const char *to, GError **error)
{
    if (rename(from, to) == 0)
        return true;
    if (errno != EXDEV)
        return qwd_error_errno(error, errno, "Cannot move %s", from);
    size_t length;
    g_autofree char *text = file_read(from, COPY_MAX_BYTES, &length, error);
    return text && file_write_atomic(to, text, length, 0600, FILE_WRITE_FAST, error);
}

static bool is_worth_keeping(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
}

/* The folder is made for the first file that is worth it. */
static bool keep_file(const char *from_folder, const char *to_folder, const char *name, GError **error)
{
    g_autofree char *from = g_build_filename(from_folder, name, NULL);
    g_autofree char *to = g_build_filename(to_folder, name, NULL);
    return !is_worth_keeping(from) || (folder_make_private(to_folder, error) && move_file(from, to, error));
}

bool session_logs_keep(const Settings *settings, const char *id, GError **error)
{
    static const char *const names[] = {SESSION_LOG_SUPERVISOR, SESSION_LOG_QEMU, SESSION_LOG_QEMU ".1",
                                        SESSION_LOG_SERIAL, SESSION_LOG_SERIAL ".1"};
    if (settings->session_log_keep == 0)
        return true;
    if (g_mkdir_with_parents(settings->dir_logs, 0700) < 0)
        return qwd_error_errno(error, errno, "Cannot make the folder %s", settings->dir_logs);
    g_autofree char *from = store_folder(settings, id);
    g_autofree char *to = kept_folder(settings, id);
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (!keep_file(from, to, names[i], error))
            return false;
    }
    return true;
}

/* --- sweeping --- */

typedef struct {
    char *path;
    gint64 kept_at, bytes;
} Kept;

static void kept_free(void *data)
{
    Kept *kept = data;
    g_free(kept->path);
    g_free(kept);
}

static gint64 bytes_in(const char *folder)
{
    gint64 bytes = 0;
    struct stat st;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        bytes += lstat(path, &st) == 0 ? st.st_size : 0;
    }
    return bytes;
}

static int compare_newest_first(gconstpointer a, gconstpointer b)
{
    const Kept *first = *(Kept *const *)a, *second = *(Kept *const *)b;
    if (first->kept_at != second->kept_at)
        return first->kept_at < second->kept_at ? 1 : -1;
    return strcmp(first->path, second->path);
}

static GPtrArray *list_kept(const Settings *settings)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(kept_free);
    g_autoptr(GDir) dir = g_dir_open(settings->dir_logs, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *path = kept_folder(settings, name);
        struct stat st;
        if (!token_is_well_formed(name) || lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
            continue;
        Kept *kept = g_new(Kept, 1);
        *kept = (Kept){.kept_at = st.st_mtime, .bytes = bytes_in(path), .path = g_strdup(path)};
        g_ptr_array_add(list, kept);
    }
    g_ptr_array_sort(list, compare_newest_first);
    return list;
}

int session_logs_sweep(const Settings *settings)
{
    gint64 bytes = 0, oldest = session_now() - settings->session_log_keep;
    int count = 0;
    g_autoptr(GPtrArray) list = list_kept(settings);
    for (guint i = 0; i < list->len; i++) {
        const Kept *kept = list->pdata[i];
        bytes += kept->bytes;
        if (kept->kept_at <= oldest || bytes > settings->session_log_room * 1048576)
            count += folder_remove(kept->path, NULL);
    }
    return count;
}
