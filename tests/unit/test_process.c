/* SPDX-License-Identifier: AGPL-3.0-or-later
 * With real processes. Some tests run this program itself in another role: see main. */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/wait.h"
#include "temp.h"

#define DEADLINE_MS 60000
#define NOBODY 65534

/* A child that lives until it is killed. */
static pid_t start_sleeper(void)
{
    g_autoptr(GError) error = NULL;
    const char *argv[] = {"sleep", "1000", NULL};
    SpawnOptions options = {.argv = argv, SPAWN_OPTIONS_INIT, .die_with_parent = true};
    pid_t pid;
    g_assert_true(process_spawn(&options, &pid, &error));
    return pid;
}

static void reap(pid_t pid)
{
    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
}

/* --- identity --- */

static void test_identity(void)
{
    ProcessId self = process_id_of(getpid());
    g_assert_true(process_is_alive(self));
    g_assert_cmpint(self.start_ticks, >, 0);
    static const pid_t nobody[] = {0, -1, G_MININT, G_MAXINT};
    for (size_t i = 0; i < G_N_ELEMENTS(nobody); i++) {
        ProcessId id = process_id_of(nobody[i]);
        g_assert_cmpint(id.start_ticks, ==, 0);
        g_assert_false(process_is_alive(id));
        g_assert_false(process_signal(id, SIGKILL, NULL));
        g_assert_true(process_wait_gone(id, 0));
    }
}

/* A name with spaces and brackets does not confuse the reading of /proc/PID/stat. */
static void test_odd_name(void)
{
    char before[16];
    guint64 start_ticks = process_id_of(getpid()).start_ticks;
    prctl(PR_GET_NAME, before);
    prctl(PR_SET_NAME, ") Z 1 2 (");
    g_assert_cmpint(process_id_of(getpid()).start_ticks, ==, start_ticks);
    g_assert_true(process_is_alive(process_id_of(getpid())));
    prctl(PR_SET_NAME, before);
}

/* The record of a process whose pid belongs to another one by now: that one is left alone. */
static void test_reused_pid(void)
{
    g_autoptr(GError) error = NULL;
    pid_t pid = start_sleeper();
    ProcessId real = process_id_of(pid), stale = {.pid = pid, .start_ticks = real.start_ticks - 1};
    g_assert_false(process_is_alive(stale));
    g_assert_false(process_signal(stale, SIGKILL, &error));
    g_assert_no_error(error);
    g_assert_true(process_wait_gone(stale, 0));
    g_assert_cmpfloat(process_cpu_load(stale), ==, 0);
    g_assert_true(process_is_alive(real));
    g_assert_true(process_signal(real, SIGKILL, &error));
    g_assert_true(process_wait_gone(real, DEADLINE_MS));
    g_assert_false(process_is_alive(real)); /* a zombie is not alive */
    g_assert_false(process_signal(real, SIGTERM, &error));
    g_assert_no_error(error);
    reap(pid);
    g_assert_true(process_wait_gone(real, 0));
}

static void do_nothing(int unused)
{
    (void)unused;
}

/* Signals that arrive meanwhile, such as the end of another child, do not cut the waiting short. */
static void test_wait_gone(void)
{
    struct sigaction action = {.sa_handler = do_nothing}, before;
    sigaction(SIGALRM, &action, &before);
    pid_t pid = start_sleeper();
    ProcessId id = process_id_of(pid);
    gint64 begin = g_get_monotonic_time();
    g_assert_cmpint(setitimer(ITIMER_REAL, &(struct itimerval){{0, 20000}, {0, 20000}}, NULL), ==, 0);
    g_assert_false(process_wait_gone(id, 200));
    g_assert_cmpint(setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL), ==, 0);
    g_assert_cmpint(g_get_monotonic_time() - begin, >=, 190000);
    sigaction(SIGALRM, &before, NULL);
    g_assert_true(process_signal(id, SIGKILL, NULL));
    g_assert_true(process_wait_gone(id, DEADLINE_MS));
    reap(pid);
}

