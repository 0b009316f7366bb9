/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Keeps QEMU, which a guest may have taken over, out of everything but its own session: the command line of qwd-confine
 * (helpers/confine.c), which starts it. */
#include <string.h>

#include "core/folder.h"
#include "session/supervisor.h"
#include "vm/image.h"
#include "vm/qemu.h"

static void add(GPtrArray *argv, const char *option, const char *path)
{
    g_ptr_array_add(argv, g_strdup_printf("--%s=%s", option, path));
}

static void add_unless_empty(GPtrArray *argv, const char *option, const char *path)
{
    if (path && *path)
        add(argv, option, path);
}

/* --- what is closed --- */

/* QEMU needs what is there. */
static bool is_of_system(const char *path)
{
    static const char *const folders[] = {"/usr", "/lib", "/lib64", "/dev", "/sys", "/etc"};
    bool is = g_str_equal(path, "/");
    for (size_t i = 0; !is && i < G_N_ELEMENTS(folders); i++) {
        size_t length = strlen(folders[i]);
        is = strncmp(path, folders[i], length) == 0 && (path[length] == '/' || !path[length]);
    }
    return is;
}

/* Folders that are for some users only; those of dir_mounts are for everybody. */
static void add_folders_of_others(GPtrArray *argv, const Settings *settings)
{
    g_auto(GStrv) paths = folders_of_table(settings);
    add_unless_empty(argv, "closed", settings->dir_users);
    for (char **path = paths; *path; path++) {
        if (!is_of_system(*path))
            add_unless_empty(argv, "closed", *path);
    }
}

/* What the service keeps, the secrets of its settings, and what the kernel tells of other processes. */
static void add_closed(GPtrArray *argv, const Settings *settings)
{
    const char *const paths[] = {settings->dir_service,
                                 settings->dir_machines,
                                 settings->dir_snapshots,
                                 settings->dir_cfg,
                                 settings->dir_cache,
                                 settings->dir_logs,
                                 settings->dir_login,
                                 settings->file_log,
                                 settings->file_machines,
                                 settings->file_groups,
                                 settings->file_scripts,
                                 settings->file_folders,
                                 settings->metrics_token_file,
                                 settings->ldap_bind_password_file,
                                 settings->email_password_file,
                                 QWD_SYSCONFDIR,
                                 "/proc"};
    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++)
        add_unless_empty(argv, "closed", paths[i]);
    add_folders_of_others(argv, settings);
}

/* --- what is the session's --- */

static void add_image(GPtrArray *argv, const Supervisor *supervisor)
{
    bool is_written = supervisor->session->plan->use_master;
    for (char **file = supervisor->image.files; file && *file; file++)
        add(argv, is_written ? "writable" : "readable", *file);
}

/* They are open in QEMU under these numbers. */
static void add_folders(GPtrArray *argv, const Supervisor *supervisor)
{
    bool any_writable = false;
    for (guint i = 0; i < supervisor->folder_fds->len; i++) {
        const HostFolder *folder = supervisor->session->folders->pdata[i];
        g_autofree char *path = g_strdup_printf("/proc/self/fd/%u", QEMU_FD_FOLDERS + i);
        add(argv, folder->writable ? "writable" : "readable", path);
        any_writable |= folder->writable;
    }
    if (any_writable)
        g_ptr_array_add(argv, g_strdup("--owners"));
}

/* A file that the administrator's options name, and what that refers to. */
static void add_named(GPtrArray *argv, const char *path)
{
    if (!g_file_test(path, G_FILE_TEST_IS_REGULAR))
        return;
    add(argv, "writable", path);
    g_autoptr(GPtrArray) references = image_references(path);
    for (guint i = 0; i < references->len; i++)
        add(argv, "readable", references->pdata[i]);
}

static void add_options(GPtrArray *argv, const char *const *words)
{
    for (; words && *words; words++) {
        g_auto(GStrv) parts = g_strsplit_set(*words, ",=:\"", -1);
        for (char **part = parts; *part; part++)
            if (**part == '/')
                add_named(argv, *part);
    }
}

static void add_own(GPtrArray *argv, const Supervisor *supervisor)
{
    add(argv, "sockets", supervisor->run_folder);
    add_unless_empty(argv, "writable", supervisor->disk_path);
    add_unless_empty(argv, "writable", supervisor->firmware_vars);
    add_unless_empty(argv, "readable", supervisor->cdrom_path);
    add_unless_empty(argv, "readable", supervisor->seed_path);
    add_image(argv, supervisor);
    add_folders(argv, supervisor);
}

char **supervisor_confine(const Supervisor *supervisor, const QemuSpec *spec, char **qemu_argv)
{
    GPtrArray *argv = g_ptr_array_new();
    if (supervisor->settings->qemu_confine) {
        g_ptr_array_add(argv, g_build_filename(supervisor->settings->dir_lib, "qwd-confine", NULL));
        add_closed(argv, supervisor->settings);
        add_own(argv, supervisor);
        add_options(argv, spec->extra);
        add_options(argv, spec->more_options);
        if ((spec->extra && *spec->extra) || (spec->more_options && *spec->more_options))
            g_ptr_array_add(argv, g_strdup("--network"));
        g_ptr_array_add(argv, g_strdup("--"));
    }
    for (; *qemu_argv; qemu_argv++)
        g_ptr_array_add(argv, g_strdup(*qemu_argv));
    g_ptr_array_add(argv, NULL);
    return (char **)g_ptr_array_free(argv, FALSE);
}
