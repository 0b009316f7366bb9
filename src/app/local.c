/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "app/local.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/app.h"
#include "base/account.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/process.h"
#include "base/trusted_path.h"
#include "core/link.h"
#include "core/store.h"
#include "display/websockify.h"

#define PORTS_TO_TRY 100

/* Puts overrides in front of those given, which therefore win, and reads again. */
static bool reread(Arguments *arguments, const char *const *defaults, GError **error)
{
    g_autofree char *first = g_strjoinv("\n", (char **)defaults);
    const char *given = g_getenv("QWD_OVERRIDES");
    g_autofree char *all = g_strjoin("\n", first, given ? given : "", NULL);
    g_setenv("QWD_OVERRIDES", all, TRUE);
    Settings *settings = settings_load(settings_default_file(), false, NULL, error);
    if (!settings)
        return false;
    settings_free(arguments->settings);
    arguments->settings = settings;
    return true;
}

/* Whether a folder can be written, or made below the nearest one that exists. */
static bool is_usable(const char *path)
{
    g_autofree char *current = g_strdup(path);
    while (access(current, F_OK) < 0) {
        char *parent = g_path_get_dirname(current);
        g_free(current);
        current = parent;
    }
    return access(current, W_OK | X_OK) == 0;
}

static char *runtime_folder(void)
{
    const char *folder = g_getenv("XDG_RUNTIME_DIR");
    if (folder && is_usable(folder))
        return g_build_filename(folder, "qemu-web-desktop", NULL);
    return g_strdup_printf("%s/qemu-web-desktop-%u", g_get_tmp_dir(), (unsigned)getuid());
}

/* Without XDG_RUNTIME_DIR it is in a folder where everybody may make one of that name. */
static bool check_runtime_folder(const char *path, GError **error)
{
    if (path_check_trusted(path, error))
        return true;
    g_prefix_error(error, "%s is not safe for the sockets and links of your sessions. ", path);
    g_autofree char *advice = g_strdup_printf(" Set XDG_RUNTIME_DIR to a folder of yours with mode 0700, such as "
                                              "/run/user/%u.",
                                              (unsigned)getuid());
    if (error && *error) {
        g_autofree char *message = g_steal_pointer(&(*error)->message);
        (*error)->message = g_strconcat(message, advice, NULL);
    }
    return false;
}

static bool check_state_folder(const char *path, GError **error)
{
    if (path_check_trusted(path, error))
        return true;
    g_prefix_error(error, "%s is not safe for the disks of your sessions. ", path);
    return false;
}

/* Another user may have been quicker: what there is now is checked again. */
static bool make_runtime_folder(const Settings *settings, GError **error)
{
    if (g_mkdir_with_parents(settings->dir_cfg, 0700) < 0)
        return qwd_error_errno(error, errno, "Cannot make the folder %s", settings->dir_cfg);
    return check_runtime_folder(settings->dir_cfg, error);
}

static bool use_own_folders(Arguments *arguments, GError **error)
{
    g_autofree char *runtime = runtime_folder();
    const char *state = g_get_user_state_dir();
    if (!check_runtime_folder(runtime, error) || !check_state_folder(state, error))
        return false;
    g_autofree char *snapshots = g_strdup_printf("dir_snapshots=%s/qemu-web-desktop/snapshots", state);
    g_autofree char *cache = g_strdup_printf("dir_cache=%s/qemu-web-desktop/cache", state);
    g_autofree char *log = g_strdup_printf("file_log=%s/qemu-web-desktop/log", state);
    g_autofree char *logs = g_strdup_printf("dir_logs=%s/qemu-web-desktop/logs", state);
    g_autofree char *sockets = g_strdup_printf("dir_cfg=%s", runtime);
    const char *defaults[] = {snapshots, cache, log, logs, sockets, NULL};
    return reread(arguments, defaults, error);
}

