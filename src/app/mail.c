/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "app/mail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
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

/* A descriptor with the request that qwd-mail reads; -1 on error. */
static int request_for(const MailJob *job, GError **error)
{
    const char *language = job->language && *job->language ? job->language : "en";
    g_autoptr(JsonValue) message = json_pack("{s:s, s:s, s:O, s:s}", "to", job->to, "template", job->template_name,
                                             "values", (json_t *)job->values, "language", language);
    char *text = json_dumps(message, JSON_COMPACT);
    if (!text) {
        qwd_error_fail(error, QWD_ERROR_INTERNAL, "The message is not UTF-8.");
        return -1;
    }
    int fd = memory_with(text, error);
    free(text);
    return fd;
}

bool app_mail(const Settings *settings, const MailJob *job, GError **error)
{
    autofd int fd = request_for(job, error);
    return fd >= 0 && run_mailer(settings, fd, error);
}

/* --- without waiting --- */

typedef struct {
    int words_fd; /* what the mailer says when it fails */
    MailDone done;
    void *data;
} Sending;

static char *last_words(int fd)
{
    char text[4096];
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    text[MAX(length, 0)] = '\0';
    return text_last_line(text);
}

static void on_mailer_exit(pid_t pid, int status, gpointer data)
{
    (void)pid;
    Sending *sending = data;
    g_autofree char *words = last_words(sending->words_fd);
    bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    sending->done(good ? NULL : words, sending->data);
}

static void sending_free(gpointer data)
{
    Sending *sending = data;
    fd_close_pointed(&sending->words_fd);
    g_free(sending);
}

bool app_mail_start(const Settings *settings, const MailJob *job, MailDone done, void *data, GError **error)
{
    g_autofree char *program = g_build_filename(settings->dir_lib, "qwd-mail", NULL);
    const char *argv[] = {program, NULL};
    autofd int request = request_for(job, error);
    autofd int words = request >= 0 ? memory_with("", error) : -1;
    pid_t pid;
    if (words < 0)
        return false;
    SpawnOptions options = {.argv = argv, SPAWN_OPTIONS_INIT, .own_group = true};
    options.stdin_fd = request;
    options.stderr_fd = words;
    if (!process_spawn(&options, &pid, error))
        return false;
    Sending *sending = g_new(Sending, 1);
    *sending = (Sending){.words_fd = fd_steal(&words), .done = done, .data = data};
    g_child_watch_add_full(G_PRIORITY_DEFAULT, pid, on_mailer_exit, sending, sending_free);
    return true;
}
