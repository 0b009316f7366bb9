/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"

#define OUTPUT_FAILED 5 /* exit code: try again later (base/error.c) */

void fd_close_pointed(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

int fd_steal(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

void fd_open_standard(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

/* A reader that has gone wants no more, and needs no message. */
static void check_output(void)
{
    bool failed = ferror(stdout) != 0;
    errno = 0;
    if ((fclose(stdout) == 0 && !failed) || errno == EPIPE)
        return;
    fprintf(stderr, "%s: Cannot write the output%s%s\n", program_invocation_short_name, errno ? ": " : ".",
            errno ? g_strerror(errno) : "");
    _exit(OUTPUT_FAILED);
}

void fd_check_output_at_exit(void)
{
    atexit(check_output);
}

bool fd_write_all(int fd, const void *bytes, size_t length)
{
    for (const char *at = bytes; length > 0;) {
        ssize_t n = write(fd, at, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        at += n;
        length -= (size_t)n;
    }
    return true;
}

static bool unix_address(const char *path, struct sockaddr_un *address, GError **error)
{
    if (strlen(path) > UNIX_PATH_MAX_BYTES)
        return qwd_error_fail(error, QWD_ERROR_CONFIG,
                              "The socket path %s is longer than %d bytes. Choose a shorter dir_cfg.", path,
                              UNIX_PATH_MAX_BYTES);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    strcpy(address->sun_path, path);
    return true;
}

static int unix_socket(GError **error)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        qwd_error_errno(error, errno, "Cannot make a socket");
    return fd;
}

int unix_listen(const char *path, GError **error)
{
    struct sockaddr_un address;
    if (!unix_address(path, &address, error))
        return -1;
    autofd int fd = unix_socket(error);
    if (fd < 0)
        return -1;
    if (fchmod(fd, S_IRUSR | S_IWUSR) < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, 64) < 0) {
        qwd_error_errno(error, errno, "Cannot listen on %s", path);
        return -1;
    }
    return fd_steal(&fd);
}

int unix_connect(const char *path, GError **error)
{
    struct sockaddr_un address;
    if (!unix_address(path, &address, error))
        return -1;
    autofd int fd = unix_socket(error);
    if (fd < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        qwd_error_errno(error, errno, "Cannot connect to %s", path);
        return -1;
    }
    return fd_steal(&fd);
}

bool unix_pair(int *ours, int *theirs, GError **error)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return qwd_error_errno(error, errno, "Cannot make a socket pair");
    *ours = pair[0];
    *theirs = pair[1];
    return true;
}

bool fd_set_nonblocking(int fd, GError **error)
{
    return g_unix_set_fd_nonblocking(fd, TRUE, error);
}
