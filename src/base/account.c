/* SPDX-License-Identifier: AGPL-3.0-or-later
 * How it works: parent and child share a stream socket, the channel, on which the child asks, reports, and sends its
 * result or error, and two pipes for what it prints. The parent copies until all three are closed; then it reaps. */
#include "base/account.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/account_channel.h"
#include "base/error.h"
#include "base/fd.h"

/* --- becoming the account --- */

static const struct passwd *find_account(const char *user, GError **error)
{
    errno = 0;
    const struct passwd *account = getpwnam(user);
    if (!account)
        qwd_error_fail(error, QWD_ERROR_CONFIG, "There is no account \"%s\" to run the service. Set service_user.%s%s",
                       user, errno ? " " : "", errno ? g_strerror(errno) : "");
    else if (account->pw_uid == 0 || account->pw_gid == 0)
        qwd_error_fail(error, QWD_ERROR_CONFIG,
                       "The account \"%s\" has root's rights. Set service_user to an account without.", user);
    else
        return account;
    return NULL;
}

/* Real, effective and saved ids are the account's, and the kernel refuses to bring root back. */
static bool root_is_gone(const struct passwd *account)
{
    uid_t uids[3];
    gid_t gids[3];
    if (getresuid(&uids[0], &uids[1], &uids[2]) < 0 || getresgid(&gids[0], &gids[1], &gids[2]) < 0)
        return false;
    for (int i = 0; i < 3; i++) {
        if (uids[i] != account->pw_uid || gids[i] != account->pw_gid)
            return false;
    }
    return setuid(0) < 0 && setgid(0) < 0;
}

/* The change of ids makes the process undumpable (credentials(7)): others of the account cannot trace it, and its
 * files in /proc are root's. It stays so. */
static bool change_ids(const struct passwd *account, GError **error)
{
    if (initgroups(account->pw_name, account->pw_gid) < 0 ||
        setresgid(account->pw_gid, account->pw_gid, account->pw_gid) < 0 ||
        setresuid(account->pw_uid, account->pw_uid, account->pw_uid) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
        return qwd_error_errno(error, errno, "Cannot become the account \"%s\"", account->pw_name);
    if (!root_is_gone(account))
        return qwd_error_fail(error, QWD_ERROR_INTERNAL, "The account \"%s\" could become root again.",
                              account->pw_name);
    return true;
}

static bool is_kept_variable(const char *variable)
{
    static const char *const names[] = {"PATH",      "LANG",        "LANGUAGE",   "TZ",          "TERM",
                                        "NO_COLOR",  "TMPDIR",      "http_proxy", "https_proxy", "no_proxy",
                                        "all_proxy", "HTTPS_PROXY", "NO_PROXY",   "ALL_PROXY",   "APACHE_CONFDIR",
                                        "FAKETIME",  NULL};
    return g_strv_contains(names, variable) || g_str_has_prefix(variable, "LC_") ||
           g_str_has_prefix(variable, "QWD_") || g_str_has_suffix(variable, "SAN_OPTIONS");
}

/* Root's environment may have secrets, and sockets of root's agents. */
static void reduce_environment(const struct passwd *account)
{
    g_auto(GStrv) names = g_listenv();
    for (char **name = names; *name; name++) {
        if (!is_kept_variable(*name))
            g_unsetenv(*name);
    }
    g_setenv("HOME", account->pw_dir, TRUE);
    g_setenv("USER", account->pw_name, TRUE);
    g_setenv("LOGNAME", account->pw_name, TRUE);
}

bool account_is_root(void)
{
    return getuid() == 0 || geteuid() == 0;
}

/* --- the child --- */

static struct {
    AccountChannel *channel; /* NULL: this process is no such child */
    bool has_terminal[3];
} child;

bool account_has_terminal(int fd)
{
    return child.channel ? child.has_terminal[fd] : isatty(fd);
}

bool account_is_child(void)
{
    return child.channel != NULL;
}

bool account_confirm(const char *question, bool otherwise)
{
    fflush(NULL);
    return account_channel_ask(child.channel, question, otherwise);
}

void account_progress(int percent)
{
    account_channel_report(child.channel, percent);
}

/* A signal when the parent ends. The change of ids has taken such a bond away, so it comes last. */
static bool bind_to_parent(pid_t parent, int signal_number, GError **error)
{
    return (prctl(PR_SET_PDEATHSIG, signal_number) == 0 && getppid() == parent) ||
           qwd_error_fail(error, QWD_ERROR_CANCELLED, "The command has been ended.");
}

/* A child has the keys of its parent's session keyring (session-keyring(7)). Fails where the kernel has no keys. */
static void leave_keyring(void)
{
    syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0);
}

