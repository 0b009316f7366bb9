/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "web/pages.h"

#include <string.h>

#include "base/json.h"
#include "base/units.h"
#include "core/link.h"
#include "core/queue.h"
#include "core/store.h"
#include "web/page_life.h"
#include "web/page_save.h"
#include "web/catalogue.h"
#include "web/qr.h"
#include "web/response.h"

/* --- pieces --- */

static json_t *text_or_null(const char *text)
{
    return text && *text ? json_string(text) : json_null();
}

/* Made by a floor below, in English. */
static json_t *message_or_null(const char *message)
{
    return message && *message ? json_take_text(tr_message(message)) : json_null();
}

static json_t *format_time(gint64 unix_s, const char *text_format)
{
    g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(unix_s);
    if (!utc) /* beyond the year 9999 */
        return json_null();
    g_autoptr(GDateTime) local = g_date_time_to_local(utc);
    g_autofree char *iso = g_date_time_format(utc, "%Y-%m-%dT%H:%M:%SZ");
    g_autofree char *text = tr_time(local, text_format);
    return json_pack("{s:s, s:s}", "iso", iso, "text", text);
}

json_t *time_value(gint64 unix_s)
{
    return unix_s ? format_time(unix_s, "%e %b %Y %H:%M %Z") : json_null();
}

static json_t *time_of_day(gint64 unix_s)
{
    return unix_s ? format_time(unix_s, "%H:%M:%S") : json_null();
}

static const char *const state_texts[SESSION_STATES] = {
    [SESSION_QUEUED] = N_("Queued"),     [SESSION_STARTING] = N_("Starting"), [SESSION_RUNNING] = N_("Running"),
    [SESSION_STOPPING] = N_("Stopping"), [SESSION_ENDED] = N_("Ended"),       [SESSION_FAILED] = N_("Failed"),
};

const char *page_state_text(SessionState state)
{
    return tr(state_texts[state]);
}

char *page_session_path(const PageContext *context, const char *id)
{
    const char *script = context->request ? request_variable(context->request, REQUEST_SCRIPT_NAME) : "";
    return g_strdup_printf("%s?session=%s", script, id);
}

char *page_viewer_path(const PageContext *context, const char *id)
{
    const char *script = context->request ? request_variable(context->request, REQUEST_SCRIPT_NAME) : "";
    return g_strdup_printf("%s?view=%s", script, id);
}

/* The same page in the other languages. What was sent with POST is not sent again: the start page instead. */
static json_t *languages_value(const PageContext *context)
{
    const char *script = request_variable(context->request, REQUEST_SCRIPT_NAME);
    bool is_get = request_method(context->request) != METHOD_POST;
    json_t *list = json_array();
    for (char **code = context->settings->languages; *code; code++) {
        g_autofree char *query =
            is_get ? request_query_with(context->request, "lang", *code) : g_strconcat("lang=", *code, NULL);
        g_autofree char *path = g_strconcat(script, "?", query, NULL);
        if (!g_str_equal(*code, catalogue_language()))
            json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "code", *code, "name",
                                                  catalogue_language_name(*code), "path", path));
    }
    return list;
}

json_t *page_common_values(const PageContext *context, const char *title)
{
    json_t *values = response_page_values(context->request, context->settings, title);
    json_object_set_new(values, "languages", context->request ? languages_value(context) : json_array());
    if (!context->csrf)
        return values;
    /* The page with the form is a file that knows no login: who is logged in gets it from the program. */
    json_object_set_new(values, "user", json_string(context->who->user));
    json_object_set_new(values, "csrf", json_string(context->csrf));
    json_object_set_new(values, "home", json_string(request_variable(context->request, REQUEST_SCRIPT_NAME)));
    return values;
}

/* --- steps --- */

/* The page shows four steps; a supervisor has more (session/steps.c). */
static const struct {
    const char *name, *text;
    const char *covers; /* the supervisor's steps, between spaces */
} shown_steps[] = {
    {"queued", N_("Queued"), " "},
    {"disk", N_("Preparing the disk"), " prepare accelerator disk network folders script "},
    {"starting", N_("Starting the machine"), " starting display "},
    {"ready", N_("Ready"), " "},
};

static bool covers(size_t shown, const char *step)
{
    g_autofree char *word = g_strdup_printf(" %s ", step);
    return *step && strstr(shown_steps[shown].covers, word);
}

/* The shown step that a session is at; one behind the last when it is ready. */
static size_t current_step(const SessionRecord *session)
{
    if (session->state == SESSION_QUEUED)
        return 0;
    for (size_t i = 0; session->state == SESSION_STARTING && i < G_N_ELEMENTS(shown_steps); i++) {
        if (covers(i, session->step))
            return i;
    }
    return session->state == SESSION_STARTING ? 1 : G_N_ELEMENTS(shown_steps);
}

