/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "web/viewer.h"

#include "base/json.h"
#include "core/link.h"
#include "web/catalogue.h"

json_t *page_viewer(const PageContext *context, const SessionRecord *session)
{
    json_t *values = page_common_values(context, session ? session_title(session) : tr("Remote desktop"));
    g_autofree char *socket = link_socket(context->settings, context->base);
    json_object_set_new(values, "session", json_string(session ? session->id : ""));
    g_autofree char *path = session ? page_viewer_path(context, session->id) : g_strdup("");
    json_object_set_new(values, "page", json_string(path));
    json_object_set_new(values, "owner", json_string(session ? session->owner : ""));
    json_object_set_new(values, "socket", json_string(socket));
    const char *way = request_variable(context->request, REQUEST_SOCKET_TOKEN);
    json_object_set_new(values, "token_in_protocol",
                        json_boolean(*context->settings->service_path && g_str_equal(way, "protocol")));
    if (!session &&
        *context->settings->service_path) { /* beside the page, where the web server wants no login either */
        g_autofree char *display = link_display(context->settings), *files = g_strconcat(display, "/static", NULL);
        json_object_set_new(values, "static", json_string(files));
    }
    return values;
}

static json_t *time_or_null(gint64 unix_s)
{
    g_autoptr(GDateTime) time = unix_s ? g_date_time_new_from_unix_utc(unix_s) : NULL;
    g_autofree char *iso = time ? g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ") : NULL;
    return iso ? json_pack("{s:s}", "iso", iso) : json_null();
}

/* The link's own end, when that comes first; 0 when it has been, or is about to be. */
static gint64 end_of(const SessionRecord *session, const SessionLink *link)
{
    if (!session_state_is_alive(session->state) || session->state == SESSION_STOPPING)
        return 0;
    return link->expires_at && link->expires_at < session->ends_at ? link->expires_at : session->ends_at;
}

static json_t *over_or_null(const SessionRecord *session)
{
    if (session_state_is_alive(session->state))
        return json_null();
    return json_pack("{s:b, s:o, s:o}", "is_failed", (int)(session->state == SESSION_FAILED), "reason",
                     json_take_text(tr_message(session->reason)), "time", time_or_null(session->ended_at));
}

json_t *page_link_state(const SessionRecord *session, const SessionLink *link)
{
    return json_pack("{s:s, s:s, s:s, s:o, s:i, s:b, s:b, s:o}", "machine", session_title(session), "state",
                     session_state_name(session->state), "role", session_role_name(link->role), "end",
                     time_or_null(end_of(session, link)), "viewers", (int)session->viewers->len, "is_oneshot",
                     (int)session->plan->oneshot, "has_clipboard", (int)session->plan->clipboard, "over",
                     over_or_null(session));
}
