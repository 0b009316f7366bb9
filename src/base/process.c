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
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/subreaper.h"
#include "base/wait.h"

#define OUTPUT_MAX_BYTES (1024 * 1024)
#define REAP_DEADLINE_MS 5000
#define CONTROL_FD_MIN 100

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
    int control_fd; /* of a subreaper in between; -1: none */
} ChildSetup;

/* Runs between fork and exec: only async-signal-safe calls. */
static void prepare_child(gpointer data)
{
    const ChildSetup *setup = data;
    pid_t parent = setup->control_fd >= 0 ? getpid() : setup->parent;
    if (setup->control_fd >= 0)
        subreaper_split(setup->control_fd);
    if (setup->options->new_session)
        setsid();
    if (setup->options->own_group)
        setpgid(0, 0);
    if (setup->options->die_with_parent && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent))
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

static bool spawn(const SpawnOptions *options, GSpawnFlags flags, int control_fd, pid_t *pid, GError **error)
{
    autofd int null_fd = -1;
    g_autoptr(GError) cause = NULL;
    ChildSetup setup = {.options = options, .parent = getpid(), .control_fd = control_fd};
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
    return spawn(options, G_SPAWN_DO_NOT_REAP_CHILD, -1, pid, error);
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
    return spawn(options, G_SPAWN_DEFAULT, -1, NULL, error);
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
    int control_fd;      /* of its subreaper */
    guint control_source;
    bool exited; /* the program */
    int exit_code;
    bool is_gone; /* the subreaper, and so all that the program has started, unless it was let run on */
} Run;

int process_exit_code(int wait_status)
{
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

static void note_exit(Run *run, int status)
{
    if (!run->exited)
        run->exit_code = process_exit_code(status);
    run->exited = true;
}

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

/* The program has exited, others that it has started have not. */
static gboolean on_control(int fd, GIOCondition condition, gpointer data)
{
    (void)condition;
    Run *run = data;
    int status;
    if (read(fd, &status, sizeof status) == (ssize_t)sizeof status)
        note_exit(run, status);
    run->control_source = 0;
    return G_SOURCE_REMOVE;
}

static void on_subreaper_exit(pid_t pid, int status, gpointer data)
{
    (void)pid;
    Run *run = data;
    note_exit(run, status);
    run->is_gone = true;
}

static bool run_is_gone(void *data)
{
    return ((const Run *)data)->is_gone;
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

/* The subreaper's end has a number that is none of those the child gets. */
static int control_start(Run *run, GError **error)
{
    autofd int theirs = -1;
    if (!unix_pair(&run->control_fd, &theirs, error))
        return -1;
    int high = fcntl(theirs, F_DUPFD_CLOEXEC, CONTROL_FD_MIN);
    if (high < 0)
        qwd_error_errno(error, errno, "Cannot copy a descriptor");
    else
        run->control_source = g_unix_fd_add(run->control_fd, G_IO_IN | G_IO_HUP, on_control, run);
    return high;
}

/* Without being let run on, all end. A process that the kernel holds back (in an I/O call) is not waited for. */
static void finish(Run *run, pid_t pid, guint watch, bool may_run_on)
{
    if (may_run_on)
        send(run->control_fd, "", 1, MSG_NOSIGNAL);
    g_clear_handle_id(&run->control_source, g_source_remove);
    fd_close_pointed(&run->control_fd);
    if (wait_until(run_is_gone, run, REAP_DEADLINE_MS, NULL))
        return;
    g_source_remove(watch);
    g_child_watch_add(pid, on_exit_of_reaped, NULL);
}

static bool start(Run *run, SpawnOptions options, pid_t *pid, GError **error)
{
    autofd int out = -1, err = -1;
    if (!capture_start(&run->captures[0], &out, error) || !capture_start(&run->captures[1], &err, error))
        return false;
    autofd int control = control_start(run, error);
    options.stdout_fd = out;
    options.stderr_fd = err;
    options.own_group = true;
    return control >= 0 && spawn(&options, G_SPAWN_DO_NOT_REAP_CHILD, control, pid, error);
}

static bool run_child(Run *run, SpawnOptions options, int deadline_ms, GError **error)
{
    pid_t pid;
    if (!start(run, options, &pid, error))
        return false;
    guint watch = g_child_watch_add(pid, on_subreaper_exit, run);
    bool good = wait_unless_cancelled(run_is_done, run, deadline_ms, error);
    if (!good)
        g_prefix_error(error, "%s: ", options.argv[0]);
    finish(run, pid, watch, good);
    return good;
}

bool process_run_options(SpawnOptions options, int deadline_ms, ProcessResult *result, GError **error)
{
    Run run = {.captures = {{.fd = -1}, {.fd = -1}}, .control_fd = -1};
    bool good = run_child(&run, options, deadline_ms, error);
    g_clear_handle_id(&run.control_source, g_source_remove);
    fd_close_pointed(&run.control_fd);
    *result = (ProcessResult){.output = capture_finish(&run.captures[0]),
                              .errors = capture_finish(&run.captures[1]),
                              .exit_code = run.exit_code};
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
