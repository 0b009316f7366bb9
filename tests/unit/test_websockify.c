/* SPDX-License-Identifier: AGPL-3.0-or-later
 * With the real websockify, on ports of the loopback that are free and on its UNIX socket. */
#include <arpa/inet.h>
#include <errno.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/process.h"
#include "base/wait.h"
#include "display/websockify.h"
#include "paths.h"

#define DEADLINE_MS 60000

typedef struct {
    char *folder, *state, *display, *token_path, *plugins;
    int token_fd; /* listens, -1: no token */
    WebsockifyOptions options;
} Fixture;

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* A listening socket on a port that the kernel chooses. */
static int listen_anywhere(int *port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(fd, 4), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&address, &length), ==, 0);
    *port = ntohs(address.sin_port);
    return fd;
}

/* A port on which nobody listens, of those that the kernel gives to nobody by itself (ip(7)): who connects somewhere
 * meanwhile does not take it. */
static int free_port(void)
{
    for (;;) {
        int port = g_random_int_range(20000, 32768);
        struct sockaddr_in address = loopback(port);
        autofd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0)
            return port;
        g_assert_cmpint(errno, ==, EADDRINUSE);
    }
}

static void set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->folder = g_dir_make_tmp("qwd-websockify-XXXXXX", NULL);
    f->state = g_build_filename(f->folder, "state", NULL);
    f->display = g_build_filename(f->folder, "display", NULL);
    f->token_path = g_build_filename(f->display, "token", NULL);
    f->plugins = source_path("etc/websockify");
    f->token_fd = -1;
    g_assert_true(folder_make_private(f->state, NULL) && folder_make_private(f->display, NULL));
    f->options = (WebsockifyOptions){.program = "websockify",
                                     .state_folder = f->state,
                                     .display_folder = f->display,
                                     .address = "127.0.0.1",
                                     .port = free_port()};
}

static void close_token(Fixture *f)
{
    unlink(f->token_path);
    fd_close_pointed(&f->token_fd);
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    close_token(f);
    g_assert_true(websockify_release(f->state, f->display, NULL));
    g_assert_true(folder_remove(f->folder, NULL));
    g_free(f->folder);
    g_free(f->state);
    g_free(f->display);
    g_free(f->token_path);
    g_free(f->plugins);
}

static void open_token(Fixture *f)
{
    f->token_fd = unix_listen(f->token_path, NULL);
    g_assert_cmpint(f->token_fd, >=, 0);
}

static void ensure(Fixture *f)
{
    g_autoptr(GError) error = NULL;
    websockify_ensure(&f->options, &error);
    g_assert_no_error(error);
}

static void release(Fixture *f)
{
    g_autoptr(GError) error = NULL;
    websockify_release(f->state, f->display, &error);
    g_assert_no_error(error);
}

static ProcessId recorded(Fixture *f)
{
    g_autofree char *path =
        g_build_filename(f->state, f->options.port ? WEBSOCKIFY_PORT_RECORD : "websockify-socket.json", NULL);
    g_autoptr(JsonValue) object = json_object_read(path, 65536, NULL);
    return (ProcessId){(pid_t)json_get_integer(object, "pid", 0), (guint64)json_get_integer(object, "start_ticks", 0)};
}

/* Processes that have this display folder on their command line: websockify, which leads its session, and its forks. */
static int count_processes(Fixture *f, bool leaders_only)
{
    int count = 0;
    g_autoptr(GDir) folder = g_dir_open("/proc", 0, NULL);
    for (const char *name; (name = g_dir_read_name(folder));) {
        g_autofree char *path = g_build_filename("/proc", name, "cmdline", NULL);
        g_autofree char *text = NULL;
        size_t length;
        pid_t pid = (pid_t)atoi(name);
        if (pid > 0 && g_file_get_contents(path, &text, &length, NULL) && (!leaders_only || getsid(pid) == pid))
            count += memmem(text, length, f->display, strlen(f->display)) != NULL;
    }
    return count;
}

