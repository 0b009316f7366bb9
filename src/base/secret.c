/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

static int open_private(const char *path, GError **error)
{
    struct stat st;
    autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) < 0) {
        qwd_error_fail(error, QWD_ERROR_CONFIG, "Cannot open %s: %s", path, g_strerror(errno));
        return -1;
    }
    if (!S_ISREG(st.st_mode)) {
        qwd_error_fail(error, QWD_ERROR_CONFIG, "%s is not a regular file.", path);
        return -1;
    }
    if (st.st_mode & S_IRWXO) {
        qwd_error_fail(error, QWD_ERROR_CONFIG, "Every account can open %s. Take that right away: chmod o= %s", path,
                       path);
        return -1;
    }
    return fd_steal(&fd);
}

static ssize_t read_some(int fd, char *buffer, size_t size)
{
    ssize_t n;
    size_t length = 0;
    while (length < size && (n = read(fd, buffer + length, size - length)) != 0) {
        if (n < 0 && errno != EINTR)
            return -1;
        length += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)length;
}

/* Cuts the text at the end of its first line; false when it is no secret. */
static bool cut_line(char *text, size_t length)
{
    char *end = memchr(text, '\n', length);
    size_t line = end ? (size_t)(end - text) : length;
    if (line > 0 && text[line - 1] == '\r')
        line--;
    text[line] = '\0';
    return line > 0 && line <= SECRET_MAX_BYTES && strlen(text) == line;
}

Secret *secret_read_file(const char *path, GError **error)
{
    char buffer[SECRET_MAX_BYTES + 3]; /* with CR LF and a NUL */
    autofd int fd = open_private(path, error);
    if (fd < 0)
        return NULL;
    Secret *secret = NULL;
    ssize_t length = read_some(fd, buffer, sizeof buffer - 1);
    if (length >= 0 && cut_line(buffer, (size_t)length))
        secret = g_strdup(buffer);
    else
        qwd_error_fail(error, QWD_ERROR_CONFIG, "%s must hold one line of at most %d bytes.", path, SECRET_MAX_BYTES);
    explicit_bzero(buffer, sizeof buffer);
    return secret;
}

void secret_free(Secret *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    g_free(secret);
}
