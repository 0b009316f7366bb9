/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What QEMU needs from the host to use a GPU: devices of vfio that it can open, and memory that it may lock. */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/text.h"
#include "base/units.h"
#include "vm/gpu.h"

/* Beside its memory a machine has firmware and video memory that are locked too. */
#define MEMORY_BESIDE_MIB 1024
#define MIB (1024 * 1024)

static bool check_device(const char *path, GError **error)
{
    autofd int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0)
        return true;
    return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "%s: %s.", path,
                          errno == EBUSY ? N_("another program has it") : g_strerror(errno));
}

/* An ordinary account may raise the limit in force up to the one that root has set. */
static bool raise_memory_limit(gint64 memory_mib, GError **error)
{
    struct rlimit limit;
    gint64 needed_mib = memory_mib + MEMORY_BESIDE_MIB;
    rlim_t needed = (rlim_t)needed_mib * MIB;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
        return qwd_error_errno(error, errno, "Cannot read the limit of locked memory");
    if (limit.rlim_cur >= needed)
        return true;
    gint64 allowed_mib = (gint64)(limit.rlim_max / MIB);
    limit.rlim_cur = needed;
    limit.rlim_max = MAX(limit.rlim_max, needed);
    if (setrlimit(RLIMIT_MEMLOCK, &limit) == 0)
        return true;
    g_autofree char *wanted = units_format_size(needed_mib), *allowed = units_format_size(allowed_mib);
    return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE,
                          "A machine of this size with a GPU locks %s of memory, and the service may lock %s. Choose "
                          "less memory, or tell the administrator: the limit memlock, in GPU.md.",
                          wanted, allowed);
}

bool gpu_check_devices(const char *root, const char *group, GError **error)
{
    g_autofree char *container = g_strconcat(root, "/dev/vfio/vfio", NULL);
    g_autofree char *device = g_strconcat(root, "/dev/vfio/", group, NULL);
    return check_device(container, error) && check_device(device, error);
}

bool gpu_check_access(const char *root, const char *group, gint64 memory_mib, GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (gpu_check_devices(root, group, &cause))
        return raise_memory_limit(memory_mib, error);
    return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE,
                          "The GPU cannot be used: %s Please tell the administrator: `qwdctl gpu` shows the server's "
                          "GPUs, and GPU.md what they need.",
                          cause->message);
}
