/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Folders of a test's own, and settings whose places are all in one. */
#pragma once

#include <stdarg.h>
#include <sys/stat.h>

#include "base/file.h"
#include "core/settings.h"

/* `g_autoptr(TempFolder) folder = temp_folder();` is removed with all it holds. */
typedef char TempFolder;

static inline TempFolder *temp_folder(void)
{
    char *path = g_dir_make_tmp("qwd-unit-XXXXXX", NULL);
    g_assert_nonnull(path);
    return path;
}

static inline void temp_folder_remove(TempFolder *path)
{
    folder_remove(path, NULL);
    g_free(path);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TempFolder, temp_folder_remove)

/* Writes a file and returns its path (g_free). */
static inline char *temp_file(const char *folder, const char *name, const char *text)
{
    char *path = g_build_filename(folder, name, NULL);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    return path;
}

static inline char *temp_script(const char *folder, const char *name, const char *text)
{
    char *path = temp_file(folder, name, text);
    g_assert_cmpint(chmod(path, 0755), ==, 0);
    return path;
}

/* Settings with everything below `folder`, and these overrides ("key=value", up to a NULL). */
static inline Settings *temp_settings(const char *folder, ...) G_GNUC_NULL_TERMINATED;
static inline Settings *temp_settings(const char *folder, ...)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_autofree char *service = g_strdup_printf("dir_service=%s", folder);
    g_autofree char *cfg = g_strdup_printf("dir_cfg=%s/run", folder);
    g_autofree char *machines = g_strdup_printf("file_machines=%s/machines.conf", folder);
    g_autofree char *log = g_strdup_printf("file_log=%s/log", folder);
    g_strv_builder_add_many(builder, service, cfg, machines, log, NULL);
    va_list more;
    va_start(more, folder);
    for (const char *override; (override = va_arg(more, const char *));)
        g_strv_builder_add(builder, override);
    va_end(more);
    g_auto(GStrv) overrides = g_strv_builder_end(builder);
    Settings *settings = settings_load("/nonexistent/qwd.conf", false, (const char *const *)overrides, &error);
    g_assert_no_error(error);
    return settings;
}

/* An error of this kind whose message has this text; clears it. */
#define assert_error(error, kind, text)                                                                                \
    do {                                                                                                               \
        g_assert_error(error, QWD_ERROR, kind);                                                                        \
        if (!strstr((error)->message, text))                                                                           \
            g_error("%s:%d: \"%s\" does not say \"%s\"", __FILE__, __LINE__, (error)->message, text);                  \
        g_clear_error(&(error));                                                                                       \
    } while (0)