/* --- a visitor --- */

static int connect_port(int port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        fd_close_pointed(&fd);
    return fd;
}

static int connect_socket(Fixture *f)
{
    g_autofree char *path = websockify_socket_path(f->state);
    return unix_connect(path, NULL);
}

static int visit(Fixture *f)
{
    struct timeval deadline = {.tv_sec = DEADLINE_MS / 1000};
    int fd = f->options.port ? connect_port(f->options.port) : connect_socket(f);
    if (fd >= 0)
        g_assert_cmpint(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline), ==, 0);
    return fd;
}

/* The answer to a request, as far as it comes in one piece or until it ends. */
static char *ask(int fd, const char *path, const char *headers)
{
    char answer[4096];
    size_t length = 0;
    g_autofree char *request = g_strdup_printf("GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", path, headers);
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request))
        return g_strdup("");
    while (length < sizeof answer - 1) {
        ssize_t n = recv(fd, answer + length, sizeof answer - 1 - length, 0);
        if (n <= 0)
            break;
        length += (size_t)n;
        if (memmem(answer, length, "\r\n\r\n", 4))
            break;
    }
    return g_strndup(answer, length);
}

/* A visitor with a request of its own, and the answer. Websockify hangs up on who says nothing for three seconds, as
 * who is held up does, who then tries again. */
static int visit_and_ask(Fixture *f, const char *path, const char *headers, char **answer)
{
    for (int tries = 0;; tries++) {
        int fd = visit(f);
        g_assert_cmpint(fd, >=, 0);
        *answer = ask(fd, path, headers);
        if (**answer || tries == 5)
            return fd;
        g_free(*answer);
        close(fd);
    }
}

static char *ask_once(Fixture *f, const char *path)
{
    char *answer;
    close(visit_and_ask(f, path, "Connection: close\r\n", &answer));
    return answer;
}

#define UPGRADE                                                                                                        \
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"                                       \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: binary\r\n"

/* A visitor's open display: the websocket, and the end of the token socket. */
typedef struct {
    int web, display;
} Viewer;

static Viewer join(Fixture *f)
{
    Viewer viewer;
    g_autofree char *answer = NULL;
    viewer.web = visit_and_ask(f, "/websockify?token=token", UPGRADE, &answer);
    g_assert_true(g_str_has_prefix(answer, "HTTP/1.1 101 "));
    viewer.display = accept4(f->token_fd, NULL, NULL, SOCK_CLOEXEC);
    g_assert_cmpint(viewer.display, >=, 0);
    g_assert_cmpint(send(viewer.display, "RFB", 3, MSG_NOSIGNAL), ==, 3);
    char frame[5];
    g_assert_cmpint(recv(viewer.web, frame, sizeof frame, MSG_WAITALL), ==, sizeof frame);
    g_assert_cmpmem(frame, sizeof frame, "\x82\x03RFB", 5);
    return viewer;
}

static void viewer_close(Viewer *viewer)
{
    fd_close_pointed(&viewer->web);
    fd_close_pointed(&viewer->display);
}

/* --- one, whoever asks --- */

static void test_one(Fixture *f, gconstpointer unused)
{
    (void)unused;
    enum { STARTERS = 8 };
    pid_t starters[STARTERS];
    for (int i = 0; i < STARTERS; i++) {
        starters[i] = fork();
        if (starters[i] == 0)
            _exit(websockify_ensure(&f->options, NULL) ? 0 : 1);
    }
    for (int i = 0; i < STARTERS; i++) {
        int status;
        g_assert_cmpint(waitpid(starters[i], &status, 0), ==, starters[i]);
        g_assert_cmpint(status, ==, 0);
    }
    g_assert_true(process_is_alive(recorded(f)));
    g_assert_cmpint(getsid(recorded(f).pid), ==, recorded(f).pid); /* no starter's terminal can end it */
    g_autofree char *answer = ask_once(f, "/");
    g_assert_true(g_str_has_prefix(answer, "HTTP/1.1 405 "));
    g_assert_cmpint(count_processes(f, true), ==, 1);
}

