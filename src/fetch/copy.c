/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "fetch/copy.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

#define BLOCK_BYTES (16 * 1024 * 1024)

static ssize_t copy_by_hand(int from, int to, off_t at)
{
    g_autofree char *block = g_malloc(BLOCK_BYTES);
    ssize_t n = pread(from, block, BLOCK_BYTES, at);
    for (ssize_t written = 0; n > 0 && written < n;) {
        ssize_t more = pwrite(to, block + written, (size_t)(n - written), at + written);
        if (more < 0 && errno != EINTR)
            return -1;
        written += MAX(more, 0);
    }
    return n;
}

/* Within the kernel where it can do that between these two files; it copies holes as zeros. */
static ssize_t copy_block(int from, int to, off_t at, bool *by_hand)
{
    off_t in = at, out = at;
    ssize_t n = *by_hand ? -1 : copy_file_range(from, &in, to, &out, BLOCK_BYTES, 0);
    if (n > 0)
        return n;
    *by_hand = true;
    return copy_by_hand(from, to, at);
}

/* Where the next data begin: what lies before is a hole, and stays one. */
static off_t next_data(int from, off_t at, off_t total)
{
    off_t data = lseek(from, at, SEEK_DATA);
    if (data >= 0)
        return data;
    return errno == ENXIO ? total : at;
}

bool copy_file(int from, int to, CopyProgress progress, void *data, GError **error)
{
    struct stat st;
    if (fstat(from, &st) < 0 || !S_ISREG(st.st_mode))
        return qwd_error_fail(error, QWD_ERROR_USAGE, "What is to be copied is not a regular file.");
    if (ioctl(to, FICLONE, from) == 0)
        return true;
    bool by_hand = false;
    for (off_t at = next_data(from, 0, st.st_size); at < st.st_size; at = next_data(from, at, st.st_size)) {
        ssize_t n = copy_block(from, to, at, &by_hand);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return qwd_error_errno(error, errno, "Cannot copy");
        if (n == 0)
            return qwd_error_fail(error, QWD_ERROR_CONFLICT, "The file became shorter while it was copied.");
        at += n;
        if (progress)
            progress(at, st.st_size, data);
    }
    return ftruncate(to, st.st_size) == 0 || qwd_error_errno(error, errno, "Cannot copy");
}