static void test_not_ours(void)
{
    g_autoptr(GError) error = NULL;
    if (geteuid() != 0) { /* process 1 of a namespace of ours is ours */
        g_test_skip("needs root");
        return;
    }
    if (!g_test_subprocess()) {
        g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
        g_test_trap_assert_passed();
        return;
    }
    g_assert_cmpint(setresuid(NOBODY, NOBODY, NOBODY), ==, 0);
    g_assert_false(process_signal(process_id_of(1), SIGKILL, &error));
    assert_error(error, QWD_ERROR_INTERNAL, "Cannot signal process 1");
}

/* --- starting --- */

static void test_spawn_errors(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *script = temp_script(folder, "script", "#!/nonexistent/interpreter\n");
    g_autofree char *data = temp_file(folder, "data", "x");
    const char *programs[] = {"qwd-no-such-program", "/nonexistent/program", script, data, folder, ""};
    for (size_t i = 0; i < G_N_ELEMENTS(programs); i++) {
        const char *argv[] = {programs[i], NULL};
        SpawnOptions options = {.argv = argv, SPAWN_OPTIONS_INIT};
        pid_t pid;
        g_assert_false(process_spawn(&options, &pid, &error));
        assert_error(error, QWD_ERROR_UNAVAILABLE, "Cannot start");
        g_assert_false(process_spawn_detached(&options, &error));
        assert_error(error, QWD_ERROR_UNAVAILABLE, programs[i]);
    }
    const char *argv[] = {"true", NULL};
    SpawnOptions options = {.argv = argv, SPAWN_OPTIONS_INIT, .folder = "/nonexistent"};
    g_assert_false(process_spawn_detached(&options, &error));
    assert_error(error, QWD_ERROR_UNAVAILABLE, "Cannot start true");
    g_assert_cmpint(waitpid(-1, NULL, WNOHANG), ==, -1); /* no child is left */
}

/* The descriptors that were named, under their numbers, and no others. */
static void test_descriptors(void)
{
    g_autoptr(GError) error = NULL;
    int ends[2];
    g_assert_cmpint(pipe2(ends, O_CLOEXEC), ==, 0);
    autofd int reader = ends[0], writer = ends[1];
    autofd int inheritable = open("/dev/null", O_RDONLY); /* without close-on-exec */
    const char *argv[] = {"sh", "-c", "echo hello >&7; ls /proc/self/fd | tr '\\n' ' ' >&7", NULL};
    SpawnOptions options = {.argv = argv, SPAWN_OPTIONS_INIT};
    options.pass_fds = &writer;
    options.as_fds = (const int[]){7};
    options.pass_count = 1;
    pid_t pid;
    g_assert_true(process_spawn(&options, &pid, &error));
    fd_close_pointed(&writer);
    reap(pid);
    char text[200] = "";
    g_assert_cmpint(read(reader, text, sizeof text - 1), >, 0);
    g_assert_cmpstr(text, ==, "hello\n0 1 2 3 7 "); /* 3 is ls looking at the folder */
}

static void test_detached(void)
{
    g_autoptr(GError) error = NULL;
    int ends[2];
    g_assert_cmpint(pipe2(ends, O_CLOEXEC), ==, 0);
    autofd int reader = ends[0], writer = ends[1];
    const char *argv[] = {"sh", "-c", "echo $PPID $(ps -o sid= -p $$) $$ $(pwd) $HOME-", NULL};
    const char *environment[] = {"PATH=/usr/bin:/bin", NULL};
    SpawnOptions options = {.argv = argv, SPAWN_OPTIONS_INIT, .new_session = true};
    options.environment = environment;
    options.stdout_fd = writer;
    g_assert_true(process_spawn_detached(&options, &error));
    fd_close_pointed(&writer);
    struct pollfd item = {.fd = reader, .events = POLLIN};
    g_assert_cmpint(poll(&item, 1, DEADLINE_MS), ==, 1);
    char text[200] = "";
    g_assert_cmpint(read(reader, text, sizeof text - 1), >, 0);
    g_auto(GStrv) words = g_strsplit(g_strchomp(text), " ", -1);
    g_assert_cmpint(atoi(words[0]), !=, getpid());
    g_assert_cmpstr(words[1], ==, words[2]); /* leads a session of its own */
    g_assert_cmpstr(words[3], ==, "/");
    g_assert_cmpstr(words[4], ==, "-");
    g_assert_cmpint(waitpid(-1, NULL, WNOHANG), ==, -1);
}

