/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/wait.h"

#define OUTPUT_MAX_BYTES (1024 * 1024)

/* --- identity --- */

/* Reads state (field 3) and start time (field 22) of /proc/PID/stat; the name in field 2 may hold anything. */
static bool read_stat(pid_t pid, char *state, guint64 *start_ticks)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
    g_autofree char *text = NULL;
    if (pid <= 0 || !g_file_get_contents(path, &text, NULL, NULL))
        return false;
    const char *after_name = strrchr(text, ')');
    if (!after_name)
        return false;
    g_auto(GStrv) fields = g_strsplit(after_name + 2, " ", 22);
    if (g_strv_length(fields) < 21)
        return false;
    *state = fields[0][0];
    *start_ticks = g_ascii_strtoull(fields[19], NULL, 10);
    return true;
}

ProcessId process_id_of(pid_t pid)
{
    char state;
    ProcessId id = {.pid = pid};
    if (!read_stat(pid, &state, &id.start_ticks))
        id.start_ticks = 0;
    return id;
}

bool process_is_alive(ProcessId id)
{
    char state;
    guint64 start_ticks;
    return id.start_ticks != 0 && read_stat(id.pid, &state, &start_ticks) && start_ticks == id.start_ticks &&
           state != 'Z' && state != 'X';
}

bool process_pid_is_free(pid_t pid)
{
    return pid > 0 && kill(pid, 0) < 0 && errno == ESRCH;
}

bool process_is_gone(ProcessId id)
{
    char state;
    guint64 start_ticks;
    if (process_pid_is_free(id.pid))
        return true;
    return id.pid > 0 && id.start_ticks && read_stat(id.pid, &state, &start_ticks) &&
           (start_ticks != id.start_ticks || state == 'Z' || state == 'X');
}

/* A pidfd for exactly this process, -1 when it is gone. The identity is checked after the pidfd is
 * held, so the pid cannot be reused between check and use. */
static int open_pidfd(ProcessId id)
{
    autofd int fd = id.pid > 0 ? (int)syscall(SYS_pidfd_open, id.pid, 0) : -1;
    return fd >= 0 && process_is_alive(id) ? fd_steal(&fd) : -1;
}

bool process_signal(ProcessId id, int signal_number, GError **error)
{
    autofd int fd = open_pidfd(id);
    if (fd < 0)
        return false;
    if (syscall(SYS_pidfd_send_signal, fd, signal_number, NULL, 0) == 0)
        return true;
    if (errno != ESRCH)
        qwd_error_errno(error, errno, "Cannot signal process %d", (int)id.pid);
    return false;
}

bool process_wait_gone(ProcessId id, int deadline_ms)
{
    autofd int fd = open_pidfd(id);
    if (fd < 0)
        return true;
    struct pollfd item = {.fd = fd, .events = POLLIN};
    gint64 end_us = g_get_monotonic_time() + (gint64)deadline_ms * 1000;
    int ready;
    do { /* the end of another child interrupts poll(2) */
        gint64 left_us = end_us - g_get_monotonic_time();
        ready = poll(&item, 1, (int)MAX(left_us / 1000, 0));
    } while (ready < 0 && errno == EINTR);
    return ready == 1;
}

void process_end(ProcessId *id, int grace_ms)
{
    if (id->pid && !process_wait_gone(*id, grace_ms) && process_signal(*id, SIGKILL, NULL))
        process_wait_gone(*id, grace_ms);
    *id = (ProcessId){0};
}

/* --- starting --- */

typedef struct {
    const SpawnOptions *options;
    pid_t parent;
} ChildSetup;

/* Runs between fork and exec: only async-signal-safe calls. */
static void prepare_child(gpointer data)
{
    const ChildSetup *setup = data;
    if (setup->options->new_session)
        setsid();
    if (setup->options->own_group)
        setpgid(0, 0);
    if (setup->options->die_with_parent && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != setup->parent))
        _exit(127);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
}

