/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "display/websockify.h"

#include <errno.h>
#include <glib-unix.h>
#include <netdb.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/process.h"
#include "display/webroot.h"

#define RECORD_MAX_BYTES 65536
#define LISTEN_BACKLOG 128
#define TERM_DEADLINE_MS 3000
#define KILL_DEADLINE_MS 10000

#define SOCKET_NAME "websockify.socket"
#define UNIX_PLUGIN "--auth-plugin=qwd_viewer.UnixViewer"

/* Ending this often this soon after the start is not bad luck; after the pause it may be tried again. */
#define QUICK_END_S 5
#define QUICK_ENDS_MAX 5
#define QUICK_ENDS_PAUSE_S 60

/* --- the record --- */

typedef struct {
    ProcessId id;
    char *command;
    gint64 started_s; /* of the monotonic clock */
    gint64 quick_ends;
    gint64 port; /* for those who look for the running one; 0: the UNIX socket */
} Record;

static void record_clear(Record *record)
{
    g_clear_pointer(&record->command, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Record, record_clear)

static char *state_path(const char *folder, const char *name)
{
    return g_build_filename(folder, name, NULL);
}

static const char *record_name(const WebsockifyOptions *options)
{
    return options->port ? WEBSOCKIFY_PORT_RECORD : "websockify-socket.json";
}

/* An absent or broken record is one of no process. */
static Record record_read(const WebsockifyOptions *options)
{
    g_autofree char *path = state_path(options->state_folder, record_name(options));
    g_autoptr(JsonValue) object = json_object_read(path, RECORD_MAX_BYTES, NULL);
    if (!object)
        return (Record){.command = g_strdup("")};
    return (Record){
        .id = {(pid_t)json_get_integer(object, "pid", 0), (guint64)json_get_integer(object, "start_ticks", 0)},
        .command = g_strdup(json_get_text(object, "command", "")),
        .started_s = json_get_integer(object, "started_s", 0),
        .quick_ends = json_get_integer(object, "quick_ends", 0),
    };
}

static bool record_write(const WebsockifyOptions *options, const Record *record, GError **error)
{
    g_autofree char *path = state_path(options->state_folder, record_name(options));
    g_autoptr(JsonValue) object = json_pack("{s:I, s:I, s:s, s:I, s:I, s:I}", "pid", (json_int_t)record->id.pid,
                                            "start_ticks", (json_int_t)record->id.start_ticks, "command",
                                            record->command, "started_s", (json_int_t)record->started_s, "quick_ends",
                                            (json_int_t)record->quick_ends, "port", (json_int_t)record->port);
    if (!object)
        return qwd_error_fail(error, QWD_ERROR_INTERNAL, "Cannot record websockify: a path is not UTF-8.");
    return json_object_write(path, object, FILE_WRITE_FAST, error);
}

static int lock_state(const char *state_folder, GError **error)
{
    g_autofree char *path = state_path(state_folder, "websockify.lock");
    return file_lock(path, error);
}

/* --- ending --- */

static char *token_source_argument(const WebsockifyOptions *options)
{
    return g_strdup_printf("--token-source=%s", options->display_folder);
}

typedef struct {
    char *token_source;
    bool is_unix;
    pid_t session; /* which every websockify leads */
} Leftovers;

typedef void (*ProcessVisit)(ProcessId id, Leftovers *leftovers);

static void for_each_process(ProcessVisit visit, Leftovers *leftovers)
{
    g_autoptr(GDir) processes = g_dir_open("/proc", 0, NULL);
    for (const char *name; processes && (name = g_dir_read_name(processes));) {
        ProcessId id = process_id_of((pid_t)g_ascii_strtoll(name, NULL, 10));
        if (process_is_alive(id))
            visit(id, leftovers);
    }
}

/* The command line of a process of ours, words separated by NUL; empty for one that is about to be gone. */
static char *command_line(pid_t pid, size_t *length)
{
    struct stat st;
    g_autofree char *path = g_strdup_printf("/proc/%d/cmdline", (int)pid);
    char *text = NULL;
    if (stat(path, &st) < 0 || st.st_uid != geteuid() || !g_file_get_contents(path, &text, length, NULL))
        return NULL;
    return text;
}

static bool has_word(const char *text, size_t length, const char *wanted)
{
    const char *word = text;
    while (word < text + length && !g_str_equal(word, wanted))
        word += strlen(word) + 1;
    return word < text + length;
}

/* Websockify and its forks for viewers are known by the display folder that they serve, and by where they listen. */
static void kill_if_ours(ProcessId id, Leftovers *leftovers)
{
    size_t length = 0;
    g_autofree char *text = command_line(id.pid, &length);
    if (!has_word(text, length, leftovers->token_source) || has_word(text, length, UNIX_PLUGIN) != leftovers->is_unix)
        return;
    leftovers->session = getsid(id.pid);
    if (process_signal(id, SIGKILL, NULL))
        process_wait_gone(id, KILL_DEADLINE_MS);
}

static void wait_if_leaving(ProcessId id, Leftovers *leftovers)
{
    size_t length = 1;
    g_autofree char *text = command_line(id.pid, &length);
    if (text && length == 0 && leftovers->session > 0 && getsid(id.pid) == leftovers->session)
        process_wait_gone(id, KILL_DEADLINE_MS);
}

/* Ends what is left of a killed websockify: its forks hold the listening socket. And one whose starter died before it
 * could write the record. A process that is about to be gone has no command line any more, and still the socket. */
static void end_leftovers(const WebsockifyOptions *options, pid_t session)
{
    g_autofree char *token_source = token_source_argument(options);
    Leftovers leftovers = {token_source, options->port == 0, session};
    for_each_process(kill_if_ours, &leftovers);
    for_each_process(wait_if_leaving, &leftovers);
}

static void end_all(const WebsockifyOptions *options, ProcessId recorded)
{
    if (process_signal(recorded, SIGTERM, NULL))
        process_wait_gone(recorded, TERM_DEADLINE_MS);
    end_leftovers(options, recorded.pid);
}

/* --- starting --- */

static bool fail_listen(const WebsockifyOptions *options, int saved_errno, GError **error)
{
    if (saved_errno == EADDRINUSE)
        return qwd_error_fail(error, QWD_ERROR_CONFIG,
                              "Port %d of %s is used by another program. Choose another service_port.", options->port,
                              options->address);
    return qwd_error_fail(error, QWD_ERROR_CONFIG,
                          "Cannot listen on port %d of %s: %s. Check service_port and service_address.", options->port,
                          options->address, g_strerror(saved_errno));
}

/* -1 with errno. */
static int listen_at(const struct addrinfo *info)
{
    int on = 1;
    autofd int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
        return -1;
    return fd_steal(&fd);
}

static int listen_tcp(const WebsockifyOptions *options, GError **error)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    g_autofree char *port = g_strdup_printf("%d", options->port);
    int code = getaddrinfo(*options->address ? options->address : NULL, port, &hints, &list);
    if (code != 0) {
        qwd_error_fail(error, QWD_ERROR_CONFIG, "service_address = %s: %s.", options->address, gai_strerror(code));
        return -1;
    }
    int fd = listen_at(list);
    int saved_errno = errno;
    freeaddrinfo(list);
    if (fd < 0)
        fail_listen(options, saved_errno, error);
    return fd;
}