static void test_other_port(Fixture *f, gconstpointer unused)
{
    (void)unused;
    ensure(f);
    ProcessId first = recorded(f);
    ensure(f);
    g_assert_cmpint(recorded(f).pid, ==, first.pid);
    int old_port = f->options.port;
    f->options.port = free_port();
    ensure(f);
    g_assert_false(process_is_alive(first));
    g_assert_cmpint(connect_port(old_port), <, 0);
    g_autofree char *answer = ask_once(f, "/");
    g_assert_true(g_str_has_prefix(answer, "HTTP/1.1 405 "));
}

/* --- its end --- */

static void on_died(void *data)
{
    *(bool *)data = true;
}

static bool is_true(void *data)
{
    return *(bool *)data;
}

/* The fork that serves a viewer survives and holds the port; it must not be in the way of the next one. */
static void survive_kill(Fixture *f)
{
    bool died = false;
    open_token(f);
    ensure(f);
    Viewer viewer = join(f);
    websockify_watch(&f->options, on_died, &died);
    g_main_context_iteration(NULL, FALSE);
    g_assert_false(died);
    ProcessId first = recorded(f);
    g_assert_true(process_signal(first, SIGKILL, NULL));
    g_assert_true(wait_until(is_true, &died, DEADLINE_MS, NULL));
    ensure(f);
    g_assert_cmpint(recorded(f).pid, !=, first.pid);
    char byte;
    g_assert_cmpint(recv(viewer.web, &byte, 1, 0), <=, 0);
    viewer_close(&viewer);
    viewer = join(f);
    viewer_close(&viewer);
}

static void test_killed(Fixture *f, gconstpointer unused)
{
    (void)unused;
    survive_kill(f);
}

/* Every supervisor's watch fires, each of them ensures: one websockify. */
static void test_watched_by_many(Fixture *f, gconstpointer unused)
{
    (void)unused;
    bool died[3] = {false};
    ensure(f);
    g_assert_true(process_signal(recorded(f), SIGKILL, NULL));
    for (int i = 0; i < 3; i++)
        websockify_watch(&f->options, on_died, &died[i]);
    for (int i = 0; i < 3; i++) {
        g_assert_true(wait_until(is_true, &died[i], DEADLINE_MS, NULL));
        ensure(f);
    }
    g_autofree char *answer = ask_once(f, "/");
    g_assert_true(g_str_has_prefix(answer, "HTTP/1.1 405 "));
    g_assert_cmpint(count_processes(f, true), ==, 1);
}

/* A watch of nothing fires at once; a removed one never. */
static void test_watch_nothing(Fixture *f, gconstpointer unused)
{
    (void)unused;
    bool died = false, removed = false;
    g_source_remove(websockify_watch(&f->options, on_died, &removed));
    websockify_watch(&f->options, on_died, &died);
    g_assert_false(died);
    g_assert_true(wait_until(is_true, &died, DEADLINE_MS, NULL));
    g_assert_false(removed);
}

/* Its starter died before it could write the record. */
static void test_unrecorded(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *path =
        g_build_filename(f->state, f->options.port ? WEBSOCKIFY_PORT_RECORD : "websockify-socket.json", NULL);
    ensure(f);
    ProcessId first = recorded(f);
    g_assert_true(process_is_alive(first));
    g_autofree char *answer = ask_once(f, "/");
    g_assert_cmpint(unlink(path), ==, 0);
    ensure(f);
    g_assert_false(process_is_alive(first));
    g_free(answer);
    answer = ask_once(f, "/");
    g_assert_true(g_str_has_prefix(answer, "HTTP/1.1 405 "));
}

