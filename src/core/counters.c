/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/counters.h"

#include <errno.h>
#include <stdio.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"

#define FILE_MAX_BYTES 16384

static char *path_of(const Settings *settings, const char *suffix)
{
    g_autofree char *name = g_strconcat(".qemu-web-desktop.counters", suffix, NULL);
    return g_build_filename(settings->dir_snapshots, name, NULL);
}

static int lock(const Settings *settings, GError **error)
{
    if (g_mkdir_with_parents(settings->dir_snapshots, 0711) < 0) {
        qwd_error_errno(error, errno, "Cannot make the folder %s", settings->dir_snapshots);
        return -1;
    }
    g_autofree char *path = path_of(settings, ".lock");
    return file_lock(path, error);
}

/* Under the lock. One broken file is kept, for whoever wants to know; the next one takes its place. */
static json_t *read_or_begin(const Settings *settings)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = path_of(settings, "");
    json_t *counters = json_object_read(path, FILE_MAX_BYTES, &error);
    if (counters)
        return counters;
    g_autofree char *aside = path_of(settings, ".broken");
    if (!g_error_matches(error, QWD_ERROR, QWD_ERROR_NOT_FOUND))
        rename(path, aside);
    return json_object();
}

bool counters_add(const Settings *settings, const Count *counts, size_t length, GError **error)
{
    autofd int held = lock(settings, error);
    if (held < 0)
        return false;
    g_autofree char *path = path_of(settings, "");
    g_autoptr(JsonValue) counters = read_or_begin(settings);
    for (size_t i = 0; i < length; i++) {
        gint64 value = json_get_integer(counters, counts[i].name, 0) + counts[i].by;
        json_object_set_new(counters, counts[i].name, json_integer(value));
    }
    return json_object_write(path, counters, FILE_WRITE_FAST, error);
}

json_t *counters_read(const Settings *settings)
{
    g_autofree char *path = path_of(settings, "");
    json_t *counters = json_object_read(path, FILE_MAX_BYTES, NULL);
    return counters ? counters : json_object();
}