/* No descriptor of root's stays open but those of the work. */
static bool detach_from_root(const int streams[3], int channel, int fd, GError **error)
{
    int kept[2] = {MIN(channel, fd > 2 ? fd : channel), MAX(channel, fd)};
    if (setsid() < 0 || dup2(streams[0], 0) < 0 || dup2(streams[1], 1) < 0 || dup2(streams[2], 2) < 0)
        return qwd_error_errno(error, errno, "Cannot leave the terminal");
    leave_keyring();
    if (chdir("/") < 0)
        return qwd_error_errno(error, errno, "Cannot leave the working folder");
    close_range(3, (unsigned)kept[0] - 1, 0);
    if (kept[1] > kept[0] + 1)
        close_range((unsigned)kept[0] + 1, (unsigned)kept[1] - 1, 0);
    close_range((unsigned)kept[1] + 1, ~0U, 0);
    return true;
}

static char *run_work(const struct passwd *account, const AccountWork *work, pid_t parent, GError **error)
{
    if (!change_ids(account, error))
        return NULL;
    reduce_environment(account);
    return bind_to_parent(parent, SIGTERM, error) ? work->run(work->data, error) : NULL;
}

static void end_child(void)
{
    fflush(NULL);
#ifdef __SANITIZE_ADDRESS__
    _exit(0); /* the search for leaks needs a process that can be traced */
#else
    exit(0);
#endif
}

/* --- the parent --- */

typedef struct {
    int null, channel[2], output[2], errors[2];
} Pipes;

static void pipes_clear(Pipes *pipes)
{
    fd_close_pointed(&pipes->null);
    for (int i = 0; i < 2; i++) {
        fd_close_pointed(&pipes->channel[i]);
        fd_close_pointed(&pipes->output[i]);
        fd_close_pointed(&pipes->errors[i]);
    }
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Pipes, pipes_clear)