static void test_release(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *path =
        g_build_filename(f->state, f->options.port ? WEBSOCKIFY_PORT_RECORD : "websockify-socket.json", NULL);
    open_token(f);
    ensure(f);
    Viewer viewer = join(f);
    release(f);
    g_assert_true(process_is_alive(recorded(f)));
    g_assert_cmpint(count_processes(f, false), ==, 2);
    close_token(f);
    release(f);
    g_assert_cmpint(count_processes(f, false), ==, 0);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    char byte;
    while (recv(viewer.web, &byte, 1, 0) > 0) /* a websocket's close frame */
        continue;
    g_assert_cmpint(visit(f), <, 0);
    release(f);
    viewer_close(&viewer);
}

/* --- on its UNIX socket --- */

static void listen_on_socket(Fixture *f)
{
    f->options.port = 0;
    f->options.plugin_folder = f->plugins;
}

static void test_socket_killed(Fixture *f, gconstpointer unused)
{
    (void)unused;
    listen_on_socket(f);
    survive_kill(f);
}

/* The one for direct links is another, and neither is in the other's way. */
static void test_both(Fixture *f, gconstpointer unused)
{
    (void)unused;
    WebsockifyOptions direct = f->options;
    ensure(f);
    ProcessId first = recorded(f);
    listen_on_socket(f);
    ensure(f);
    g_assert_true(process_is_alive(first));
    g_assert_cmpint(count_processes(f, true), ==, 2);
    g_assert_true(process_signal(recorded(f), SIGKILL, NULL) && process_wait_gone(recorded(f), DEADLINE_MS));
    ensure(f);
    g_assert_true(process_is_alive(first) && process_is_alive(recorded(f)));
    g_assert_true(websockify_ensure(&direct, NULL));
    g_assert_true(process_is_alive(first));
    release(f);
    g_assert_cmpint(count_processes(f, false), ==, 0);
}

static void test_socket(Fixture *f, gconstpointer unused)
{
    (void)unused;
    struct stat st;
    g_autofree char *path = websockify_socket_path(f->state);
    open_token(f);
    listen_on_socket(f);
    mode_t mask = umask(0);
    ensure(f);
    umask(mask);
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 07777, ==, 0600);
    for (int i = 0; i < 3; i++) {
        Viewer viewer = join(f);
        viewer_close(&viewer);
    }
    close_token(f);
    release(f);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
}

/* --- what goes wrong --- */

static void test_foreign(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    autofd int foreign = listen_anywhere(&f->options.port);
    g_assert_cmpint(foreign, >=, 0);
    g_assert_false(websockify_ensure(&f->options, &error));
    g_assert_error(error, QWD_ERROR, QWD_ERROR_CONFIG);
    g_autofree char *port = g_strdup_printf("Port %d of 127.0.0.1 is used", f->options.port);
    g_assert_nonnull(strstr(error->message, port));
    g_assert_nonnull(strstr(error->message, "service_port"));
    g_assert_false(websockify_check_port(&f->options, NULL));
    g_assert_cmpint(count_processes(f, false), ==, 0);
    fd_close_pointed(&foreign);
    g_assert_true(websockify_check_port(&f->options, NULL));
    ensure(f);
    g_assert_true(websockify_check_port(&f->options, NULL));
}

static void test_bad_address(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    f->options.address = "192.0.2.1"; /* RFC 5737: nobody's */
    g_assert_false(websockify_ensure(&f->options, &error));
    g_assert_error(error, QWD_ERROR, QWD_ERROR_CONFIG);
    g_assert_nonnull(strstr(error->message, "service_address"));
}

static void test_missing(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    f->options.program = "/nonexistent/websockify";
    g_assert_false(websockify_ensure(&f->options, &error));
    g_assert_error(error, QWD_ERROR, QWD_ERROR_UNAVAILABLE);
}

