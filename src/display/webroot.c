/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "display/webroot.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

/* noVNC has four; a link that leads upwards ends here. */
#define DEPTH_MAX 8

static bool mirror_folder(const char *source, const char *target, int depth, GError **error);

static bool mirror_entry(const char *source, const char *target, int depth, GError **error)
{
    if (g_file_test(source, G_FILE_TEST_IS_DIR))
        return depth == 0 || mirror_folder(source, target, depth - 1, error);
    if (symlink(source, target) < 0)
        return qwd_error_errno(error, errno, "Cannot make the link %s", target);
    return true;
}

static bool add_index(const char *folder, GError **error)
{
    g_autofree char *path = g_build_filename(folder, "index.html", NULL);
    return g_file_test(path, G_FILE_TEST_EXISTS) || file_write_atomic(path, "", 0, 0644, FILE_WRITE_FAST, error);
}

static bool mirror_folder(const char *source, const char *target, int depth, GError **error)
{
    g_autoptr(GDir) folder = g_dir_open(source, 0, error);
    if (!folder)
        return false;
    if (mkdir(target, 0700) < 0)
        return qwd_error_errno(error, errno, "Cannot make the folder %s", target);
    for (const char *name; (name = g_dir_read_name(folder));) {
        g_autofree char *from = g_build_filename(source, name, NULL);
        g_autofree char *to = g_build_filename(target, name, NULL);
        if (!mirror_entry(from, to, depth, error))
            return false;
    }
    return add_index(target, error);
}

bool webroot_make(const char *source, const char *target, GError **error)
{
    return folder_remove(target, error) && mirror_folder(source, target, DEPTH_MAX, error);
}
