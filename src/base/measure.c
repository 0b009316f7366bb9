/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/measure.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

#define DEPTH_MAX 100 /* each level holds a descriptor */

typedef struct {
    const MeasureLimits *limits;
    gint64 end_us;
    dev_t disk;
    gint64 bytes;
    guint entries;
    int depth;
    bool is_whole;
} Walk;

static bool goes_on(Walk *walk)
{
    walk->is_whole = walk->is_whole && walk->bytes <= walk->limits->max_bytes &&
                     walk->entries < walk->limits->max_entries && g_get_monotonic_time() < walk->end_us;
    return walk->is_whole;
}

static void measure(Walk *walk, int fd);

static void measure_inside(Walk *walk, int folder_fd, const char *name)
{
    autofd int fd = openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return; /* gone meanwhile, or closed to us: not ours to count */
    walk->depth++;
    if (walk->depth <= DEPTH_MAX)
        measure(walk, fd);
    else
        walk->is_whole = false;
    walk->depth--;
}

static void measure_entry(Walk *walk, int folder_fd, const char *name)
{
    struct stat st;
    if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != walk->disk)
        return;
    walk->entries++;
    walk->bytes += (gint64)st.st_blocks * 512;
    if (S_ISDIR(st.st_mode) && goes_on(walk))
        measure_inside(walk, folder_fd, name);
}

static void measure(Walk *walk, int fd)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* a place in the list of its own */
    DIR *folder = copy < 0 ? NULL : fdopendir(copy);
    if (!folder)
        fd_close_pointed(&copy);
    for (struct dirent *entry; folder && goes_on(walk) && (entry = readdir(folder));) {
        if (!g_str_equal(entry->d_name, ".") && !g_str_equal(entry->d_name, ".."))
            measure_entry(walk, fd, entry->d_name);
    }
    if (folder)
        closedir(folder);
}

gint64 folder_measure(int fd, const MeasureLimits *limits, bool *is_whole)
{
    struct stat st;
    Walk walk = {.limits = limits,
                 .end_us = g_get_monotonic_time() + (gint64)limits->deadline_ms * 1000,
                 .is_whole = fstat(fd, &st) == 0};
    walk.disk = walk.is_whole ? st.st_dev : 0;
    measure(&walk, fd);
    if (is_whole)
        *is_whole = walk.is_whole;
    return walk.bytes;
}