static gint64 step_duration_ms(const SessionRecord *session, size_t shown)
{
    gint64 total = 0;
    for (guint i = 0; i < session->steps->len; i++) {
        const SessionStep *step = session->steps->pdata[i];
        if (covers(shown, step->name))
            total += step->duration_ms;
    }
    return total;
}

static json_t *step_value(const SessionRecord *session, size_t shown, size_t current)
{
    bool has_duration = shown < current && strlen(shown_steps[shown].covers) > 1;
    json_t *took = has_duration
                       ? json_take_text(g_strdup_printf("%.1f s", (double)step_duration_ms(session, shown) / 1000))
                       : json_null();
    gint64 since = shown == current ? MAX(session->started_at, session->created_at) : 0;
    return json_pack("{s:s, s:s, s:b, s:b, s:o, s:o}", "name", shown_steps[shown].name, "text",
                     tr(shown_steps[shown].text), "is_done", (int)(shown < current), "is_now", (int)(shown == current),
                     "took", took, "since", time_of_day(since));
}

static json_t *steps_value(const SessionRecord *session)
{
    json_t *list = json_array();
    size_t current = current_step(session);
    for (size_t i = 0; i < G_N_ELEMENTS(shown_steps); i++)
        json_array_append_new(list, step_value(session, i, current));
    return list;
}

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

static json_t *viewer_value(const SessionRecord *session, const SessionViewer *viewer)
{
    const SessionLink *link = session_find_link(session, viewer->link_id);
    const char *label = link && link->is_own ? tr("your own link") : link && *link->label ? link->label : tr("a link");
    return json_pack("{s:I, s:s, s:s, s:s, s:s, s:o}", "serial", (json_int_t)viewer->serial, "session_id", session->id,
                     "address", viewer->address, "link_label", label, "role_text", tr(role_texts[viewer->role]),
                     "since", time_value(viewer->since));
}