static int open_null_if_missing(int fd, int *opened)
{
    if (fd >= 0)
        return fd;
    if (*opened < 0)
        *opened = open("/dev/null", O_RDWR | O_CLOEXEC);
    return *opened;
}

/* A descriptor that has its number already is inherited: GLib would close it. */
static int source_fd(int fd, int target, int *opened)
{
    return fd == target ? -1 : open_null_if_missing(fd, opened);
}

static bool spawn(const SpawnOptions *options, GSpawnFlags flags, pid_t *pid, GError **error)
{
    autofd int null_fd = -1;
    g_autoptr(GError) cause = NULL;
    ChildSetup setup = {.options = options, .parent = getpid()};
    flags |= G_SPAWN_SEARCH_PATH | (options->stdin_fd == STDIN_FILENO ? G_SPAWN_CHILD_INHERITS_STDIN : 0);
    bool good = g_spawn_async_with_pipes_and_fds(
        options->folder ? options->folder : "/", options->argv, options->environment, flags, prepare_child, &setup,
        source_fd(options->stdin_fd, STDIN_FILENO, &null_fd), source_fd(options->stdout_fd, STDOUT_FILENO, &null_fd),
        source_fd(options->stderr_fd, STDERR_FILENO, &null_fd), options->pass_fds, options->as_fds, options->pass_count,
        pid, NULL, NULL, NULL, &cause);
    if (!good)
        qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "Cannot start %s: %s", options->argv[0], cause->message);
    return good;
}

bool process_spawn(const SpawnOptions *options, pid_t *pid, GError **error)
{
    return spawn(options, G_SPAWN_DO_NOT_REAP_CHILD, pid, error);
}

static void on_exit_of_reaped(pid_t pid, int status, gpointer data)
{
    (void)pid;
    (void)status;
    (void)data;
}

bool process_spawn_reaped(const SpawnOptions *options, ProcessId *id, GError **error)
{
    pid_t pid;
    if (!process_spawn(options, &pid, error))
        return false;
    *id = process_id_of(pid);
    g_child_watch_add(pid, on_exit_of_reaped, NULL);
    return true;
}

bool process_spawn_detached(const SpawnOptions *options, GError **error)
{
    return spawn(options, G_SPAWN_DEFAULT, NULL, error);
}

/* --- running to the end --- */

void process_result_clear(ProcessResult *result)
{
    g_clear_pointer(&result->output, g_free);
    g_clear_pointer(&result->errors, g_free);
}

typedef struct {
    GString *text;
    int fd;
    guint source;
} Capture;

typedef struct {
    Capture captures[2]; /* stdout, stderr */
    bool exited;
    int status;
} Run;

static gboolean on_readable(int fd, GIOCondition condition, gpointer data)
{
    (void)condition;
    Capture *capture = data;
    char buffer[8192];
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR)
        return G_SOURCE_CONTINUE;
    if (n <= 0) {
        capture->source = 0;
        return G_SOURCE_REMOVE;
    }
    g_string_append_len(capture->text, buffer, (gssize)MIN((size_t)n, OUTPUT_MAX_BYTES - capture->text->len));
    return G_SOURCE_CONTINUE;
}

static void on_child_exit(pid_t pid, int status, gpointer data)
{
    (void)pid;
    Run *run = data;
    run->exited = true;
    run->status = status;
}

/* Done when it has exited and both pipes are read to their end. */
static bool run_is_done(void *data)
{
    const Run *run = data;
    return run->exited && !run->captures[0].source && !run->captures[1].source;
}

static bool capture_start(Capture *capture, int *write_end, GError **error)
{
    int ends[2];
    if (!g_unix_open_pipe(ends, FD_CLOEXEC, error))
        return false;
    capture->text = g_string_new(NULL);
    capture->fd = ends[0];
    capture->source = g_unix_fd_add(ends[0], G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, capture);
    *write_end = ends[1];
    return true;
}

static char *capture_finish(Capture *capture)
{
    if (capture->source)
        g_source_remove(capture->source);
    fd_close_pointed(&capture->fd);
    return capture->text ? g_string_free(capture->text, FALSE) : g_strdup("");
}

