/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "app/mail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/process.h"

#define MAIL_DEADLINE_MS 30000

/* Memory that can be read like a file: the message may be longer than a pipe holds. */
static int memory_with(const char *text, GError **error)
{
    autofd int fd = memfd_create("mail", MFD_CLOEXEC);
    ssize_t length = (ssize_t)strlen(text);
    if (fd < 0 || write(fd, text, (size_t)length) != length || lseek(fd, 0, SEEK_SET) < 0) {
        qwd_error_errno(error, errno, "Cannot make a message");
        return -1;
    }
    return fd_steal(&fd);
}

static bool run_mailer(const Settings *settings, int stdin_fd, GError **error)
{
    g_autofree char *program = g_build_filename(settings->dir_lib, "qwd-mail", NULL);
    const char *argv[] = {program, NULL};
    SpawnOptions options = {.argv = argv, SPAWN_OPTIONS_INIT, .die_with_parent = true};
    options.stdin_fd = stdin_fd;
    g_auto(ProcessResult) result = {0};
    if (!process_run_options(options, MAIL_DEADLINE_MS, &result, error))
        return false;
    g_autofree char *last = text_last_line(result.errors);
    return result.exit_code == 0 ||
           qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "The mail could not be sent: %s", last);
}

bool app_mail(const Settings *settings, const char *to, const char *template_name, const json_t *values, GError **error)
{
    g_autoptr(JsonValue) message =
        json_pack("{s:s, s:s, s:O}", "to", to, "template", template_name, "values", (json_t *)values);
    char *text = json_dumps(message, JSON_COMPACT);
    if (!text)
        return qwd_error_fail(error, QWD_ERROR_INTERNAL, "The message is not UTF-8.");
    autofd int fd = memory_with(text, error);
    free(text);
    return fd >= 0 && run_mailer(settings, fd, error);
}