char *websockify_socket_path(const char *state_folder)
{
    return state_path(state_folder, SOCKET_NAME);
}

/* What is there is of a websockify that has ended. */
static int listen_unix(const WebsockifyOptions *options, GError **error)
{
    g_autofree char *path = websockify_socket_path(options->state_folder);
    unlink(path);
    autofd int fd = unix_listen(path, error);
    if (fd < 0)
        return -1;
    if (listen(fd, LISTEN_BACKLOG) < 0) {
        qwd_error_errno(error, errno, "Cannot listen on %s", path);
        return -1;
    }
    return fd_steal(&fd);
}

/* The path of the folder to serve, NULL when there is none. */
static char *web_path(const WebsockifyOptions *options)
{
    return options->novnc_folder ? state_path(options->state_folder, "websockify-web") : NULL;
}

/* A ping every 30 s keeps web servers in between from ending a still desktop's connection. */
static char **command_new(const WebsockifyOptions *options)
{
    g_autoptr(GStrvBuilder) command = g_strv_builder_new();
    g_autofree char *token_source = token_source_argument(options);
    g_autofree char *web = web_path(options);
    g_strv_builder_add_many(command, options->program, "--inetd", "--heartbeat=30",
                            "--token-plugin=UnixDomainSocketDirectory", token_source, NULL);
    if (web) {
        g_autofree char *argument = g_strdup_printf("--web=%s", web);
        g_strv_builder_add(command, argument);
    }
    if (options->plugin_folder)
        g_strv_builder_add(command, options->port ? "--auth-plugin=qwd_viewer.Viewer" : UNIX_PLUGIN);
    return g_strv_builder_end(command);
}

/* The caller's environment stays here: a CGI's holds a visitor's cookies. */
static bool spawn(const WebsockifyOptions *options, char **command, ProcessId *id, GError **error)
{
    autofd int listener = options->port ? listen_tcp(options, error) : listen_unix(options, error);
    if (listener < 0)
        return false;
    const char *path = g_getenv("PATH");
    g_autofree char *path_variable = g_strdup_printf("PATH=%s", path ? path : "/usr/local/bin:/usr/bin:/bin");
    g_autofree char *plugins = g_strdup_printf("PYTHONPATH=%s", options->plugin_folder ? options->plugin_folder : "");
    const char *environment[] = {path_variable, "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1", plugins, NULL};
    SpawnOptions how = {.argv = (const char *const *)command, SPAWN_OPTIONS_INIT, .environment = environment};
    how.stdin_fd = listener;
    how.new_session = true;
    return process_spawn_reaped(&how, id, error);
}