/* Role "parent": starts a sleeper that dies with it, says its pid and waits for its own end. */
static int be_parent(void)
{
    printf("%d\n", (int)start_sleeper());
    fflush(stdout);
    pause();
    return 0;
}

static void test_die_with_parent(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    int ends[2];
    g_assert_cmpint(pipe2(ends, O_CLOEXEC), ==, 0);
    autofd int reader = ends[0], writer = ends[1];
    const char *argv[] = {self, "parent", NULL};
    SpawnOptions options = {.argv = argv, SPAWN_OPTIONS_INIT, .die_with_parent = true};
    options.stdout_fd = writer;
    pid_t parent;
    g_assert_true(process_spawn(&options, &parent, &error));
    char text[20] = "";
    g_assert_cmpint(read(reader, text, sizeof text - 1), >, 0);
    ProcessId grandchild = process_id_of(atoi(text));
    g_assert_true(process_is_alive(grandchild));
    g_assert_true(process_signal(process_id_of(parent), SIGKILL, &error));
    reap(parent);
    g_assert_true(process_wait_gone(grandchild, DEADLINE_MS));
}

/* --- running to the end --- */

static bool run_shell(const char *script, int deadline_ms, ProcessResult *result, GError **error)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    return process_run(argv, deadline_ms, result, error);
}