/* Whether both streams end in one file: then they share a pipe, and keep their order. */
static bool is_same_file(int one, int other)
{
    struct stat a, b;
    return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static bool pipes_open(Pipes *pipes, GError **error)
{
    *pipes = (Pipes){-1, {-1, -1}, {-1, -1}, {-1, -1}};
    pipes->null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (pipes->null < 0 || pipe2(pipes->output, O_CLOEXEC) < 0 ||
        (!is_same_file(1, 2) && pipe2(pipes->errors, O_CLOEXEC) < 0))
        return qwd_error_errno(error, errno, "Cannot open a pipe");
    return unix_pair(&pipes->channel[0], &pipes->channel[1], error);
}

static void run_child(const struct passwd *account, const AccountWork *work, Pipes *pipes, pid_t parent)
{
    g_autoptr(GError) error = NULL;
    int errors = pipes->errors[1] >= 0 ? pipes->errors[1] : pipes->output[1];
    for (int fd = 0; fd < 3; fd++)
        child.has_terminal[fd] = isatty(fd);
    child.channel = account_channel_new(pipes->channel[1]);
    g_autofree char *result = NULL;
    if (detach_from_root((const int[]){pipes->null, pipes->output[1], errors}, pipes->channel[1], work->fd, &error))
        result = run_work(account, work, parent, &error);
    fflush(NULL);
    account_channel_end(child.channel, result, error);
    end_child();
}

/* Signals that would end this process. They are forwarded, so that it outlives the child. */
typedef struct {
    int fd;        /* signalfd(2) */
    sigset_t mask; /* of the process, as it was before */
} Signals;

typedef struct {
    const AccountWork *work;
    AccountChannel *channel;
    const Signals *signals;
    int output, errors;
    pid_t pid;
    bool is_output_open, is_errors_open, is_channel_open;
    int signal_number; /* the last one that was forwarded; 0 none */
} Watch;

static void on_signal(Watch *watch)
{
    struct signalfd_siginfo info;
    if (read(watch->signals->fd, &info, sizeof info) != sizeof info)
        return;
    bool is_second = watch->signal_number != 0;
    watch->signal_number = (int)info.ssi_signo;
    kill(watch->pid, is_second ? SIGKILL : watch->signal_number);
    kill(watch->pid, SIGCONT); /* another process of the account may have stopped it */
}

/* Whether our stream takes output. Waits for it, but not after a signal. */
static bool is_writable(Watch *watch, int to)
{
    struct pollfd fds[] = {{.fd = to, .events = POLLOUT}, {.fd = watch->signals->fd, .events = POLLIN}};
    while (poll(fds, G_N_ELEMENTS(fds), watch->signal_number ? 0 : -1) < 0 && errno == EINTR)
        continue;
    if (fds[1].revents)
        on_signal(watch);
    return fds[0].revents != 0;
}

/* Copies output of the child. False when it cannot be written any more; without messages the work goes on, and work
 * that serves without all output. */
static bool relay(Watch *watch, int from, int to, bool *is_open, GError **error)
{
    char buffer[PIPE_BUF]; /* as much as a stream takes that is writable */
    bool writable = is_writable(watch, to), may_fail = watch->work->is_long || to == STDERR_FILENO;
    ssize_t n = read(from, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR)
        return true;
    *is_open = n > 0;
    return n <= 0 || !writable || account_output_write(to, buffer, (size_t)n, may_fail ? NULL : error) || may_fail;
}

/* Output that was printed before a question is shown before it. */
static bool drain(Watch *watch, GError **error)
{
    const int from[] = {watch->errors, watch->output}, to[] = {2, 1};
    bool *const open[] = {&watch->is_errors_open, &watch->is_output_open};
    for (int i = 0; i < 2; i++) {
        struct pollfd ready = {.fd = from[i], .events = POLLIN};
        while (*open[i] && poll(&ready, 1, 0) > 0) {
            if (!relay(watch, from[i], to[i], open[i], error))
                return false;
        }
    }
    return true;
}

/* Ctrl-C at the question ends this process, and with it the child. */
static bool confirm(const Watch *watch, const char *question, bool otherwise)
{
    sigset_t blocked;
    sigprocmask(SIG_SETMASK, &watch->signals->mask, &blocked);
    bool answer = watch->work->confirm && watch->work->confirm(question, otherwise);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    return answer;
}

static bool on_message(Watch *watch, GError **error)
{
    AccountMessage message;
    watch->is_channel_open = account_channel_receive(watch->channel, &message);
    if (!watch->is_channel_open)
        return true;
    if (!drain(watch, error))
        return false;
    if (message.kind == ACCOUNT_PROGRESS && watch->work->progress)
        watch->work->progress(message.number);
    if (message.kind == ACCOUNT_QUESTION)
        account_channel_answer(watch->channel, confirm(watch, message.text, message.number));
    return true;
}

static bool serve_once(Watch *watch, GError **error)
{
    struct pollfd fds[] = {
        {.fd = watch->is_errors_open ? watch->errors : -1, .events = POLLIN},
        {.fd = watch->is_output_open ? watch->output : -1, .events = POLLIN},
        {.fd = watch->is_channel_open ? account_channel_fd(watch->channel) : -1, .events = POLLIN},
        {.fd = watch->signals->fd, .events = POLLIN},
    };
    if (poll(fds, G_N_ELEMENTS(fds), -1) < 0)
        return errno == EINTR || qwd_error_errno(error, errno, "Cannot wait for the account's work");
    if (fds[3].revents)
        on_signal(watch);
    return (!fds[0].revents || relay(watch, watch->errors, 2, &watch->is_errors_open, error)) &&
           (!fds[1].revents || relay(watch, watch->output, 1, &watch->is_output_open, error)) &&
           (!fds[2].revents || on_message(watch, error));
}

/* The work is over when the channel closes. A program that the child has started may hold the pipes for longer. */
static bool serve(Watch *watch, GError **error)
{
    while (watch->is_channel_open) {
        if (!serve_once(watch, error))
            return false;
    }
    return drain(watch, error);
}

static int reap(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

/* A signal that has ended the child was meant for both. */
static char *result_of_child(Watch *watch, int status, GError **error)
{
    g_autoptr(GError) cause = NULL;
    char *result = account_channel_result(watch->channel, &cause);
    if (!result && !cause && watch->signal_number && !watch->work->is_long) {
        signal(watch->signal_number, SIG_DFL);
        raise(watch->signal_number);
    }
    if (!result && !cause)
        qwd_error_fail(&cause, QWD_ERROR_INTERNAL, "The work of the service account broke off (status %d).", status);
    if (cause)
        g_propagate_error(error, g_steal_pointer(&cause));
    return result;
}

static char *serve_child(const AccountWork *work, Pipes *pipes, pid_t pid, const Signals *signals, GError **error)
{
    fd_close_pointed(&pipes->channel[1]);
    fd_close_pointed(&pipes->output[1]);
    fd_close_pointed(&pipes->errors[1]);
    if (work->fd)
        close(work->fd);
    if (work->is_long)
        signal(SIGPIPE, SIG_IGN);
    Watch watch = {.work = work,
                   .channel = account_channel_new(pipes->channel[0]),
                   .output = pipes->output[0],
                   .errors = pipes->errors[0],
                   .signals = signals,
                   .pid = pid,
                   .is_output_open = true,
                   .is_errors_open = pipes->errors[0] >= 0,
                   .is_channel_open = true};
    bool good = serve(&watch, error);
    if (!account_channel_has_result(watch.channel))
        kill(pid, SIGKILL); /* it has ended, or never will */
    int status = reap(pid);
    account_output_end();
    char *result = good ? result_of_child(&watch, status, error) : NULL;
    account_channel_free(watch.channel);
    return result;
}

static Signals signals_block(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    Signals signals;
    sigset_t blocked;
    sigemptyset(&blocked);
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
        sigaddset(&blocked, numbers[i]);
    sigprocmask(SIG_BLOCK, &blocked, &signals.mask);
    signals.fd = signalfd(-1, &blocked, SFD_CLOEXEC | SFD_NONBLOCK);
    return signals;
}

static void signals_restore(Signals *signals)
{
    fd_close_pointed(&signals->fd);
    sigprocmask(SIG_SETMASK, &signals->mask, NULL);
}

static char *run_as(const struct passwd *account, const AccountWork *work, GError **error)
{
    g_auto(Pipes) pipes;
    if (!pipes_open(&pipes, error))
        return NULL;
    fflush(NULL);
    Signals signals = signals_block();
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        signals_restore(&signals);
        run_child(account, work, &pipes, parent);
    }
    char *result = NULL;
    if (pid > 0)
        result = serve_child(work, &pipes, pid, &signals, error);
    else
        qwd_error_errno(error, errno, "Cannot start a process");
    signals_restore(&signals);
    return result;
}

char *account_run(const char *user, const AccountWork *work, GError **error)
{
    if (!account_is_root())
        return work->run(work->data, error);
    const struct passwd *account = find_account(user, error);
    return account ? run_as(account, work, error) : NULL;
}

/* --- programs of the account --- */

/* A process that has root's terminal can type into root's shell. */
static bool has_terminal(void)
{
    autofd int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    return terminal >= 0 || isatty(0) || isatty(1) || isatty(2);
}

bool account_drop(const char *user, GError **error)
{
    if (!account_is_root())
        return true;
    setsid(); /* fails for who leads a group, and may have a terminal then */
    leave_keyring();
    if (has_terminal())
        return qwd_error_fail(error, QWD_ERROR_DENIED, "This program does not run as root on a terminal.");
    int signal_of_parent = 0;
    pid_t parent = getppid();
    prctl(PR_GET_PDEATHSIG, &signal_of_parent);
    const struct passwd *account = find_account(user, error);
    if (!account || !change_ids(account, error))
        return false;
    reduce_environment(account);
    return !signal_of_parent || bind_to_parent(parent, signal_of_parent, error);
}

bool account_is_of_people(uid_t account)
{
    const uid_t first = 1000, first_dynamic = 61184, last_dynamic = 65535; /* of systemd's services; and nobody */
    if (account == 0)
        return true;
    if (account < first || (account >= first_dynamic && account <= last_dynamic))
        return false;
    const struct passwd *entry = getpwuid(account);
    return entry && !g_str_has_suffix(entry->pw_shell, "/nologin") && !g_str_has_suffix(entry->pw_shell, "/false");
}