bool local_arguments_read(Arguments *arguments, int argc, char **argv, GError **error)
{
    g_get_user_name(); /* GLib remembers it: the account may change later */
    if (!arguments_read(arguments, argc, argv, error))
        return false;
    const Settings *settings = arguments->settings;
    if (geteuid() == 0 || (is_usable(settings->dir_snapshots) && is_usable(settings->dir_cfg)))
        return true;
    return use_own_folders(arguments, error);
}

/* The port of the websockify recorded in dir_cfg, 0 when none runs on a port. */
static gint64 running_port(const Settings *settings)
{
    g_autofree char *path = g_build_filename(settings->dir_cfg, WEBSOCKIFY_PORT_RECORD, NULL);
    g_autoptr(JsonValue) record = json_object_read(path, 65536, NULL);
    ProcessId id = {.pid = (pid_t)json_get_integer(record, "pid", 0),
                    .start_ticks = (guint64)json_get_integer(record, "start_ticks", 0)};
    return record && process_is_alive(id) ? json_get_integer(record, "port", 0) : 0;
}

/* Binds to a port of the loopback interface. Returns its number, 0 when it is taken. 0 is any free port. */
static gint64 try_port(gint64 port)
{
    autofd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((guint16)port)};
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                 getsockname(fd, (struct sockaddr *)&address, &length) == 0;
    return bound ? ntohs(address.sin_port) : 0;
}

/* service_port is that of a service whose links lead there: its own sessions use it, and nobody else's do. Somebody may
 * ask for a port. */
static bool may_use_service_port(const Settings *settings)
{
    const char *overrides = g_getenv("QWD_OVERRIDES");
    g_autofree char *runtime = runtime_folder();
    if (overrides && (g_str_has_prefix(overrides, "service_port=") || strstr(overrides, "\nservice_port=")))
        return true;
    return !*settings->service_path && !g_str_equal(settings->dir_cfg, runtime);
}

static gint64 choose_port(const Settings *settings)
{
    gint64 port = running_port(settings);
    bool from_service_port = may_use_service_port(settings);
    for (gint64 i = 0; !port && i < PORTS_TO_TRY; i++) {
        port = try_port(from_service_port ? settings->service_port + i : 0);
        if (!from_service_port && port == settings->service_port)
            port = 0;
    }
    return port;
}

static bool choose_display(Arguments *arguments, GError **error)
{
    gint64 port = choose_port(arguments->settings);
    if (!port)
        return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE,
                              "No TCP port is free. Give another one to begin with, as --service_port=PORT.");
    g_autofree char *port_text = g_strdup_printf("\nservice_path=\nservice_port=%d", (int)port);
    const char *given = g_getenv("QWD_OVERRIDES");
    g_autofree char *all = g_strconcat(given ? given : "", port_text, NULL);
    g_setenv("QWD_OVERRIDES", all, TRUE);
    const char *none[] = {NULL};
    return reread(arguments, none, error);
}

Identity local_identity(void)
{
    return (Identity){.user = g_get_user_name(), .is_admin = true, .is_local = true};
}

char *local_start(Arguments *arguments, const char *machine, GError **error)
{
    Identity who = local_identity();
    if (!account_is_child() && geteuid() != 0 && !make_runtime_folder(arguments->settings, error))
        return NULL;
    if (!choose_display(arguments, error))
        return NULL;
    CreateRequest request = {.machine = machine, .may_be_path = true, .remote_host = "", .plan = {.oneshot = true}};
    request.plan.gpu = g_strv_contains((const char *const *)arguments->rest, "--gpu");
    return app_create(arguments->settings, &who, &request, error);
}

char *local_wait_address(const Settings *settings, const char *id, char **note, GError **error)
{
    int deadline_ms = (int)(settings->session_start_deadline + 60) * 1000;
    g_autoptr(SessionRecord) session = app_wait_ready(settings, id, deadline_ms, error);
    if (!session)
        return NULL;
    bool usable = session->state == SESSION_RUNNING;
    g_autofree char *token = usable ? store_find_role_token(settings, session, ROLE_CONTROL) : NULL;
    if (!token) {
        qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "%s", session->reason);
        return NULL;
    }
    *note = g_strdup(session->note);
    return link_url(settings, "http://localhost", token, ROLE_CONTROL);
}