static json_t *sharing_value(const PageContext *context, const SessionRecord *session)
{
    bool may = session->state == SESSION_RUNNING && !session->plan->oneshot &&
               policy_allows(context->settings, context->who, ACTION_SHARE, session, NULL);
    if (!may)
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

static const struct {
    const char *state, *text;
} script_states[] = {{"waiting", N_("Waiting for the machine")},
                     {"running", N_("Running")},
                     {"done", N_("Done")},
                     {"failed", N_("Not run")}};

static json_t *script_value(const BootScript *script)
{
    bool done = g_str_equal(script->state_name, script_state_name(SCRIPT_DONE));
    bool failed = g_str_equal(script->state_name, script_state_name(SCRIPT_FAILED));
    const char *text = "";
    for (size_t i = 0; i < G_N_ELEMENTS(script_states); i++)
        text = g_str_equal(script_states[i].state, script->state_name) ? tr(script_states[i].text) : text;
    json_t *took = done ? json_take_text(g_strdup_printf("%.1f s", (double)script->duration_ms / 1000)) : json_null();
    return json_pack("{s:s, s:s, s:s, s:b, s:b, s:o, s:o, s:o, s:o}", "name", script->name, "state", script->state_name,
                     "state_text", text, "is_over", (int)(done || failed), "is_failed",
                     (int)(failed || script->exit_code != 0), "method", text_or_null(script->method), "exit_code",
                     done ? json_integer(script->exit_code) : json_null(), "took", took, "output",
                     failed ? message_or_null(script->output) : text_or_null(script->output));
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

static json_t *link_value(const PageContext *context, const SessionRecord *session, SessionRole role)
{
    g_autofree char *token = store_find_role_token(context->settings, session, role);
    return token ? json_take_text(link_url(context->settings, context->base, token, role)) : json_null();
}

/* Where Connect leads; null before the display is ready. */
static json_t *connect_value(const PageContext *context, const SessionRecord *session)
{
    if (session->state != SESSION_RUNNING)
        return json_null();
    g_autofree char *viewer = link_viewer_url(context->settings, context->base, "");
    return viewer ? json_take_text(page_viewer_path(context, session->id)) : link_value(context, session, ROLE_CONTROL);
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
    json_t *value = json_pack("{s:o, s:b}", "connect", connect_value(context, session), "is_oneshot", (int)oneshot);
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
    const char *advice = failed
                             ? tr("Start another session. If that fails as well, tell the administrator, with the name "
                                  "of the machine and the time below.")
                             : NULL;
    return json_pack("{s:b, s:o, s:o, s:o, s:o}", "is_failed", (int)failed, "reason",
                     json_take_text(tr_message(session->reason)), "advice", text_or_null(advice), "time",
                     time_value(session->ended_at), "kept", kept_value(context->settings, context->who, session));
}

/* What session.html and sessions.html have in common. */
static json_t *session_value(const PageContext *context, const SessionRecord *session)
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
    json_object_set_new(value, "memory", json_take_text(units_format_size(session->plan->memory_mib)));
    json_object_set_new(value, "gpu", text_or_null(session->plan->gpu_name));
    json_object_set_new(value, "state", json_string(session_state_name(session->state)));
    json_object_set_new(value, "state_text", json_string(page_state_text(session->state)));
    json_object_set_new(value, "end", alive && !queued ? time_value(session->ends_at) : json_null());
    json_object_set_new(value, "is_queued", json_boolean(queued));
    json_object_set_new(value, "may_stop", json_boolean(may_stop));
    json_object_set_new(value, "may_extend", json_boolean(may_extend));
    json_object_set_new(value, "extension", may_extend ? extension_text(context->settings) : json_null());
    return value;
}

/* Where in the queue it is, and when its turn comes at the latest. */
static json_t *queue_value(const PageContext *context, const SessionRecord *session)
{
    g_autoptr(GPtrArray) sessions = session->state == SESSION_QUEUED ? store_list(context->settings, NULL) : NULL;
    guint position = sessions ? queue_position(sessions, session->id) : 0;
    if (position == 0)
        return json_null();
    return json_pack("{s:i, s:b, s:o}", "position", (int)position, "is_next", (int)(position == 1), "expected",
                     time_value(queue_expected_at(sessions, position)));
}

json_t *page_session(const PageContext *context, const SessionRecord *session)
{
    bool waiting = session->state == SESSION_QUEUED || session->state == SESSION_STARTING;
    json_t *value = session_value(context, session);
    json_object_set_new(value, "note", message_or_null(session->note));
    json_object_set_new(value, "created", time_value(session->created_at));
    json_object_set_new(value, "has_clipboard", json_boolean(session->plan->clipboard));
    json_object_set_new(value, "steps", steps_value(session));
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

/* --- many sessions --- */

static json_t *row_value(const PageContext *context, const SessionRecord *session)
{
    gint64 left_s = session->ends_at - session_now();
    bool running = session->state == SESSION_RUNNING;
    json_t *value = session_value(context, session);
    json_object_set_new(value, "left", running ? json_take_text(units_format_duration(MAX(left_s, 0))) : json_null());
    json_object_set_new(value, "url", running ? link_value(context, session, ROLE_CONTROL) : json_null());
    json_object_set_new(value, "connect", connect_value(context, session));
    return value;
}

/* An ended session whose disk is kept. */
static json_t *kept_row(const PageContext *context, const SessionRecord *session)
{
    json_t *value = session_value(context, session);
    json_object_set_new(value, "reason", json_take_text(tr_message(session->reason)));
    json_object_set_new(value, "kept", kept_value(context->settings, context->who, session));
    return value;
}

static json_t *row_values(const PageContext *context, const GPtrArray *sessions)
{
    json_t *list = json_array();
    for (guint i = 0; i < sessions->len; i++) {
        const SessionRecord *session = sessions->pdata[i];
        if (session_state_is_alive(session->state))
            json_array_append_new(list, row_value(context, session));
    }
    return list;
}

static json_t *kept_rows(const PageContext *context, const GPtrArray *sessions)
{
    json_t *list = json_array();
    for (guint i = 0; i < sessions->len; i++) {
        const SessionRecord *session = sessions->pdata[i];
        if (!session_state_is_alive(session->state))
            json_array_append_new(list, kept_row(context, session));
    }
    return list;
}

json_t *page_error_sessions(const PageContext *context, const GPtrArray *sessions)
{
    json_t *values = page_common_values(context, "");
    json_object_del(values, "title"); /* the error's */
    json_object_set_new(values, "sessions", row_values(context, sessions));
    return values;
}

json_t *page_sessions(const PageContext *context, const GPtrArray *sessions)
{
    json_t *kept = kept_rows(context, sessions);
    json_t *values = page_common_values(context, context->who->is_admin ? tr("Sessions") : tr("Your sessions"));
    json_object_set_new(values, "notice", json_null());
    json_object_set_new(values, "all", json_boolean(context->who->is_admin));
    json_object_set_new(values, "may_purge", json_boolean(context->who->is_admin));
    json_object_set_new(values, "sessions", row_values(context, sessions));
    json_object_set_new(values, "has_kept", json_boolean(json_array_size(kept) > 0));
    json_object_set_new(values, "kept", kept);
    json_object_set_new(values, "saved", saved_value(context->settings, context->who));
    return values;
}