static void test_run(void)
{
    g_autoptr(GError) error = NULL;
    g_auto(ProcessResult) result = {0};
    g_assert_true(run_shell("echo out; echo err >&2; cat; exit 3", DEADLINE_MS, &result, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(result.output, ==, "out\n");
    g_assert_cmpstr(result.errors, ==, "err\n");
    g_assert_cmpint(result.exit_code, ==, 3);
    g_auto(ProcessResult) killed = {0};
    g_assert_true(run_shell("kill -9 $$", DEADLINE_MS, &killed, &error));
    g_assert_cmpint(killed.exit_code, ==, 128 + 9);
}

static void test_run_checked(void)
{
    g_autoptr(GError) error = NULL;
    g_auto(ProcessResult) result = {0};
    const char *argv[] = {"sh", "-c", "echo first >&2; echo 'the cause' >&2; exit 4", NULL};
    g_assert_false(process_run_checked(argv, DEADLINE_MS, &result, &error));
    assert_error(error, QWD_ERROR_INTERNAL, "sh failed (exit code 4): the cause");
    g_auto(ProcessResult) none = {0};
    const char *absent[] = {"qwd-no-such-program", NULL};
    g_assert_false(process_run_checked(absent, DEADLINE_MS, &none, &error));
    assert_error(error, QWD_ERROR_UNAVAILABLE, "qwd-no-such-program");
}

/* Killed at its deadline, and reaped. One whose own child keeps the pipes open does not hold us up for long. */
static void test_run_deadline(void)
{
    g_autoptr(GError) error = NULL;
    g_auto(ProcessResult) result = {0};
    gint64 begin = g_get_monotonic_time();
    g_assert_false(run_shell("echo $$; exec sleep 1000", 300, &result, &error));
    assert_error(error, QWD_ERROR_TIMEOUT, "sh: No answer within 0.3 s.");
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 60 * G_USEC_PER_SEC);
    g_assert_false(process_is_alive(process_id_of(atoi(result.output))));
    g_assert_cmpint(waitpid(-1, NULL, WNOHANG), ==, -1);
    g_assert_false(g_main_context_pending(NULL));
}

typedef struct {
    GString *text;
    int lines; /* to come */
} Told;

/* Gives up waiting as soon as all lines have come. */
static gboolean on_told(int fd, GIOCondition condition, gpointer data)
{
    (void)condition;
    Told *told = data;
    char text[100];
    ssize_t n = read(fd, text, sizeof text);
    g_assert_cmpint(n, >, 0);
    g_string_append_len(told->text, text, n);
    for (ssize_t i = 0; i < n; i++)
        told->lines -= text[i] == '\n';
    if (told->lines == 0)
        wait_cancel(true);
    return G_SOURCE_CONTINUE;
}

/* The program and its child say their pids to $TOLD. */
static void check_tree_ends(const char *script)
{
    g_autoptr(GError) error = NULL;
    g_auto(ProcessResult) result = {0};
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *path = g_build_filename(folder, "told", NULL);
    g_autoptr(GString) text = g_string_new(NULL);
    Told told = {.text = text, .lines = 2};
    g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    g_setenv("TOLD", path, TRUE);
    autofd int reader = open(path, O_RDWR | O_CLOEXEC);
    guint source = g_unix_fd_add(reader, G_IO_IN, on_told, &told);
    g_assert_false(run_shell(script, 600000, &result, &error));
    wait_cancel(false);
    g_source_remove(source);
    assert_error(error, QWD_ERROR_CANCELLED, "sh: ");
    g_auto(GStrv) pids = g_strsplit(g_strchomp(text->str), "\n", -1);
    g_assert_cmpint(g_strv_length(pids), ==, 2);
    for (char **pid = pids; *pid; pid++)
        g_assert_false(process_is_alive(process_id_of(atoi(*pid))));
    g_assert_cmpint(waitpid(-1, NULL, WNOHANG), ==, -1);
}

/* A child in a session of its own ends as well: whether it holds the pipes, whether its parent waits for it. */
static void test_run_tree_ends(void)
{
    check_tree_ends("echo $$ >$TOLD; setsid sh -c 'echo $$ >$TOLD; exec sleep 1000' & wait");
    check_tree_ends("echo $$ >$TOLD; setsid sh -c 'echo $$ >$TOLD; exec sleep 1000 >/dev/null 2>&1' & wait");
    check_tree_ends("echo $$ >$TOLD; setsid sh -c 'echo $$ >$TOLD; exec sleep 1000' & exit 0");
    check_tree_ends("echo $$ >$TOLD; setsid sh -c 'sh -c \"echo \\$\\$ >$TOLD; exec setsid sleep 1000\" & exit' & "
                    "exec sleep 1000");
}

/* What a program leaves behind without its output is not waited for, and not ended: it may be a service. */
static void test_run_leaves_behind(void)
{
    g_autoptr(GError) error = NULL;
    g_auto(ProcessResult) result = {0};
    g_assert_true(run_shell("setsid sleep 1000 >/dev/null 2>&1 & echo $!; exit 6", DEADLINE_MS, &result, &error));
    g_assert_no_error(error);
    g_assert_cmpint(result.exit_code, ==, 6);
    ProcessId left = process_id_of(atoi(result.output));
    g_assert_true(process_is_alive(left));
    g_assert_true(process_signal(left, SIGKILL, &error));
    g_assert_cmpint(waitpid(-1, NULL, WNOHANG), ==, -1);
}

/* Role "runner": runs a program that has a child in a session of its own, which says its pid in a pipe. */
static int be_runner(void)
{
    g_auto(ProcessResult) result = {0};
    run_shell("setsid sh -c 'echo $$ >\"$TOLD\"; exec sleep 1000' & wait", 600000, &result, NULL);
    return 0;
}

/* Whoever runs a program takes its whole tree along, however it ends. */
static void test_run_ends_with_us(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *told = g_build_filename(folder, "told", NULL), *variable = g_strconcat("TOLD=", told, NULL);
    const char *argv[] = {self, "runner", NULL}, *environment[] = {"PATH=/usr/bin:/bin", variable, NULL};
    g_assert_cmpint(mkfifo(told, 0600), ==, 0);
    SpawnOptions options = {.argv = argv, SPAWN_OPTIONS_INIT, .environment = environment};
    pid_t runner;
    g_assert_true(process_spawn(&options, &runner, &error));
    autofd int reader = open(told, O_RDONLY | O_CLOEXEC);
    char text[20] = "";
    g_assert_cmpint(read(reader, text, sizeof text - 1), >, 0);
    ProcessId grandchild = process_id_of(atoi(text));
    g_assert_true(process_is_alive(grandchild));
    g_assert_cmpint(kill(runner, SIGKILL), ==, 0);
    reap(runner);
    g_assert_true(process_wait_gone(grandchild, DEADLINE_MS));
}

static gboolean cancel(gpointer unused)
{
    (void)unused;
    wait_cancel(true);
    return G_SOURCE_REMOVE;
}

static void test_run_cancelled(void)
{
    g_autoptr(GError) error = NULL;
    g_auto(ProcessResult) result = {0};
    g_timeout_add(100, cancel, NULL);
    gint64 begin = g_get_monotonic_time();
    g_assert_false(run_shell("exec sleep 1000", 600000, &result, &error));
    wait_cancel(false);
    assert_error(error, QWD_ERROR_CANCELLED, "sh: ");
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 60 * G_USEC_PER_SEC);
    g_assert_cmpint(waitpid(-1, NULL, WNOHANG), ==, -1);
}