/* A program that ends at once is not started for ever. */
static void test_ends_at_once(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    int starts = 0;
    gint64 begin_s = g_get_monotonic_time() / G_USEC_PER_SEC;
    f->options.program = "false";
    while (starts < 20 && websockify_ensure(&f->options, &error)) {
        bool died = false;
        websockify_watch(&f->options, on_died, &died);
        g_assert_true(wait_until(is_true, &died, DEADLINE_MS, NULL));
        starts++;
    }
    if (g_get_monotonic_time() / G_USEC_PER_SEC - begin_s < 5) /* else some ends may not have been quick */
        g_assert_cmpint(starts, ==, 5);
    g_assert_cmpint(starts, >=, 5);
    g_assert_error(error, QWD_ERROR, QWD_ERROR_UNAVAILABLE);
    g_assert_nonnull(strstr(error->message, "false --inetd"));
}

/* noVNC's files, and no lists of them. */
static void test_files(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const folders[] = {"/", "/app/", "/core", "/app/images/", "/../", "/app/../"};
    g_autofree char *novnc = g_build_filename(f->folder, "novnc", NULL);
    g_autofree char *images = g_build_filename(novnc, "app", "images", NULL);
    g_autofree char *core = g_build_filename(novnc, "core", NULL);
    g_autofree char *page = g_build_filename(novnc, "vnc.html", NULL);
    g_autofree char *script = g_build_filename(core, "secret-name.js", NULL);
    g_assert_cmpint(g_mkdir_with_parents(images, 0700), ==, 0);
    g_assert_cmpint(g_mkdir_with_parents(core, 0700), ==, 0);
    g_assert_true(g_file_set_contents(page, "the page", -1, NULL));
    g_assert_true(g_file_set_contents(script, "the script", -1, NULL));
    f->options.novnc_folder = novnc;
    ensure(f);
    for (size_t i = 0; i < G_N_ELEMENTS(folders); i++) {
        g_autofree char *listing = ask_once(f, folders[i]);
        g_assert_null(strstr(listing, "Directory listing"));
        g_assert_null(strstr(listing, "secret-name"));
    }
    g_autofree char *answer = ask_once(f, "/vnc.html");
    g_assert_true(g_str_has_prefix(answer, "HTTP/1.1 200 "));
    g_autofree char *answer_script = ask_once(f, "/core/secret-name.js");
    g_assert_true(g_str_has_prefix(answer_script, "HTTP/1.1 200 "));
}

/* The environment of a CGI holds secrets; websockify's is its own. */
static void test_environment(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_setenv("HTTP_COOKIE", "secret", TRUE);
    ensure(f);
    g_unsetenv("HTTP_COOKIE");
    g_autofree char *path = g_strdup_printf("/proc/%d/environ", (int)recorded(f).pid);
    g_autofree char *text = NULL;
    size_t length;
    g_assert_true(g_file_get_contents(path, &text, &length, NULL));
    g_assert_null(memmem(text, length, "HTTP_COOKIE", 11));
    g_assert_nonnull(memmem(text, length, "PATH=", 5));
}

static void add(const char *path, void (*test)(Fixture *, gconstpointer))
{
    g_test_add(path, Fixture, NULL, set_up, test, tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/websockify/one", test_one);
    add("/websockify/other-port", test_other_port);
    add("/websockify/killed", test_killed);
    add("/websockify/watched-by-many", test_watched_by_many);
    add("/websockify/watch-nothing", test_watch_nothing);
    add("/websockify/unrecorded", test_unrecorded);
    add("/websockify/release", test_release);
    add("/websockify/socket", test_socket);
    add("/websockify/socket-killed", test_socket_killed);
    add("/websockify/both", test_both);
    add("/websockify/foreign", test_foreign);
    add("/websockify/bad-address", test_bad_address);
    add("/websockify/missing", test_missing);
    add("/websockify/ends-at-once", test_ends_at_once);
    add("/websockify/files", test_files);
    add("/websockify/environment", test_environment);
    return g_test_run();
}
