/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/customize.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "vm/image.h"

#define PROGRAM "virt-customize"

/* --- the program --- */

static char **environment_of(const CustomizeJob *job, const char *scratch)
{
    const struct {
        const char *name, *value;
    } values[] = {
        {"LC_ALL", "C"},
        {"HOME", scratch},
        {"TMPDIR", scratch},
        {"XDG_RUNTIME_DIR", job->run_folder},
        {"LIBGUESTFS_BACKEND", "direct"}, /* not through libvirt */
        {"LIBGUESTFS_CACHEDIR", job->cache_folder},
    };
    char **environment = g_environ_unsetenv(g_get_environ(), "LIBGUESTFS_BACKEND_SETTINGS");
    for (size_t i = 0; i < G_N_ELEMENTS(values); i++)
        environment = g_environ_setenv(environment, values[i].name, values[i].value, TRUE);
    if (job->emulate)
        environment = g_environ_setenv(environment, "LIBGUESTFS_BACKEND_SETTINGS", "force_tcg", TRUE);
    return environment;
}

/* Advice on reporting bugs stands behind the error. */
static char *words_of(const char *errors)
{
    static const char mark[] = PROGRAM ": error: ";
    const char *found = g_strrstr(errors, mark);
    if (!found)
        return text_last_line(errors);
    found += strlen(mark);
    return g_strndup(found, strcspn(found, "\n"));
}

static bool run_program(const CustomizeJob *job, const char *scratch, const char *disk, const char *script,
                        GError **error)
{
    g_auto(GStrv) environment = environment_of(job, scratch);
    const char *argv[] = {PROGRAM, "--quiet",     "--no-network", "--format",          "qcow2", "-a",
                          disk,    "--firstboot", script,         "--selinux-relabel", NULL};
    SpawnOptions options = {.argv = argv, SPAWN_OPTIONS_INIT, .folder = scratch, .die_with_parent = true};
    options.environment = (const char *const *)environment;
    g_auto(ProcessResult) result = {0};
    if (!process_run_options(options, job->deadline_ms, &result, error))
        return false;
    g_autofree char *words = words_of(result.errors);
    return result.exit_code == 0 || qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, PROGRAM " failed: %s",
                                                   *words ? words : N_("it does not say why."));
}

/* --- the disk --- */

/* What is killed half-way may leave half a file system: the disk itself gets only what is whole. */
static bool change_by_overlay(const CustomizeJob *job, const char *scratch, GError **error)
{
    g_autofree char *overlay = g_build_filename(scratch, "disk.qcow2", NULL);
    g_autofree char *script = g_build_filename(scratch, "boot-script", NULL);
    return file_write_atomic(script, job->script, strlen(job->script), 0700, FILE_WRITE_FAST, error) &&
           image_create_overlay(job->disk, "qcow2", overlay, error) &&
           run_program(job, scratch, overlay, script, error) && image_commit(overlay, error);
}

static bool check_program(GError **error)
{
    g_autofree char *path = g_find_program_in_path(PROGRAM);
    return path || qwd_error_fail(error, QWD_ERROR_UNAVAILABLE,
                                  PROGRAM " is not installed on this server (Debian's package guestfs-tools).");
}

static bool make_cache(const char *folder, GError **error)
{
    return g_mkdir_with_parents(folder, 0755) == 0 || qwd_error_errno(error, errno, "%s", folder);
}

bool customize_add_script(const CustomizeJob *job, GError **error)
{
    g_autofree char *scratch = g_build_filename(job->folder, "customize", NULL);
    if (!check_program(error) || !make_cache(job->cache_folder, error) || !folder_remove(scratch, error) ||
        !folder_make_private(scratch, error))
        return false;
    bool good = change_by_overlay(job, scratch, error);
    folder_remove(scratch, NULL);
    return good;
}
