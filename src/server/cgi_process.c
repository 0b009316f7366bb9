/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "server/cgi_process.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/process.h"

#define READ_BYTES 65536
#define STOP_GRACE_US (3 * G_USEC_PER_SEC)

/* --- start --- */

/* The body as a file in memory: the program reads it when it likes, and nobody has to feed a pipe. -1 on error. */
static int make_input(const GByteArray *input, GError **error)
{
    autofd int fd = memfd_create("request", MFD_CLOEXEC);
    size_t length = input->len;
    for (size_t at = 0; fd >= 0 && at < length;) {
        ssize_t n = write(fd, input->data + at, length - at);
        if (n < 0)
            fd_close_pointed(&fd);
        else
            at += (size_t)n;
    }
    if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0) {
        qwd_error_errno(error, errno, "Cannot keep the request's body");
        return -1;
    }
    return fd_steal(&fd);
}

static bool spawn(CgiProcess *process, const CgiStart *start, int input_fd, GError **error)
{
    int pipe_fds[2];
    if (!g_unix_open_pipe(pipe_fds, FD_CLOEXEC, error))
        return false;
    autofd int read_end = pipe_fds[0], write_end = pipe_fds[1];
    /* A copy, for GLib closes the descriptors it is given in the child, even when one is 2 already. */
    autofd int errors = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    const char *argv[] = {start->program, NULL};
    SpawnOptions options = {.argv = argv, .environment = start->environment, .new_session = true};
    options.stdin_fd = input_fd;
    options.stdout_fd = write_end;
    options.stderr_fd = errors;
    if (!fd_set_nonblocking(read_end, error) || !process_spawn(&options, &process->pid, error))
        return false;
    process->pid_fd = (int)syscall(SYS_pidfd_open, process->pid, 0);
    process->output_fd = fd_steal(&read_end);
    return true;
}

bool cgi_process_start(CgiProcess *process, const CgiStart *start, GError **error)
{
    *process = (CgiProcess){.pid_fd = -1, .output_fd = -1, .stop_fd = start->stop_fd};
    process->deadline_us = g_get_monotonic_time() + (gint64)start->deadline_ms * 1000;
    autofd int input_fd = -1;
    if (start->input && (input_fd = make_input(start->input, error)) < 0)
        return false;
    if (!spawn(process, start, input_fd, error))
        return false;
    if (process->pid_fd >= 0)
        return true;
    /* Out of descriptors: it cannot be watched, so it must not run. */
    int cause = errno;
    kill(process->pid, SIGKILL);
    cgi_process_end(process);
    return qwd_error_errno(error, cause, "Cannot watch the program");
}

/* --- wait --- */

/* Waits for one of two descriptors (-1: none) to become readable; false at the deadline. */
static bool wait_readable(CgiProcess *process, struct pollfd items[3])
{
    items[2] = (struct pollfd){.fd = process->stop_fd, .events = POLLIN};
    for (;;) {
        gint64 left_us = process->deadline_us - g_get_monotonic_time();
        if (left_us <= 0)
            return false;
        int count = poll(items, 3, (int)(left_us / 1000 + 1));
        if (count < 0 && errno != EINTR)
            return false;
        if (items[2].revents && count > 0) {
            process->stop_fd = items[2].fd = -1;
            process->deadline_us = MIN(process->deadline_us, g_get_monotonic_time() + STOP_GRACE_US);
        }
        if (count > 0 && (items[0].revents || items[1].revents))
            return true;
    }
}

/* --- read --- */

typedef enum { READ_AGAIN, READ_EMPTY, READ_END } ReadResult;

static ReadResult read_some(int fd, GByteArray *output)
{
    guint before = output->len;
    g_byte_array_set_size(output, before + READ_BYTES);
    ssize_t n = read(fd, output->data + before, READ_BYTES);
    g_byte_array_set_size(output, before + (n > 0 ? (guint)n : 0));
    if (n > 0 || (n < 0 && errno == EINTR))
        return READ_AGAIN;
    return n < 0 && errno == EAGAIN ? READ_EMPTY : READ_END;
}

static bool killed_by_signal(const CgiProcess *process)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == process->pid &&
           info.si_code != CLD_EXITED;
}

/* The output has ended without saying that it is whole: how the program ends tells. A program that goes on without
 * its output is given a second. */
static bool ended_well(CgiProcess *process, GError **error)
{
    CgiProcess shorter = *process;
    shorter.deadline_us = MIN(process->deadline_us, g_get_monotonic_time() + G_USEC_PER_SEC);
    struct pollfd items[3] = {{.fd = process->pid_fd, .events = POLLIN}, {.fd = -1}};
    wait_readable(&shorter, items);
    if (killed_by_signal(process))
        return qwd_error_fail(error, QWD_ERROR_INTERNAL, "The program was ended by a signal.");
    return true;
}

/* Takes what is there. True when that was the end of it. */
static bool drain(int fd, GByteArray *output, CgiIsComplete is_complete, bool *complete)
{
    ReadResult result;
    do {
        result = read_some(fd, output);
        *complete = result == READ_AGAIN && is_complete((const char *)output->data, output->len);
    } while (result == READ_AGAIN && !*complete && output->len <= CGI_OUTPUT_MAX_BYTES);
    return result == READ_END;
}

bool cgi_process_read(CgiProcess *process, GByteArray *output, CgiIsComplete is_complete, GError **error)
{
    struct pollfd items[3] = {{.fd = process->output_fd, .events = POLLIN}, {.fd = process->pid_fd, .events = POLLIN}};
    for (;;) {
        if (!wait_readable(process, items))
            return qwd_error_fail(error, QWD_ERROR_TIMEOUT, "The program did not answer in time.");
        /* Seen before the last look at the pipe, so nothing that it wrote is missed. */
        bool exited = items[1].revents != 0, complete;
        bool ended = drain(process->output_fd, output, is_complete, &complete);
        if (output->len > CGI_OUTPUT_MAX_BYTES)
            return qwd_error_fail(error, QWD_ERROR_INTERNAL, "The program's answer is too long.");
        if (complete)
            return true;
        if (ended || exited)
            return ended_well(process, error);
    }
}

/* --- end --- */

bool cgi_process_try_end(CgiProcess *process)
{
    struct pollfd item = {.fd = process->pid_fd, .events = POLLIN};
    if (process->pid > 0 && poll(&item, 1, 0) == 0)
        return false;
    cgi_process_end(process);
    return true;
}

void cgi_process_end(CgiProcess *process)
{
    if (process->pid <= 0)
        return;
    fd_close_pointed(&process->output_fd);
    struct pollfd items[3] = {{.fd = process->pid_fd, .events = POLLIN}, {.fd = -1}};
    if (process->pid_fd >= 0 && !wait_readable(process, items))
        syscall(SYS_pidfd_send_signal, process->pid_fd, SIGKILL, NULL, 0);
    while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    fd_close_pointed(&process->pid_fd);
    process->pid = 0;
}
