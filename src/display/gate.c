/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "display/gate.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "display/relay.h"

/* How long accepting rests after the process has run out of descriptors, unless a viewer leaves before. */
#define ACCEPT_REST_MS 1000

typedef struct {
    Gate *gate;
    char *name, *path;
    RfbRole role;
    int listen_fd, timer_fd;
    guint listen_source, timer_source;
    unsigned connections;
} Token;

/* On the VNC side. */
typedef enum {
    STAGE_WAITING,
    STAGE_CONNECTED,
    STAGE_GREETED, /* and so accepted */
} ViewerStage;

typedef struct {
    Gate *gate;
    Token *token;
    Relay *relay;
    guint64 serial;
    gint64 since_s;
    int note; /* a descriptor, -1: none */
    char *address;
    ViewerStage stage;
} Viewer;

struct Gate {
    char *vnc_path;
    unsigned connections_max;
    GateChanged changed;
    GateAdmit admit;
    GateEnded ended;
    void *data;
    GHashTable *tokens; /* name to Token */
    GPtrArray *viewers; /* by serial number */
    guint64 last_serial;
    guint changed_source, heard_source, rest_source;
    GateChanged heard; /* NULL: nobody awaits input */
    gint64 last_input_s, last_input_monotonic_us;
};

static gint64 now_s(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

/* --- telling --- */

static gboolean tell_changed(gpointer data)
{
    Gate *gate = data;
    gate->changed_source = 0;
    gate->changed(gate, gate->data);
    return G_SOURCE_REMOVE;
}

/* Later, from the main loop: whoever is told may free what is at work now. */
static void note_change(Gate *gate)
{
    if (gate->changed && !gate->changed_source)
        gate->changed_source = g_idle_add_full(G_PRIORITY_DEFAULT, tell_changed, gate, NULL);
}

/* --- accepting, which rests while there are no descriptors left --- */

static gboolean on_connection(int fd, GIOCondition condition, gpointer data);

static void listen_start(Token *token)
{
    if (!token->listen_source)
        token->listen_source = g_unix_fd_add(token->listen_fd, G_IO_IN, on_connection, token);
}

static void listen_stop(Token *token)
{
    if (token->listen_source)
        g_source_remove(token->listen_source);
    token->listen_source = 0;
}

static void for_each_token(Gate *gate, void (*visit)(Token *token))
{
    GHashTableIter iter;
    void *token;
    g_hash_table_iter_init(&iter, gate->tokens);
    while (g_hash_table_iter_next(&iter, NULL, &token))
        visit(token);
}

static gboolean on_rest_over(gpointer data)
{
    Gate *gate = data;
    gate->rest_source = 0;
    for_each_token(gate, listen_start);
    return G_SOURCE_REMOVE;
}

static void rest_begin(Gate *gate)
{
    for_each_token(gate, listen_stop);
    if (!gate->rest_source)
        gate->rest_source = g_timeout_add(ACCEPT_REST_MS, on_rest_over, gate);
}

static void rest_end(Gate *gate)
{
    if (!gate->rest_source)
        return;
    g_source_remove(gate->rest_source);
    on_rest_over(gate);
}

/* --- viewers --- */

static void viewer_remove(Viewer *viewer)
{
    Gate *gate = viewer->gate;
    viewer->token->connections--;
    relay_free(viewer->relay);
    fd_close_pointed(&viewer->note);
    g_ptr_array_remove(gate->viewers, viewer);
    g_free(viewer->address);
    g_free(viewer);
    rest_end(gate);
    note_change(gate);
}

static Viewer *first_in_stage(const Gate *gate, ViewerStage stage)
{
    for (unsigned i = 0; i < gate->viewers->len; i++) {
        Viewer *viewer = gate->viewers->pdata[i];
        if (viewer->stage == stage)
            return viewer;
    }
    return NULL;
}

/* A connection that does not wait. -1 with errno, EAGAIN when the server's queue is full (unix(7)). */
static int connect_at_once(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (g_strlcpy(address.sun_path, path, sizeof address.sun_path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    autofd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return -1;
    return fd_steal(&fd);
}

/* QEMU's queue holds two. A viewer that finds it full waits until one before it is greeted or gives up. */
static bool viewer_connect(Viewer *viewer)
{
    int fd = connect_at_once(viewer->gate->vnc_path);
    if (fd < 0)
        return errno == EAGAIN && first_in_stage(viewer->gate, STAGE_CONNECTED);
    viewer->stage = STAGE_CONNECTED;
    relay_join(viewer->relay, fd);
    return true;
}

static void connect_waiting(Gate *gate)
{
    for (Viewer *viewer; (viewer = first_in_stage(gate, STAGE_WAITING));) {
        if (!viewer_connect(viewer))
            viewer_remove(viewer);
        else if (viewer->stage == STAGE_WAITING)
            return;
    }
}

static void on_greeted(void *data)
{
    Viewer *viewer = data;
    viewer->stage = STAGE_GREETED;
    connect_waiting(viewer->gate);
}

static gboolean tell_heard(gpointer data)
{
    Gate *gate = data;
    GateChanged heard = gate->heard;
    gate->heard_source = 0;
    gate->heard = NULL;
    heard(gate, gate->data);
    return G_SOURCE_REMOVE;
}

static void on_input(void *data)
{
    Gate *gate = ((Viewer *)data)->gate;
    gate->last_input_s = now_s();
    gate->last_input_monotonic_us = g_get_monotonic_time();
    if (gate->heard && !gate->heard_source)
        gate->heard_source = g_idle_add_full(G_PRIORITY_DEFAULT, tell_heard, gate, NULL);
}

static void on_ended(void *data)
{
    Viewer *viewer = data;
    Gate *gate = viewer->gate;
    if (gate->ended)
        gate->ended(viewer->address, viewer->note, relay_fault(viewer->relay), gate->data);
    viewer_remove(viewer);
    connect_waiting(gate);
}

static const RelayEvents relay_events = {.greeted = on_greeted, .input = on_input, .ended = on_ended};

static struct ucred peer_of(int fd)
{
    struct ucred peer = {0};
    socklen_t length = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 ? peer : (struct ucred){0};
}

/* Takes the connection. */
static void viewer_add(Token *token, int fd)
{
    Gate *gate = token->gate;
    struct ucred peer = peer_of(fd);
    g_autofree char *address = NULL;
    autofd int note = -1;
    if (gate->admit && !gate->admit(&peer, &address, &note, gate->data)) {
        close(fd);
        return;
    }
    Viewer *viewer = g_new0(Viewer, 1);
    viewer->note = fd_steal(&note);
    viewer->address = g_strdup(address ? address : "");
    viewer->gate = gate;
    viewer->token = token;
    viewer->serial = ++gate->last_serial;
    viewer->since_s = now_s();
    viewer->relay = relay_new(fd, token->role, &relay_events, viewer);
    token->connections++;
    g_ptr_array_add(gate->viewers, viewer);
    note_change(gate);
    connect_waiting(gate);
}

static gboolean on_connection(int listen_fd, GIOCondition condition, gpointer data)
{
    (void)condition;
    Token *token = data;
    autofd int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0 && token->connections < token->gate->connections_max)
        viewer_add(token, fd_steal(&fd));
    else if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
        rest_begin(token->gate);
    return G_SOURCE_CONTINUE;
}

/* --- tokens --- */

static void token_free(void *data)
{
    Token *token = data;
    listen_stop(token);
    if (token->timer_source)
        g_source_remove(token->timer_source);
    fd_close_pointed(&token->timer_fd);
    if (token->listen_fd >= 0)
        unlink(token->path);
    fd_close_pointed(&token->listen_fd);
    g_free(token->name);
    g_free(token->path);
    g_free(token);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Token, token_free)

static gboolean on_expired(int fd, GIOCondition condition, gpointer data)
{
    (void)fd;
    (void)condition;
    Token *token = data;
    Gate *gate = token->gate;
    gate_close(gate, token->name);
    note_change(gate);
    return G_SOURCE_REMOVE;
}

/* An absolute timer of the wall clock: it is right after the clock was set and after the machine slept. */
static bool token_set_expiry(Token *token, gint64 expires_at_s, GError **error)
{
    struct itimerspec when = {.it_value.tv_sec = expires_at_s};
    token->timer_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (token->timer_fd < 0 || timerfd_settime(token->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) < 0)
        return qwd_error_errno(error, errno, "Cannot set a timer");
    token->timer_source = g_unix_fd_add(token->timer_fd, G_IO_IN, on_expired, token);
    return true;
}

static bool check_open(const Gate *gate, const char *token, gint64 expires_at_s, GError **error)
{
    if (!*token || *token == '.' || strchr(token, '/'))
        return qwd_error_fail(error, QWD_ERROR_USAGE, "\"%s\" is not a token.", token);
    if (expires_at_s && expires_at_s <= now_s())
        return qwd_error_fail(error, QWD_ERROR_USAGE, "The link would have expired already.");
    if (gate_is_open(gate, token))
        return qwd_error_fail(error, QWD_ERROR_CONFLICT, "This token is open already.");
    return true;
}

bool gate_open(Gate *gate, const char *folder, const char *name, RfbRole role, gint64 expires_at_s, GError **error)
{
    if (!check_open(gate, name, expires_at_s, error))
        return false;
    g_autoptr(Token) token = g_new0(Token, 1);
    *token = (Token){.gate = gate, .role = role, .timer_fd = -1};
    token->name = g_strdup(name);
    token->path = g_build_filename(folder, name, NULL);
    token->listen_fd = unix_listen(token->path, error);
    if (token->listen_fd < 0 || !fd_set_nonblocking(token->listen_fd, error) ||
        (expires_at_s && !token_set_expiry(token, expires_at_s, error)))
        return false;
    listen_start(token);
    g_hash_table_insert(gate->tokens, token->name, token);
    token = NULL;
    return true;
}

bool gate_close(Gate *gate, const char *name)
{
    Token *token = g_hash_table_lookup(gate->tokens, name);
    if (!token)
        return false;
    for (unsigned i = gate->viewers->len; i-- > 0;) {
        Viewer *viewer = gate->viewers->pdata[i];
        if (viewer->token == token)
            viewer_remove(viewer);
    }
    g_hash_table_remove(gate->tokens, name);
    connect_waiting(gate);
    return true;
}

bool gate_is_open(const Gate *gate, const char *token)
{
    return g_hash_table_contains(gate->tokens, token);
}

bool gate_disconnect(Gate *gate, guint64 serial)
{
    for (unsigned i = 0; i < gate->viewers->len; i++) {
        Viewer *viewer = gate->viewers->pdata[i];
        if (viewer->serial == serial) {
            viewer_remove(viewer);
            connect_waiting(gate);
            return true;
        }
    }
    return false;
}

/* --- the gate --- */

Gate *gate_new(const char *vnc_path, unsigned connections_max, GateChanged changed, void *data)
{
    Gate *gate = g_new0(Gate, 1);
    gate->vnc_path = g_strdup(vnc_path);
    gate->connections_max = connections_max;
    gate->changed = changed;
    gate->data = data;
    gate->tokens = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, token_free);
    gate->viewers = g_ptr_array_new();
    return gate;
}

void gate_free(Gate *gate)
{
    if (!gate)
        return;
    gate->changed = NULL;
    gate_await_input(gate, NULL);
    while (gate->viewers->len)
        viewer_remove(gate->viewers->pdata[0]);
    g_ptr_array_unref(gate->viewers);
    g_hash_table_unref(gate->tokens);
    if (gate->changed_source)
        g_source_remove(gate->changed_source);
    if (gate->rest_source)
        g_source_remove(gate->rest_source);
    g_free(gate->vnc_path);
    g_free(gate);
}

void gate_set_admit(Gate *gate, GateAdmit admit, GateEnded ended)
{
    gate->admit = admit;
    gate->ended = ended;
}

bool gate_had_viewer(const Gate *gate)
{
    return gate->last_serial > 0;
}

unsigned gate_viewer_count(const Gate *gate)
{
    return gate->viewers->len;
}

GateViewer *gate_viewers(const Gate *gate, size_t *count)
{
    GateViewer *rows = g_new0(GateViewer, gate->viewers->len);
    for (unsigned i = 0; i < gate->viewers->len; i++) {
        const Viewer *viewer = gate->viewers->pdata[i];
        rows[i] =
            (GateViewer){viewer->serial, viewer->token->name, viewer->token->role, viewer->since_s, viewer->address};
    }
    *count = gate->viewers->len;
    return rows;
}

gint64 gate_last_input_s(const Gate *gate)
{
    return gate->last_input_s;
}

gint64 gate_last_input_monotonic_us(const Gate *gate)
{
    return gate->last_input_monotonic_us;
}

void gate_await_input(Gate *gate, GateChanged heard)
{
    gate->heard = heard;
    if (!heard)
        g_clear_handle_id(&gate->heard_source, g_source_remove);
}
