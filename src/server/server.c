/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "server/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "server/dispatch.h"
#include "server/listener.h"

/* A viewer takes one connection, loading its page up to six more for a moment. One address may be a whole site behind
 * a proxy, so it gets most of it. */
#define CONNECTIONS_MAX 1000u
#define CONNECTIONS_MAX_PER_ADDRESS 800u

/* The request line, all headers, and the piece of the body at hand must fit; 431 or 414 when they do not. */
#define CONNECTION_MEMORY_BYTES ((size_t)32768)

#define THREAD_STACK_BYTES ((size_t)512 * 1024)

struct Server {
    ServerOptions options;
    char *bases[BASES];
    int port;
    int stop_fd;
    struct MHD_Daemon *daemon;
    Guard *guard;
    GMutex lock;
    GCond work_changed;
    unsigned work; /* pieces under way */
};

/* --- what others ask --- */

const ServerOptions *server_options(const Server *server)
{
    return &server->options;
}

int server_port(const Server *server)
{
    return server->port;
}

int server_stop_fd(const Server *server)
{
    return server->stop_fd;
}

Guard *server_guard(const Server *server)
{
    return server->guard;
}

const char *server_base(const Server *server, ServerBase base)
{
    return server->bases[base];
}

/* --- work --- */

static void add_work(Server *server, int count)
{
    g_mutex_lock(&server->lock);
    server->work += (unsigned)count;
    g_cond_signal(&server->work_changed);
    g_mutex_unlock(&server->lock);
}

void server_work_begin(Server *server)
{
    add_work(server, 1);
}

void server_work_end(Server *server)
{
    add_work(server, -1);
}

/* False when some goes on after five seconds. */
static bool wait_for_work(Server *server)
{
    gint64 deadline = g_get_monotonic_time() + 5 * G_USEC_PER_SEC;
    g_mutex_lock(&server->lock);
    while (server->work > 0 && g_cond_wait_until(&server->work_changed, &server->lock, deadline)) {
    }
    bool none = server->work == 0;
    g_mutex_unlock(&server->lock);
    return none;
}

/* --- log --- */

void server_log(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    for (char *c = g_strchomp(text); *c; c++) {
        if (g_ascii_iscntrl(*c))
            *c = ' ';
    }
    g_autofree char *line = g_strconcat("qwd-server: ", text, "\n", NULL);
    /* In one piece, because many threads and programs write there; there is nobody to tell of a failure. */
    ssize_t ignored = write(STDERR_FILENO, line, strlen(line));
    (void)ignored;
}

static void log_daemon(void *data, const char *format, va_list args) G_GNUC_PRINTF(2, 0);

/* libmicrohttpd tells of every client that misbehaves. */
static void log_daemon(void *data, const char *format, va_list args)
{
    const Server *server = data;
    g_autofree char *text = g_strdup_vprintf(format, args);
    if (server->options.verbose)
        server_log("%s", text);
}

/* --- life --- */

/* "/x" with `end` behind it, for "x", "/x" and "/x/"; "/" for "/" and "". */
static char *make_base(const char *path, const char *end)
{
    g_autofree char *inner = g_strdup(path);
    while (g_str_has_suffix(inner, "/"))
        inner[strlen(inner) - 1] = '\0';
    const char *begin = inner + strspn(inner, "/");
    return *begin ? g_strconcat("/", begin, end, NULL) : g_strdup("/");
}

static Server *server_new(const ServerOptions *options)
{
    Server *server = g_new0(Server, 1);
    server->options = *options;
    server->bases[BASE_ROOT] = g_strdup("/");
    server->bases[BASE_PAGE] = make_base(options->settings->service_page, "/");
    server->bases[BASE_SCRIPT] = make_base(options->settings->service_script, "");
    if (*options->settings->service_path)
        server->bases[BASE_DISPLAY] = make_base(options->settings->service_path, "/");
    server->port = listener_port(options->listen_fd);
    server->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->guard = guard_new(options->request_deadline_ms);
    g_mutex_init(&server->lock);
    g_cond_init(&server->work_changed);
    return server;
}

static void server_free(Server *server)
{
    for (int i = 0; i < BASES; i++)
        g_free(server->bases[i]);
    fd_close_pointed(&server->stop_fd);
    guard_free(server->guard);
    g_mutex_clear(&server->lock);
    g_cond_clear(&server->work_changed);
    g_free(server);
}

static struct MHD_Daemon *start_daemon(Server *server)
{
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL | MHD_USE_ITC |
                     MHD_ALLOW_UPGRADE | MHD_USE_ERROR_LOG;
    if (listener_is_ipv6(server->options.listen_fd))
        flags |= MHD_USE_DUAL_STACK;
    struct MHD_OptionItem items[] = {
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)log_daemon, server},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)dispatch_begin, server},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)dispatch_connection, server},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)dispatch_end, server},
        {MHD_OPTION_LISTEN_SOCKET, server->options.listen_fd, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, NULL},
        {MHD_OPTION_PER_IP_CONNECTION_LIMIT, CONNECTIONS_MAX_PER_ADDRESS, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, DISPATCH_IDLE_S, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)CONNECTION_MEMORY_BYTES, NULL},
        {MHD_OPTION_THREAD_STACK_SIZE, (intptr_t)THREAD_STACK_BYTES, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    return MHD_start_daemon(flags, 0, NULL, NULL, dispatch_request, server, MHD_OPTION_ARRAY, items, MHD_OPTION_END);
}

/* Two descriptors for each tunnel, three for each CGI program. */
static void allow_descriptors(void)
{
    struct rlimit limit;
    rlim_t wanted = 4 * CONNECTIONS_MAX;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = MIN(wanted, limit.rlim_max);
    setrlimit(RLIMIT_NOFILE, &limit);
}

Server *server_start(const ServerOptions *options, GError **error)
{
    allow_descriptors();
    Server *server = server_new(options);
    server->daemon = start_daemon(server);
    if (server->daemon)
        return server;
    qwd_error_fail(error, QWD_ERROR_INTERNAL, "The HTTP library does not start.");
    server_free(server);
    return NULL;
}

void server_stop(Server *server)
{
    if (!server)
        return;
    int listen_fd = MHD_quiesce_daemon(server->daemon);
    fd_close_pointed(&listen_fd);
    eventfd_write(server->stop_fd, 1);
    /* First the tunnels, which the library must not find open; then what the last requests left behind. */
    wait_for_work(server);
    MHD_stop_daemon(server->daemon);
    if (wait_for_work(server))
        server_free(server);
}