/* With what it has started itself, which may hold the pipes. */
static void kill_and_reap(Run *run, pid_t pid)
{
    kill(-pid, SIGKILL);
    wait_until(run_is_done, run, 5000, NULL);
}

static bool run_child(Run *run, SpawnOptions options, int deadline_ms, GError **error)
{
    autofd int out = -1, err = -1;
    if (!capture_start(&run->captures[0], &out, error) || !capture_start(&run->captures[1], &err, error))
        return false;
    options.stdout_fd = out;
    options.stderr_fd = err;
    options.own_group = true;
    pid_t pid;
    if (!process_spawn(&options, &pid, error))
        return false;
    fd_close_pointed(&out);
    fd_close_pointed(&err);
    guint watch = g_child_watch_add(pid, on_child_exit, run);
    bool good = wait_unless_cancelled(run_is_done, run, deadline_ms, error);
    if (!good) {
        g_prefix_error(error, "%s: ", options.argv[0]);
        kill_and_reap(run, pid);
    }
    if (!run->exited)
        g_source_remove(watch);
    return good;
}

static int exit_code_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool process_run_options(SpawnOptions options, int deadline_ms, ProcessResult *result, GError **error)
{
    Run run = {.captures = {{.fd = -1}, {.fd = -1}}};
    bool good = run_child(&run, options, deadline_ms, error);
    *result = (ProcessResult){.output = capture_finish(&run.captures[0]),
                              .errors = capture_finish(&run.captures[1]),
                              .exit_code = exit_code_of(run.status)};
    return good;
}

bool process_run(const char *const *argv, int deadline_ms, ProcessResult *result, GError **error)
{
    SpawnOptions options = {.argv = argv, SPAWN_OPTIONS_INIT, .die_with_parent = true};
    return process_run_options(options, deadline_ms, result, error);
}

bool process_run_checked(const char *const *argv, int deadline_ms, ProcessResult *result, GError **error)
{
    if (!process_run(argv, deadline_ms, result, error))
        return false;
    if (result->exit_code == 0)
        return true;
    g_autofree char *last = text_last_line(result->errors);
    return qwd_error_fail(error, QWD_ERROR_INTERNAL, "%s failed (exit code %d): %s", argv[0], result->exit_code, last);
}

char *text_last_line(const char *text)
{
    g_autofree char *copy = g_strchomp(g_strdup(text));
    const char *newline = strrchr(copy, '\n');
    return g_strdup(newline ? newline + 1 : copy);
}

/* Behind the name in field 2: state is field 3, utime 14, stime 15, starttime 22, rss 24 (proc(5)). */
bool process_use_read(ProcessId id, ProcessUse *use)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)id.pid);
    g_autofree char *text = NULL;
    if (id.pid <= 0 || !g_file_get_contents(path, &text, NULL, NULL))
        return false;
    char state;
    unsigned long long user_ticks, system_ticks, start_ticks, pages;
    const char *after_name = strrchr(text, ')');
    if (!after_name || sscanf(after_name + 1,
                              " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu %*s %*s %*s %*s %*s %*s %llu %*s "
                              "%llu",
                              &state, &user_ticks, &system_ticks, &start_ticks, &pages) != 5)
        return false;
    use->cpu_s = (double)(user_ticks + system_ticks) / (double)sysconf(_SC_CLK_TCK);
    use->memory_bytes = (gint64)pages * sysconf(_SC_PAGESIZE);
    return start_ticks == id.start_ticks && state != 'Z' && state != 'X';
}

double process_cpu_load(ProcessId id)
{
    ProcessUse use;
    g_autofree char *uptime = NULL;
    if (!process_use_read(id, &use) || !g_file_get_contents("/proc/uptime", &uptime, NULL, NULL))
        return 0;
    double age_s = g_ascii_strtod(uptime, NULL) - (double)id.start_ticks / (double)sysconf(_SC_CLK_TCK);
    return age_s > 0 ? use.cpu_s / age_s : 0;
}
