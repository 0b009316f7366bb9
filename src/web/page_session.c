/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The page of one session. */
#include "app/queue.h"
#include "base/json.h"
#include "core/link.h"
#include "core/store.h"
#include "web/catalogue.h"
#include "web/page_life.h"
#include "web/page_parts.h"
#include "web/page_save.h"
#include "web/qr.h"

#define BOOT_S 600 /* as long after its start, a machine that nobody has touched may be booting */
#define PICTURE_NEW_S 1

/* --- sharing --- */

static const char *const role_texts[ROLE_COUNT] = {[ROLE_CONTROL] = N_("Control"), [ROLE_VIEW] = N_("Watch only")};

/* For whoever gets the link: our page, else noVNC's. */
static char *best_link_url(const PageContext *context, const char *token, SessionRole role)
{
    char *url = link_viewer_url(context->settings, context->base, token);
    return url ? url : link_url(context->settings, context->base, token, role);
}

static json_t *shared_link_value(const PageContext *context, const SessionRecord *session, const SessionLink *link)
{
    g_autofree char *token = store_find_token(context->settings, link);
    json_t *url = token ? json_take_text(link_url(context->settings, context->base, token, link->role)) : json_null();
    json_t *viewer_url = token ? json_take_text(best_link_url(context, token, link->role)) : json_null();
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:b}", "id", link->id, "session_id", session->id, "label",
                     *link->label ? link->label : tr("A link"), "role_text", tr(role_texts[link->role]), "url", url,
                     "viewer_url", viewer_url, "end", time_value(link->expires_at), "is_own", (int)link->is_own);
}

const char *page_viewer_label(const SessionRecord *session, const SessionViewer *viewer)
{
    const SessionLink *link = session_find_link(session, viewer->link_id);
    return link && link->is_own ? tr("your own link") : link && *link->label ? link->label : tr("a link");
}

static json_t *viewer_value(const SessionRecord *session, const SessionViewer *viewer)
{
    return json_pack("{s:I, s:s, s:s, s:s, s:s, s:o}", "serial", (json_int_t)viewer->serial, "session_id", session->id,
                     "address", viewer->address, "link_label", page_viewer_label(session, viewer), "role_text",
                     tr(role_texts[viewer->role]), "since", time_value(viewer->since));
}

bool page_may_share(const PageContext *context, const SessionRecord *session)
{
    return session->state == SESSION_RUNNING && !session->plan->oneshot &&
           policy_allows(context->settings, context->who, ACTION_SHARE, session, NULL);
}

static json_t *sharing_value(const PageContext *context, const SessionRecord *session)
{
    if (!page_may_share(context, session))
        return json_null();
    gint64 now = session_now();
    json_t *links = json_array(), *viewers = json_array();
    for (guint i = 0; i < session->links->len; i++) {
        const SessionLink *link = session->links->pdata[i];
        if (!link->expires_at || link->expires_at > now)
            json_array_append_new(links, shared_link_value(context, session, link));
    }
    for (guint i = 0; i < session->viewers->len; i++)
        json_array_append_new(viewers, viewer_value(session, session->viewers->pdata[i]));
    return json_pack("{s:s, s:o, s:o}", "id", session->id, "links", links, "viewers", viewers);
}

/* --- folders --- */

/* Null when the machine has none. */
static json_t *folders_value(const SessionRecord *session)
{
    g_autoptr(JsonValue) list = json_array();
    for (guint i = 0; i < session->folders->len; i++) {
        const HostFolder *folder = session->folders->pdata[i];
        json_array_append_new(list, json_pack("{s:s, s:b}", "name", folder->name, "writable", (int)folder->writable));
    }
    return json_array_size(list) ? json_pack("{s:O}", "list", list) : json_null();
}

/* --- boot scripts --- */

static const char *const script_texts[SCRIPT_STATES] = {
    [SCRIPT_WAITING] = N_("Waiting for the machine"),
    [SCRIPT_RUNNING] = N_("Running"),
    [SCRIPT_DONE] = N_("Done"),
    [SCRIPT_FAILED] = N_("Not run"),
};

static json_t *script_value(const BootScript *script)
{
    bool done = script->state == SCRIPT_DONE, failed = script->state == SCRIPT_FAILED;
    json_t *took = done ? json_take_text(tr_format("%.1f s", (double)script->duration_ms / 1000)) : json_null();
    return json_pack("{s:s, s:s, s:s, s:b, s:b, s:o, s:o, s:o, s:o}", "name", script->name, "state",
                     script_state_name(script->state), "state_text", tr(script_texts[script->state]), "is_over",
                     (int)(done || failed), "is_failed", (int)(failed || script->exit_code != 0), "method",
                     json_text_or_null(script->method), "exit_code",
                     done ? json_integer(script->exit_code) : json_null(), "took", took, "output",
                     failed ? page_message_or_null(script->output) : json_text_or_null(script->output));
}

