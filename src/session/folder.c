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
#include "base/measure.h"
#include "base/text.h"
#include "base/units.h"
#include "session/supervisor.h"

#define MIB (1024 * 1024)
#define MEASURE_MAX_ENTRIES 500000
#define MEASURE_DEADLINE_MS 5000

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

/* --- how much there is in a user's own --- */

static void set_personal_writable(SessionRecord *session, const void *data)
{
    for (guint i = 0; i < session->folders->len; i++) {
        HostFolder *folder = session->folders->pdata[i];
        if (folder->is_personal)
            folder->writable = *(const bool *)data;
    }
}

/* Nobody is kept from what they have because it is too much, nor because it takes too long to count. */
static bool check_quota(Supervisor *supervisor, int fd, GError **error)
{
    gint64 quota_mib = supervisor->settings->dir_users_quota;
    MeasureLimits limits = {
        .max_bytes = G_MAXINT64, .max_entries = MEASURE_MAX_ENTRIES, .deadline_ms = MEASURE_DEADLINE_MS};
    gint64 used_mib = quota_mib ? folder_measure(fd, &limits, NULL) / MIB : 0;
    bool writable = !quota_mib || used_mib <= quota_mib;
    if (!writable) {
        g_autofree char *used = units_format_size(used_mib), *quota = units_format_size(quota_mib);
        supervisor->folder_note =
            g_strdup_printf(N_("Your personal folder takes %s, and may take %s: in this session it "
                               "can only be read. Ask the administrator "
                               "to remove what you no longer need from it, or for more room."),
                            used, quota);
    }
    return supervisor_change(supervisor, set_personal_writable, &writable, error);
}

static int open_folder(Supervisor *supervisor, const HostFolder *folder, GError **error)
{
    if (!folder->is_personal)
        return open_without_links(folder->path, error);
    autofd int fd = open_personal(folder->path, error);
    return fd >= 0 && check_quota(supervisor, fd, error) ? fd_steal(&fd) : -1;
}

bool host_folders_open(Supervisor *supervisor, GError **error)
{
    supervisor->folder_fds = g_array_new(FALSE, FALSE, sizeof(int));
    for (guint i = 0; i < MIN(supervisor->session->folders->len, FOLDERS_MAX); i++) {
        const HostFolder *folder = supervisor->session->folders->pdata[i];
        g_autofree char *name = g_strdup(folder->name);
        int fd = open_folder(supervisor, folder, error); /* after which the record is another one */
        if (fd < 0) {
            g_prefix_error(error, N_("The folder \"%s\" cannot be given to the machine. "), name);
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
