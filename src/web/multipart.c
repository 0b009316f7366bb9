/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "web/multipart.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/process.h"

#define DEADLINE_MS 60000

/* -1 with an error. */
static int entity_open(const char *type, const char *body, size_t length, GError **error)
{
    autofd int fd = memfd_create("form", MFD_CLOEXEC);
    g_autofree char *head = g_strdup_printf("Content-Type: %s\r\n\r\n", type);
    if (fd < 0 || !fd_write_all(fd, head, strlen(head)) || !fd_write_all(fd, body, length) ||
        lseek(fd, 0, SEEK_SET) < 0) {
        qwd_error_errno(error, errno, "Cannot hand on the form");
        return -1;
    }
    return fd_steal(&fd);
}

static bool fail(int exit_code, GError **error)
{
    switch (exit_code) {
    case MULTIPART_FILE:
        return qwd_error_fail(error, QWD_ERROR_MEDIA_TYPE,
                              "The form has a file, and files are not accepted. Send its text in a field.");
    case MULTIPART_TOO_LARGE:
        return qwd_error_fail(error, QWD_ERROR_TOO_LARGE, "The form has more text than is accepted.");
    default:
        return qwd_error_fail(error, QWD_ERROR_USAGE,
                              "The form cannot be read. Send fields of text as multipart/form-data (RFC 7578), or as "
                              "application/x-www-form-urlencoded.");
    }
}

char *multipart_decode(const Settings *settings, const char *type, const char *body, size_t length, GError **error)
{
    g_autofree char *program = g_build_filename(settings->dir_lib, MULTIPART_PROGRAM, NULL);
    autofd int fd = entity_open(type, body, length, error);
    const char *argv[] = {program, NULL}, *environment[] = {"LANG=C.UTF-8", NULL};
    SpawnOptions options = {.argv = argv, .environment = environment, SPAWN_OPTIONS_INIT, .die_with_parent = true};
    options.stdin_fd = fd;
    g_auto(ProcessResult) result = {0};
    if (fd < 0 || !process_run_options(options, DEADLINE_MS, &result, error))
        return NULL;
    if (result.exit_code == MULTIPART_GOOD)
        return g_steal_pointer(&result.output);
    fail(result.exit_code, error);
    return NULL;
}
