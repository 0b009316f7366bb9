/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/subreaper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/process.h"

#define CHILDREN_FILE "/proc/thread-self/children"

enum { CONTROL_FD = 0, SIGNAL_FD = 1 };

/* --- ending all --- */

/* Signals the children in a list of numbers separated by blanks. The last number may be cut off: only one that a blank
 * follows counts. Returns how many could be signalled. */
static int kill_listed(const char *text, ssize_t length)
{
    int count = 0;
    pid_t pid = 0;
    for (ssize_t i = 0; i < length; i++) {
        if (text[i] >= '0' && text[i] <= '9') {
            pid = pid * 10 + (text[i] - '0');
            continue;
        }
        count += pid > 0 && kill(pid, SIGKILL) == 0;
        pid = 0;
    }
    return count;
}

/* -1 where the kernel has no such list (CONFIG_PROC_CHILDREN). */
static int kill_children(void)
{
    char text[4096];
    int fd = open(CHILDREN_FILE, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t length = read(fd, text, sizeof text);
    close(fd);
    return length < 0 ? -1 : kill_listed(text, length);
}

static pid_t wait_for_child(int flags)
{
    pid_t pid;
    do
        pid = waitpid(-1, NULL, flags);
    while (pid < 0 && errno == EINTR);
    return pid;
}

/* The children of a child become ours when it is reaped, and have their turn in the next round. Processes of other
 * accounts that may not be signalled stay. */
static void kill_all(void)
{
    while (kill_children() > 0) {
        if (wait_for_child(0) < 0)
            return;
        while (wait_for_child(WNOHANG) > 0)
            continue;
    }
}

/* --- the process in between --- */

static void end_program(pid_t program)
{
    kill(-program, SIGKILL); /* enough where children are not listed */
    kill(program, SIGKILL);
    kill_all();
    _exit(128 + SIGKILL);
}

/* Blocks until the control says something: true when it lets all run on. */
static bool is_released(void)
{
    char byte;
    ssize_t n;
    do
        n = read(CONTROL_FD, &byte, 1);
    while (n < 0 && errno == EINTR);
    return n == 1;
}

/* The program has exited. */
static void conclude(pid_t program, int status)
{
    pid_t other;
    while ((other = wait_for_child(WNOHANG)) > 0)
        continue;
    if (other < 0)
        _exit(process_exit_code(status));
    ssize_t written = write(CONTROL_FD, &status, sizeof status);
    if (written != (ssize_t)sizeof status || !is_released())
        end_program(program);
    _exit(process_exit_code(status));
}

/* Reaps all that have exited. Returns when the program is not among them. */
static void reap(pid_t program)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid == program)
            conclude(program, status);
    }
}

/* Everything inherited is closed: pipes that others wait for the end of, and what tells the parent of a failed exec. */
static void prepare(int control_fd, const sigset_t *children)
{
    for (int number = 1; number < NSIG; number++)
        signal(number, number == SIGPIPE ? SIG_IGN : SIG_DFL);
    dup2(control_fd, CONTROL_FD);
    close_range(CONTROL_FD + 1, ~0U, 0);
    if (signalfd(-1, children, SFD_CLOEXEC | SFD_NONBLOCK) != SIGNAL_FD)
        _exit(127);
}

static void watch(pid_t program)
{
    struct pollfd items[] = {{.fd = CONTROL_FD, .events = POLLIN}, {.fd = SIGNAL_FD, .events = POLLIN}};
    for (;;) {
        struct signalfd_siginfo ignored;
        reap(program);
        poll(items, 2, -1);
        if (items[0].revents)
            end_program(program);
        while (read(SIGNAL_FD, &ignored, sizeof ignored) > 0)
            continue;
    }
}

void subreaper_split(int control_fd)
{
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, NULL);
    setpgid(0, 0); /* a key pressed on our terminal is not meant for it */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t program = fork();
    if (program == 0)
        return;
    prepare(control_fd, &children);
    if (program < 0)
        _exit(127);
    watch(program);
}