/* The first MiB is kept without a gap; what follows is read and dropped, so that the program comes to its end. */
static void test_run_output_cap(void)
{
    g_autoptr(GError) error = NULL;
    g_auto(ProcessResult) result = {0};
    g_assert_true(run_shell("head -c 3000000 /dev/zero | tr '\\0' x; echo END", DEADLINE_MS, &result, &error));
    g_assert_cmpint(strlen(result.output), ==, 1024 * 1024);
    g_assert_cmpint(strspn(result.output, "x"), ==, 1024 * 1024);
    g_assert_cmpint(result.exit_code, ==, 0);
}

static void test_last_line(void)
{
    static const char *const cases[][2] = {{"", ""},           {"\n\n", ""},        {"a", "a"},          {"a\nb", "b"},
                                           {"a\nb\n \n", "b"}, {"a\r\nb\r\n", "b"}, {"\nonly\n", "only"}};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *line = text_last_line(cases[i][0]);
        g_assert_cmpstr(line, ==, cases[i][1]);
    }
}

static void test_cpu_load(void)
{
    double load = process_cpu_load(process_id_of(getpid()));
    g_assert_cmpfloat(load, >=, 0);
    g_assert_cmpfloat(load, <, 100);
}

int main(int argc, char **argv)
{
    if (argc == 2 && g_str_equal(argv[1], "parent"))
        return be_parent();
    if (argc == 2 && g_str_equal(argv[1], "runner"))
        return be_runner();
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/process/identity", test_identity);
    g_test_add_func("/process/odd-name", test_odd_name);
    g_test_add_func("/process/reused-pid", test_reused_pid);
    g_test_add_func("/process/wait-gone", test_wait_gone);
    g_test_add_func("/process/not-ours", test_not_ours);
    g_test_add_func("/process/spawn-errors", test_spawn_errors);
    g_test_add_func("/process/descriptors", test_descriptors);
    g_test_add_func("/process/detached", test_detached);
    g_test_add_func("/process/die-with-parent", test_die_with_parent);
    g_test_add_func("/process/run", test_run);
    g_test_add_func("/process/run-checked", test_run_checked);
    g_test_add_func("/process/run-deadline", test_run_deadline);
    g_test_add_func("/process/run-tree-ends", test_run_tree_ends);
    g_test_add_func("/process/run-leaves-behind", test_run_leaves_behind);
    g_test_add_func("/process/run-ends-with-us", test_run_ends_with_us);
    g_test_add_func("/process/run-cancelled", test_run_cancelled);
    g_test_add_func("/process/run-output-cap", test_run_output_cap);
    g_test_add_func("/process/last-line", test_last_line);
    g_test_add_func("/process/cpu-load", test_cpu_load);
    return g_test_run();
}
