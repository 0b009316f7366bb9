/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The one module that starts processes. A process is known by pid and start
 * time (proc(5), field 22), so that a reused pid is never mistaken for ours. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

typedef struct {
    pid_t pid;
    guint64 start_ticks; /* clock ticks since boot */
} ProcessId;

/* The identity of a running process; start_ticks is 0 when there is none with that pid. */
ProcessId process_id_of(pid_t pid);

/* True while exactly this process exists and is not a zombie. */
bool process_is_alive(ProcessId id);

/* True when it certainly does not: a process that cannot be looked at (no descriptor, no memory) may be there. */
bool process_is_gone(ProcessId id);

/* True when no process has this pid. It reads no file, as the above does; a pid may have been used again. */
bool process_pid_is_free(pid_t pid);

/* Sends a signal to exactly this process. False when it is gone (no error) or not ours to signal (error). */
bool process_signal(ProcessId id, int signal_number, GError **error);

/* Waits until the process is gone, or for deadline_ms. True when it is gone. */
bool process_wait_gone(ProcessId id, int deadline_ms);

/* Waits for grace_ms until the process is gone, then kills it. *id is no process then. */
void process_end(ProcessId *id, int grace_ms);

typedef struct {
    const char *const *argv;            /* argv[0] is looked up in PATH */
    const char *const *environment;     /* NULL: ours */
    const char *folder;                 /* working directory; NULL: / */
    int stdin_fd, stdout_fd, stderr_fd; /* -1: /dev/null; kept open in the parent */
    const int *pass_fds;                /* descriptors of ours that the child gets ... */
    const int *as_fds;                  /* ... under these numbers (>= 3) */
    size_t pass_count;
    bool new_session;     /* setsid(2): survives the caller's group and terminal */
    bool own_group;       /* setpgid(2): can be killed with its children */
    bool die_with_parent; /* SIGKILL when the thread that started it ends (prctl(2), PR_SET_PDEATHSIG) */
} SpawnOptions;

#define SPAWN_OPTIONS_INIT .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1

/* Starts a child that the caller must reap (g_child_watch_add). Blocks until exec has succeeded, so that
 * a missing program is an error here (QWD_ERROR_UNAVAILABLE). */
bool process_spawn(const SpawnOptions *options, pid_t *pid, GError **error);

/* The same for a child that nobody waits for: it is reaped as soon as the main context is served. */
bool process_spawn_reaped(const SpawnOptions *options, ProcessId *id, GError **error);

/* Starts a process that is nobody's child (reaped by init). */
bool process_spawn_detached(const SpawnOptions *options, GError **error);

typedef struct {
    char *output;  /* stdout, at most 1 MiB, NUL-terminated */
    char *errors;  /* stderr, the same */
    int exit_code; /* 128 + signal when it was killed */
} ProcessResult;

void process_result_clear(ProcessResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ProcessResult, process_result_clear)

/* Runs a short program to its end while serving the main context. At the deadline (QWD_ERROR_TIMEOUT), when waits are
 * given up (wait_cancel) and when we end, it is killed with all that it has started, also in sessions of their own.
 * When it exits in time and nobody holds its output any more, processes that it has left behind run on. A non-zero exit
 * code is not an error here. Output descriptors in the options are ignored: both are captured. */
bool process_run_options(SpawnOptions options, int deadline_ms, ProcessResult *result, GError **error);

/* The same for a plain command line of a program that ends with us. */
bool process_run(const char *const *argv, int deadline_ms, ProcessResult *result, GError **error);

/* process_run, where a non-zero exit code is QWD_ERROR_INTERNAL with the program's last line. */
bool process_run_checked(const char *const *argv, int deadline_ms, ProcessResult *result, GError **error);

/* The exit code in a wait status (waitpid(2)); 128 + signal when it was killed. */
int process_exit_code(int wait_status);

/* The last non-empty line of a text, for messages; "" when there is none. Free with g_free. */
char *text_last_line(const char *text);

/* What a process has used of the host. */
typedef struct {
    double cpu_s;
    gint64 memory_bytes; /* resident */
} ProcessUse;

/* False when it is gone. */
bool process_use_read(ProcessId id, ProcessUse *use);

/* Processor time that a process has used, as a share of one processor since its start: 1.0 is one processor
 * kept busy. 0 when it is gone. */
double process_cpu_load(ProcessId id);
