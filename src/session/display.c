/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The display of a session: its gate with a token for each role, and the service's websockify in front of it. */
#include "display/websockify.h"

#include <string.h>

#include "app/journal.h"
#include "base/token.h"
#include "session/supervisor.h"

static WebsockifyOptions websockify_options(const Supervisor *supervisor)
{
    const Settings *settings = supervisor->settings;
    return (WebsockifyOptions){.program = settings->dir_websockify,
                               .state_folder = settings->dir_cfg,
                               .display_folder = supervisor->display_folder,
                               .address = settings->service_address,
                               .port = (int)settings->service_port,
                               .novnc_folder = settings->dir_novnc};
}

static void note_viewers(SessionRecord *session, const void *data)
{
    const Gate *gate = data;
    session->viewers = gate_viewer_count(gate);
    session->last_input_at = gate_last_input_s(gate);
}

static void on_viewers(Gate *gate, void *data)
{
    Supervisor *supervisor = data;
    unsigned count = gate_viewer_count(gate);
    supervisor_change(supervisor, note_viewers, gate, NULL);
    if (supervisor->session->plan->oneshot && supervisor->had_viewer && count == 0)
        supervisor_end(supervisor, SESSION_ENDED, "Its viewer left, and it was a one-shot session.");
    supervisor->had_viewer = supervisor->had_viewer || count > 0;
}

/* Whoever sees websockify die starts it again; several supervisors agree on one. */
static void on_websockify_died(void *data)
{
    Supervisor *supervisor = data;
    WebsockifyOptions options = websockify_options(supervisor);
    g_autoptr(GError) error = NULL;
    supervisor->websockify_watch = 0;
    if (websockify_ensure(&options, &error))
        supervisor->websockify_watch = websockify_watch(options.state_folder, on_websockify_died, supervisor);
    else
        journal_session(supervisor->settings, "ERROR", supervisor->session, error->message);
}

typedef struct {
    const char *tokens[ROLE_COUNT];
} Tokens;

static void note_links(SessionRecord *session, const void *data)
{
    const Tokens *tokens = data;
    for (int role = 0; role < ROLE_COUNT; role++)
        session_add_link(session, tokens->tokens[role], (SessionRole)role, 0);
}

static bool open_links(Supervisor *supervisor, const Tokens *tokens, GError **error)
{
    static const RfbRole rfb_roles[ROLE_COUNT] = {[ROLE_CONTROL] = RFB_ROLE_CONTROL, [ROLE_VIEW] = RFB_ROLE_VIEW};
    for (int role = 0; role < ROLE_COUNT; role++) {
        if (!gate_open(supervisor->gate, supervisor->display_folder, tokens->tokens[role], rfb_roles[role], 0, error))
            return false;
    }
    return supervisor_change(supervisor, note_links, tokens, error);
}

bool display_start(Supervisor *supervisor, GError **error)
{
    WebsockifyOptions options = websockify_options(supervisor);
    g_autofree char *vnc_path = g_build_filename(supervisor->run_folder, "vnc", NULL);
    g_autofree char *control = token_new(), *view = token_new();
    Tokens tokens = {{[ROLE_CONTROL] = control, [ROLE_VIEW] = view}};
    supervisor->gate = gate_new(vnc_path, (unsigned)supervisor->settings->display_connections, on_viewers, supervisor);
    if (!open_links(supervisor, &tokens, error) || !websockify_ensure(&options, error))
        return false;
    supervisor->websockify_watch = websockify_watch(options.state_folder, on_websockify_died, supervisor);
    return true;
}

void display_stop(Supervisor *supervisor)
{
    WebsockifyOptions options = websockify_options(supervisor);
    g_clear_handle_id(&supervisor->websockify_watch, g_source_remove);
    g_clear_pointer(&supervisor->gate, gate_free);
    websockify_release(&options, NULL);
}
