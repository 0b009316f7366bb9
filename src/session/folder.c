/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Folders of this server for a session's machine. Each is opened here once, where no symbolic link on the way to it is
 * followed, and QEMU gets the open folder: whoever exchanges something on the way later changes nothing. Inside, QEMU
 * follows no link either (hw/9pfs, O_NOFOLLOW); links lead the guest to its own files. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "session/supervisor.h"

static int open_without_links(const char *path, GError **error)
{
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
    if (fd < 0 && errno == ELOOP)
        qwd_error_fail(error, QWD_ERROR_CONFIG, "Its path %s has a symbolic link. Write the path behind it.", path);
    else if (fd < 0)
        qwd_error_errno(error, errno, "Cannot open %s", path);
    return fd;
}

/* A user's own: made at its first use, ours alone, below a folder that is ours alone. */
static int open_personal(const char *path, GError **error)
{
    struct stat st;
    g_autofree char *parent = g_path_get_dirname(path), *name = g_path_get_basename(path);
    if (!folder_make_private(parent, error))
        return -1;
    autofd int parent_fd = open_without_links(parent, error);
    if (parent_fd < 0)
        return -1;
    if (mkdirat(parent_fd, name, 0700) < 0 && errno != EEXIST) {
        qwd_error_errno(error, errno, "Cannot make %s", path);
        return -1;
    }
    autofd int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        qwd_error_errno(error, errno, "Cannot open %s", path);
        return -1;
    }
    if (st.st_uid == geteuid() && (st.st_mode & 077) == 0)
        return fd_steal(&fd);
    qwd_error_fail(error, QWD_ERROR_CONFIG, "%s must belong to the service account alone (mode 0700).", path);
    return -1;
}

bool host_folders_open(Supervisor *supervisor, GError **error)
{
    const GPtrArray *folders = supervisor->session->folders;
    supervisor->folder_fds = g_array_new(FALSE, FALSE, sizeof(int));
    for (guint i = 0; i < MIN(folders->len, FOLDERS_MAX); i++) {
        const HostFolder *folder = folders->pdata[i];
        int fd = folder->is_personal ? open_personal(folder->path, error) : open_without_links(folder->path, error);
        if (fd < 0) {
            g_prefix_error(error, N_("The folder \"%s\" cannot be given to the machine. "), folder->name);
            return false;
        }
        g_array_append_val(supervisor->folder_fds, fd);
    }
    return true;
}

void host_folders_close(Supervisor *supervisor)
{
    for (guint i = 0; supervisor->folder_fds && i < supervisor->folder_fds->len; i++)
        close(g_array_index(supervisor->folder_fds, int, i));
    g_clear_pointer(&supervisor->folder_fds, g_array_unref);
}