/* Counts the ends right after the start; false when there were too many. */
static bool check_quick_ends(Record *record, const char *command, GError **error)
{
    gint64 age_s = g_get_monotonic_time() / G_USEC_PER_SEC - record->started_s;
    if (!record->id.pid || age_s < 0 || age_s > QUICK_ENDS_PAUSE_S)
        record->quick_ends = 0;
    else if (age_s < QUICK_END_S && record->quick_ends < QUICK_ENDS_MAX)
        record->quick_ends++;
    if (record->quick_ends < QUICK_ENDS_MAX)
        return true;
    return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE,
                          "websockify ends again and again right after its start. To see why, run: %s", command);
}

static bool start(const WebsockifyOptions *options, Record *record, char **command, GError **error)
{
    g_autofree char *web = web_path(options);
    if (web && !webroot_make(options->novnc_folder, web, error))
        return false;
    if (!spawn(options, command, &record->id, error))
        return false;
    record->started_s = g_get_monotonic_time() / G_USEC_PER_SEC;
    record->port = options->port;
    return record_write(options, record, error);
}

/* What is compared: the command line and where it listens. */
static char *describe(const WebsockifyOptions *options, char **command)
{
    g_autofree char *line = g_strjoinv(" ", command);
    if (!options->port)
        return g_strdup_printf("%s # %s/" SOCKET_NAME, line, options->state_folder);
    return g_strdup_printf("%s # %s port %d", line, options->address, options->port);
}

/* --- what others call --- */

bool websockify_ensure(const WebsockifyOptions *options, GError **error)
{
    autofd int lock = lock_state(options->state_folder, error);
    if (lock < 0)
        return false;
    g_auto(Record) record = record_read(options);
    g_auto(GStrv) command = command_new(options);
    g_autofree char *description = describe(options, command);
    bool alive = process_is_alive(record.id);
    if (alive && g_str_equal(record.command, description))
        return true;
    if (!alive && !check_quick_ends(&record, description, error))
        return false;
    end_all(options, record.id);
    g_free(record.command);
    record.command = g_steal_pointer(&description);
    return start(options, &record, command, error);
}

bool websockify_is_needed(const char *display_folder)
{
    g_autoptr(GDir) folder = g_dir_open(display_folder, 0, NULL);
    for (const char *name; folder && (name = g_dir_read_name(folder));) {
        struct stat st;
        g_autofree char *entry = g_build_filename(display_folder, name, NULL);
        if (lstat(entry, &st) == 0 && S_ISSOCK(st.st_mode))
            return true;
    }
    return false;
}

static bool release_one(const WebsockifyOptions *options, GError **error)
{
    g_auto(Record) record = record_read(options);
    g_autofree char *record_path = state_path(options->state_folder, record_name(options));
    g_autofree char *served = state_path(options->state_folder, options->port ? "websockify-web" : SOCKET_NAME);
    end_all(options, record.id);
    unlink(record_path);
    return options->port ? folder_remove(served, error) : unlink(served) == 0 || errno == ENOENT;
}

bool websockify_release(const char *state_folder, const char *display_folder, GError **error)
{
    WebsockifyOptions through_socket = {.state_folder = state_folder, .display_folder = display_folder};
    WebsockifyOptions direct = through_socket;
    direct.port = 1; /* any: they have one record */
    autofd int lock = lock_state(state_folder, error);
    if (lock < 0)
        return false;
    if (websockify_is_needed(display_folder))
        return true;
    return release_one(&through_socket, error) && release_one(&direct, error);
}

bool websockify_check_port(const WebsockifyOptions *options, GError **error)
{
    g_auto(Record) record = record_read(options);
    if (process_is_alive(record.id))
        return true;
    autofd int fd = listen_tcp(options, error);
    return fd >= 0;
}

typedef struct {
    WebsockifyDied died;
    void *data;
    int pidfd;
} Watch;

static void watch_free(gpointer data)
{
    Watch *watch = data;
    fd_close_pointed(&watch->pidfd);
    g_free(watch);
}

static gboolean on_gone(gpointer data)
{
    const Watch *watch = data;
    watch->died(watch->data);
    return G_SOURCE_REMOVE;
}

static gboolean on_pidfd(int fd, GIOCondition condition, gpointer data)
{
    (void)fd;
    (void)condition;
    return on_gone(data);
}

guint websockify_watch(const WebsockifyOptions *options, WebsockifyDied died, void *data)
{
    g_auto(Record) record = record_read(options);
    Watch *watch = g_new(Watch, 1);
    *watch = (Watch){died, data, record.id.pid > 0 ? (int)syscall(SYS_pidfd_open, record.id.pid, 0) : -1};
    if (watch->pidfd < 0 || !process_is_alive(record.id))
        return g_idle_add_full(G_PRIORITY_DEFAULT, on_gone, watch, watch_free);
    return g_unix_fd_add_full(G_PRIORITY_DEFAULT, watch->pidfd, G_IO_IN, on_pidfd, watch, watch_free);
}
