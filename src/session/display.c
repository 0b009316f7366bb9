/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The display of a session: its gate with a token for each role, and the service's websockify in front of it. */
#include "display/websockify.h"

#include <string.h>
#include <unistd.h>

#include "app/journal.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "base/token.h"
#include "core/origin.h"
#include "display/viewer_note.h"
#include "session/supervisor.h"

/* With service_path the web server passes the display on, and has noVNC's files. */
static WebsockifyOptions websockify_options(const Supervisor *supervisor)
{
    const Settings *settings = supervisor->settings;
    bool proxied = *settings->service_path != '\0';
    return (WebsockifyOptions){.program = settings->dir_websockify,
                               .state_folder = settings->dir_cfg,
                               .display_folder = supervisor->display_folder,
                               .address = settings->service_address,
                               .port = proxied ? 0 : (int)settings->service_port,
                               .plugin_folder = settings->dir_lib,
                               .novnc_folder = proxied ? NULL : settings->dir_novnc};
}

#define WEBSOCKIFY_RETRY_S 5

/* --- viewers --- */

/* The link that a token belongs to; NULL when it has been revoked. */
static const SessionLink *link_of_token(const SessionRecord *session, const char *token)
{
    g_autofree char *hash = token_hash(token);
    return session_find_link_by_hash(session, hash);
}

static void note_viewer(SessionRecord *session, const GateViewer *seen)
{
    const SessionLink *link = link_of_token(session, seen->token);
    if (link)
        session_add_viewer(session, &(SessionViewer){.serial = (gint64)seen->serial,
                                                     .link_id = link->id,
                                                     .address = (char *)seen->address,
                                                     .role = link->role,
                                                     .since = seen->since_s});
}

static bool is_seen(gint64 serial, const GateViewer *seen, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if ((gint64)seen[i].serial == serial)
            return true;
    }
    return false;
}

/* Those who stay keep what others have asked for meanwhile. */
static void note_viewers(SessionRecord *session, const void *data)
{
    const Gate *gate = data;
    size_t count;
    g_autofree GateViewer *seen = gate_viewers(gate, &count);
    for (guint i = session->viewers->len; i-- > 0;) {
        const SessionViewer *viewer = session->viewers->pdata[i];
        if (!is_seen(viewer->serial, seen, count))
            g_ptr_array_remove_index(session->viewers, i);
    }
    for (size_t i = 0; i < count; i++) {
        if (!session_find_viewer(session, (gint64)seen[i].serial))
            note_viewer(session, &seen[i]);
    }
    session->last_input_at = gate_last_input_s(gate);
}

static void on_viewers(Gate *gate, void *data)
{
    Supervisor *supervisor = data;
    supervisor_change(supervisor, note_viewers, gate, NULL);
    display_follow_record(supervisor); /* a link's time may be over */
    times_follow(supervisor);
}

/* Without a note it was somebody of the service's own account who connected to the socket, or root. A page of another
 * site is refused, and so is who cannot be told: a note that cannot be read, a process that the kernel does not name.
 */
static bool admit_viewer(const struct ucred *peer, char **address, int *note_fd, void *data)
{
    const Supervisor *supervisor = data;
    g_autoptr(GError) cause = NULL;
    *note_fd = viewer_note_open(peer, &cause);
    if (*note_fd < 0 && g_error_matches(cause, QWD_ERROR, QWD_ERROR_NOT_FOUND))
        return peer->pid > 0;
    g_autoptr(JsonValue) note = *note_fd >= 0 ? viewer_note_read(*note_fd, &cause) : NULL;
    if (!note) {
        journal_session(supervisor->settings, "ERROR", supervisor->session, cause->message);
        return false;
    }
    const char *origin = json_get_text(note, "origin", "");
    *address = g_strdup(json_get_text(note, "address", ""));
    return !*origin || origin_may_open_display(supervisor->settings, origin, json_get_text(note, "host", ""));
}

/* websockify's plug-in notes why it has ended a connection. */
static void on_viewer_ended(const char *address, int note_fd, const char *fault, void *data)
{
    const Supervisor *supervisor = data;
    g_autoptr(JsonValue) note = note_fd >= 0 ? viewer_note_read(note_fd, NULL) : NULL;
    const char *why = fault ? fault : json_get_text(note, "ended", "");
    g_autofree char *where = text_for_line(*address ? address : "an unknown address");
    g_autofree char *text = g_strdup_printf("A viewer at %s was disconnected: %s", where, why);
    if (*why)
        journal_session(supervisor->settings, "ERROR", supervisor->session, text);
}

/* --- websockify --- */

/* Whoever sees websockify die starts it again; several supervisors agree on one. What is in the way (its port taken, a
 * full disk) may go, so it is tried until it works. */
static void on_websockify_died(void *data);

static gboolean on_websockify_retry(gpointer data)
{
    on_websockify_died(data);
    return G_SOURCE_REMOVE;
}

static void on_websockify_died(void *data)
{
    Supervisor *supervisor = data;
    WebsockifyOptions options = websockify_options(supervisor);
    g_autoptr(GError) error = NULL;
    supervisor->websockify_watch = 0;
    if (websockify_ensure(&options, &error))
        supervisor->websockify_watch = websockify_watch(&options, on_websockify_died, supervisor);
    else
        supervisor->websockify_watch = g_timeout_add_seconds(WEBSOCKIFY_RETRY_S, on_websockify_retry, supervisor);
    if (error && !supervisor->websockify_failing)
        journal_session(supervisor->settings, "ERROR", supervisor->session, error->message);
    supervisor->websockify_failing = error != NULL;
}