/* null when the machine runs none. */
static json_t *scripts_value(const SessionRecord *session)
{
    g_autoptr(JsonValue) list = json_array();
    for (guint i = 0; i < session->scripts->len; i++) {
        if (!script_is_options(session->scripts->pdata[i]))
            json_array_append_new(list, script_value(session->scripts->pdata[i]));
    }
    return json_array_size(list) ? json_pack("{s:O}", "list", list) : json_null();
}

/* --- one session --- */

json_t *page_link_value(const PageContext *context, const SessionRecord *session, SessionRole role)
{
    g_autofree char *token = store_find_role_token(context->settings, session, role);
    return token ? json_take_text(link_url(context->settings, context->base, token, role)) : json_null();
}

/* Where Connect leads; null before the display is ready. */
json_t *page_connect_value(const PageContext *context, const SessionRecord *session)
{
    if (session->state != SESSION_RUNNING)
        return json_null();
    g_autofree char *viewer = link_viewer_url(context->settings, context->base, "");
    return viewer ? json_take_text(page_viewer_path(context, session->id))
                  : page_link_value(context, session, ROLE_CONTROL);
}

/* The two addresses of a link; both null when its token is gone (the session ends just now), or when nobody may watch.
 */
static void add_addresses(json_t *value, const PageContext *context, const char *token, SessionRole role)
{
    const char *const keys[ROLE_COUNT][2] = {
        [ROLE_CONTROL] = {"url", "viewer_url"}, [ROLE_VIEW] = {"view_url", "watch_url"}};
    json_t *stock = token ? json_take_text(link_url(context->settings, context->base, token, role)) : json_null();
    json_t *best = token ? json_take_text(best_link_url(context, token, role)) : json_null();
    json_object_set_new(value, keys[role][0], stock);
    json_object_set_new(value, keys[role][1], best);
}

static json_t *ready_value(const PageContext *context, const SessionRecord *session)
{
    bool is_ready = session->state == SESSION_RUNNING, oneshot = session->plan->oneshot;
    g_autofree char *token = is_ready ? store_find_role_token(context->settings, session, ROLE_CONTROL) : NULL;
    if (!token)
        return json_null();
    g_autofree char *watch = oneshot ? NULL : store_find_role_token(context->settings, session, ROLE_VIEW);
    json_t *value =
        json_pack("{s:o, s:b}", "connect", page_connect_value(context, session), "is_oneshot", (int)oneshot);
    add_addresses(value, context, token, ROLE_CONTROL);
    add_addresses(value, context, watch, ROLE_VIEW);
    json_object_set_new(value, "qr", qr_values(json_string_value(json_object_get(value, "viewer_url")), NULL));
    return value;
}

static json_t *over_value(const PageContext *context, const SessionRecord *session)
{
    if (session_state_is_alive(session->state))
        return json_null();
    bool failed = session->state == SESSION_FAILED;
    const char *advice = failed ? tr("Start another session. If that fails as well, tell the administrator, with the "
                                     "name of the machine and the time below.")
                                : NULL;
    g_autofree char *reason = tr_message(session->reason);
    return json_pack("{s:b, s:s, s:o, s:o, s:o}", "is_failed", (int)failed, "reason", reason, "advice",
                     json_text_or_null(advice), "time", time_value(session->ended_at), "kept",
                     kept_value(context->settings, context->who, session));
}

/* The networks that somebody at a desk could miss. Free with g_free. */
static char *denied_for_users(const char *denied)
{
    static const char *const technical[] = {"", "link-local", "metadata", NULL};
    g_autoptr(GStrvBuilder) shown = g_strv_builder_new();
    g_auto(GStrv) words = g_strsplit_set(denied, ", \t", -1);
    for (char **word = words; *word; word++) {
        if (!g_strv_contains(technical, *word))
            g_strv_builder_add(shown, *word);
    }
    g_auto(GStrv) list = g_strv_builder_end(shown);
    return g_strjoinv(", ", list);
}

/* The session's note says when there is none although it was wished for. */
static char *network_text(const Plan *plan)
{
    g_autofree char *denied = denied_for_users(plan->network_denied);
    if (g_str_equal(plan->network, "restricted") || g_str_equal(plan->network, "none"))
        return g_strdup(tr("None"));
    if (!*denied)
        return g_strdup(tr("Other computers, but not this server"));
    return tr_format("Other computers, but not this server, nor %s", denied);
}

