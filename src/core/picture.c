/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/picture.h"

#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/event.h"
#include "base/file.h"
#include "base/wait.h"
#include "core/store.h"

static const char signature[] = "\x89PNG\r\n\x1a\n";

bool picture_is_png(const char *data, size_t length)
{
    return length > sizeof signature && memcmp(data, signature, sizeof signature - 1) == 0;
}

static char *path_of(const Settings *settings, const char *id, const char *name)
{
    g_autofree char *folder = store_run_folder(settings, id);
    return g_build_filename(folder, name, NULL);
}

/* In seconds, -1 when there is no such file. */
static gint64 age_of(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 ? MAX(g_get_real_time() / G_USEC_PER_SEC - st.st_mtime, 0) : -1;
}

char *picture_load(const Settings *settings, const char *id, size_t *length, gint64 *age_s, GError **error)
{
    g_autofree char *path = path_of(settings, id, PICTURE_FILE);
    g_autofree char *data = file_read(path, PICTURE_MAX_BYTES, length, NULL);
    if (data && picture_is_png(data, *length)) {
        *age_s = age_of(path);
        return g_steal_pointer(&data);
    }
    qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "There is no picture of its screen at the moment.");
    return NULL;
}

static void look(G_GNUC_UNUSED void *path)
{
}

static bool is_answered(void *path)
{
    return !g_file_test(path, G_FILE_TEST_EXISTS);
}

void picture_ask(const Settings *settings, const char *id, int patience_ms)
{
    g_autofree char *folder = store_run_folder(settings, id);
    g_autofree char *wanted = g_build_filename(folder, PICTURE_WANTED, NULL);
    gint64 asked_s = age_of(wanted);
    guint watch = patience_ms > 0 && asked_s <= 1 ? watch_folder(folder, look, NULL, NULL) : 0;
    bool is_asked = asked_s >= 0 || file_write_atomic(wanted, "", 0, 0600, FILE_WRITE_FAST, NULL);
    if (watch && is_asked)
        wait_until(is_answered, wanted, patience_ms, NULL);
    if (watch)
        g_source_remove(watch);
}