/* --- links --- */

typedef struct {
    const char *link_id, *token;
} OpenedLink;

static void note_opened(SessionRecord *session, const void *data)
{
    const OpenedLink *opened = data;
    SessionLink *link = session_find_link(session, opened->link_id);
    g_autofree char *hash = token_hash(opened->token);
    if (link)
        session_set_text(&link->hash, hash);
}

static bool open_link(Supervisor *supervisor, const char *link_id, GError **error)
{
    static const RfbRole rfb_roles[ROLE_COUNT] = {[ROLE_CONTROL] = RFB_ROLE_CONTROL, [ROLE_VIEW] = RFB_ROLE_VIEW};
    const SessionLink *link = session_find_link(supervisor->session, link_id);
    g_autofree char *token = token_new();
    if (!gate_open(supervisor->gate, supervisor->display_folder, token, rfb_roles[link->role], link->expires_at, error))
        return false;
    g_ptr_array_add(supervisor->tokens, g_strdup(token));
    OpenedLink opened = {.link_id = link_id, .token = token};
    return supervisor_change(supervisor, note_opened, &opened, error);
}

/* The first link without a socket; NULL when all have one. Free with g_free. */
static char *unopened_link(const SessionRecord *session)
{
    for (guint i = 0; i < session->links->len; i++) {
        const SessionLink *link = session->links->pdata[i];
        if (!*link->hash)
            return g_strdup(link->id);
    }
    return NULL;
}

static void close_revoked(Supervisor *supervisor)
{
    for (guint i = supervisor->tokens->len; i-- > 0;) {
        const char *token = supervisor->tokens->pdata[i];
        if (gate_is_open(supervisor->gate, token) && link_of_token(supervisor->session, token))
            continue;
        gate_close(supervisor->gate, token);
        g_ptr_array_remove_index(supervisor->tokens, i);
    }
}

static void remove_expired_links(SessionRecord *session, const void *data)
{
    const gint64 *now = data;
    for (guint i = session->links->len; i-- > 0;) {
        const SessionLink *link = session->links->pdata[i];
        if (link->expires_at && link->expires_at <= *now)
            session_remove_link(session, link);
    }
}

static bool has_expired_links(const SessionRecord *session, gint64 now)
{
    bool found = false;
    for (guint i = 0; i < session->links->len; i++) {
        const SessionLink *link = session->links->pdata[i];
        found = found || (link->expires_at && link->expires_at <= now);
    }
    return found;
}

/* Of each one, the gate tells later that it has left. */
static void disconnect_requested(const Supervisor *supervisor)
{
    for (guint i = 0; i < supervisor->session->viewers->len; i++) {
        const SessionViewer *viewer = supervisor->session->viewers->pdata[i];
        if (viewer->disconnect_requested)
            gate_disconnect(supervisor->gate, (guint64)viewer->serial);
    }
}

static bool open_links(Supervisor *supervisor, GError **error)
{
    g_autofree char *link_id = unopened_link(supervisor->session);
    while (link_id) {
        if (!open_link(supervisor, link_id, error))
            return false;
        g_free(link_id);
        link_id = unopened_link(supervisor->session);
    }
    return true;
}

void display_follow_record(Supervisor *supervisor)
{
    g_autoptr(GError) error = NULL;
    gint64 now = session_now();
    if (!supervisor->gate)
        return;
    disconnect_requested(supervisor);
    if (has_expired_links(supervisor->session, now))
        supervisor_change(supervisor, remove_expired_links, &now, NULL);
    close_revoked(supervisor);
    if (!open_links(supervisor, &error))
        journal_session(supervisor->settings, "ERROR", supervisor->session, error->message);
}

static void add_first_links(SessionRecord *session, const void *data)
{
    (void)data;
    session_add_link(session, ROLE_CONTROL, "", 0)->is_own = true;
    if (!session->plan->oneshot)
        session_add_link(session, ROLE_VIEW, "To watch", 0);
}

bool display_start(Supervisor *supervisor, GError **error)
{
    WebsockifyOptions options = websockify_options(supervisor);
    g_autofree char *vnc_path = g_build_filename(supervisor->run_folder, "vnc", NULL);
    supervisor->tokens = g_ptr_array_new_with_free_func(g_free);
    supervisor->gate = gate_new(vnc_path, (unsigned)supervisor->settings->display_connections, on_viewers, supervisor);
    gate_set_admit(supervisor->gate, admit_viewer, on_viewer_ended);
    if (!supervisor_change(supervisor, add_first_links, NULL, error) || !open_links(supervisor, error) ||
        !websockify_ensure(&options, error))
        return false;
    supervisor->websockify_watch = websockify_watch(&options, on_websockify_died, supervisor);
    return true;
}

void display_stop(Supervisor *supervisor)
{
    g_clear_handle_id(&supervisor->websockify_watch, g_source_remove);
    g_clear_pointer(&supervisor->gate, gate_free);
    g_clear_pointer(&supervisor->tokens, g_ptr_array_unref);
    websockify_release(supervisor->settings->dir_cfg, supervisor->display_folder, NULL);
}