/* What session.html and sessions.html have in common. */
json_t *page_session_value(const PageContext *context, const SessionRecord *session)
{
    bool alive = session_state_is_alive(session->state) && session->state != SESSION_STOPPING;
    bool running = session->state == SESSION_RUNNING, queued = session->state == SESSION_QUEUED;
    bool may_stop = alive && policy_allows(context->settings, context->who, ACTION_STOP, session, NULL);
    bool may_extend = running && may_press_extend(context->settings, context->who, session);
    json_t *value = json_object();
    json_object_set_new(value, "id", json_string(session->id));
    json_object_set_new(value, "page", json_take_text(page_session_path(context, session->id)));
    json_object_set_new(value, "owner", json_string(session->owner));
    json_object_set_new(value, "machine", json_string(session_title(session)));
    json_object_set_new(value, "cpus", json_integer(session->plan->cpus));
    json_object_set_new(value, "memory", json_take_text(tr_size(session->plan->memory_mib)));
    json_object_set_new(value, "gpu", json_text_or_null(session->plan->gpu_name));
    json_object_set_new(value, "network", json_take_text(network_text(session->plan)));
    json_object_set_new(value, "state", json_string(session_state_name(session->state)));
    json_object_set_new(value, "state_text", json_string(page_state_text(session->state)));
    json_object_set_new(value, "end", alive && !queued ? time_value(session->ends_at) : json_null());
    json_object_set_new(value, "is_queued", json_boolean(queued));
    json_object_set_new(value, "is_new", json_boolean(queued || session->state == SESSION_STARTING));
    json_object_set_new(value, "may_stop", json_boolean(may_stop));
    json_object_set_new(value, "may_extend", json_boolean(may_extend));
    json_object_set_new(value, "extension",
                        may_extend ? extension_text(context->settings, context->who, session) : json_null());
    return value;
}

/* The screen of a machine that is up. */
json_t *page_picture_value(const PageContext *context, const SessionRecord *session, int period_s)
{
    bool is_up = session->state == SESSION_RUNNING ||
                 (session->state == SESSION_STARTING && g_str_equal(session->step, "display"));
    if (!is_up)
        return json_null();
    g_autofree char *page = page_session_path(context, session->id);
    return json_pack("{s:o, s:i}", "url", json_take_text(g_strdup_printf("%s&picture=%d", page, period_s)), "period",
                     period_s);
}

/* As long as it boots, and nobody looks at it otherwise, there is something new each second. */
static int picture_period_s(const SessionRecord *session)
{
    bool is_known = session->viewers->len > 0 || (session->ready_at && session->last_input_at >= session->ready_at);
    bool is_new = !session->ready_at || session_now() - session->ready_at < BOOT_S;
    return is_new && !is_known ? PICTURE_NEW_S : PICTURE_PERIOD_S;
}

/* Where in the queue it is, what it waits for, and when its turn is likely to come. */
static json_t *queue_value(const PageContext *context, const SessionRecord *session)
{
    g_auto(QueueWait) wait = {0};
    if (session->state != SESSION_QUEUED || !app_queue_describe(context->settings, session, &wait, NULL) ||
        wait.position == 0)
        return json_null();
    json_t *reason = wait.reason ? page_message_or_null(wait.reason) : json_null();
    return json_pack("{s:i, s:b, s:o, s:b, s:o}", "position", (int)wait.position, "is_next", (int)(wait.position == 1),
                     "reason", reason, "is_own", (int)wait.is_own, "expected", time_value(wait.expected_at));
}

json_t *page_session(const PageContext *context, const SessionRecord *session)
{
    bool waiting = session->state == SESSION_QUEUED || session->state == SESSION_STARTING;
    json_t *value = page_session_value(context, session);
    json_object_set_new(value, "note", page_message_or_null(session->note));
    json_object_set_new(value, "created", time_value(session->created_at));
    json_object_set_new(value, "has_clipboard", json_boolean(session->plan->clipboard));
    json_object_set_new(value, "steps", steps_value(session));
    json_object_set_new(value, "advice", step_advice(session, session_now()));
    json_object_set_new(value, "picture", page_picture_value(context, session, picture_period_s(session)));
    json_object_set_new(value, "is_waiting", json_boolean(waiting));
    json_object_set_new(value, "queue", queue_value(context, session));
    json_object_set_new(value, "is_stopping", json_boolean(session->state == SESSION_STOPPING));
    json_object_set_new(value, "ending", ending_value(context->settings, context->who, session));
    json_object_set_new(value, "ready", ready_value(context, session));
    json_object_set_new(value, "over", over_value(context, session));
    json_object_set_new(value, "folders", folders_value(session));
    json_object_set_new(value, "scripts", scripts_value(session));
    json_object_set_new(value, "saving", saving_value(context->settings, context->who, session));
    json_object_set_new(value, "sharing", sharing_value(context, session));
    json_t *values = page_common_values(context, session_title(session));
    json_object_set_new(values, "session", value);
    if (waiting || session->state == SESSION_STOPPING)
        json_object_set_new(values, "refresh", json_integer(session->state == SESSION_QUEUED ? 5 : 1));
    return values;
}
