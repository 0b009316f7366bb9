/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What can be asked for: one table, and a function for each. */
#include <stdio.h>

#include "app/app.h"
#include "app/journal.h"
#include "app/metrics.h"
#include "app/picture.h"
#include "app/queue.h"
#include "app/save_own.h"
#include "app/saved.h"
#include "app/submission.h"
#include "base/error.h"
#include "base/exposition.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/token.h"
#include "cgi/call.h"
#include "cgi/viewer.h"
#include "core/store.h"
#include "web/catalogue.h"
#include "web/identity.h"

#define IS_NEW "&new=1"

typedef Response *(*Handler)(Call *call, GError **error);

/* --- answers --- */

static Response *page(const Call *call, const char *template_name, json_t *values, GError **error)
{
    g_autoptr(JsonValue) owned = values;
    return response_page(call->page.settings, template_name, owned, error);
}

static Response *state_answer(const Call *call, const json_t *values)
{
    g_autoptr(JsonValue) session = json_deep_copy(json_object_get(values, "session"));
    json_t *ready = json_object_get(session, "ready");
    if (json_is_object(ready))
        json_object_del(ready, "qr");
    g_autoptr(JsonValue) object = json_pack("{s:O}", "session", session);
    Response *response = response_json(200, object);
    response_make_conditional(response, call->page.request);
    return response;
}

/* Who looks at a session that waits moves the queue on: room may have come without a session's end. */
static SessionRecord *see(const Call *call, GError **error)
{
    const Settings *settings = call->page.settings;
    SessionRecord *session = app_see(settings, &call->who, call->form.session, error);
    if (!session || session->state != SESSION_QUEUED || !app_queue_advance(settings, NULL))
        return session;
    session_free(session);
    return app_see(settings, &call->who, call->form.session, error);
}

/* A machine without a picture (yet) is nobody's mistake, which browsers would write to their console. */
static Response *show_picture(const Call *call, const SessionRecord *session)
{
    size_t length;
    g_autofree char *data = app_picture(call->page.settings, session, call->form.picture_age_s, &length, NULL);
    if (!data)
        return response_nothing();
    Response *response = response_data("image/png", data, length);
    response_make_conditional(response, call->page.request);
    return response;
}

static Response *show_session(Call *call, GError **error)
{
    g_autoptr(SessionRecord) session = see(call, error);
    if (!session)
        return NULL;
    if (*call->form.qr)
        return viewer_qr(call, session, error);
    if (call->form.picture_age_s)
        return show_picture(call, session);
    g_autoptr(JsonValue) values = page_session(&call->page, session);
    if (request_wants_json(call->page.request))
        return state_answer(call, values);
    return response_page(call->page.settings, "session.html", values, error);
}

static Response *show_form(Call *call, GError **error)
{
    if (!policy_allows(call->page.settings, &call->who, ACTION_FORM, NULL, error))
        return NULL;
    g_autoptr(GPtrArray) machines = machines_load(call->page.settings, error);
    g_autoptr(GPtrArray) sessions = machines ? store_list(call->page.settings, error) : NULL;
    if (sessions)
        app_note_states(call->page.settings, sessions);
    g_autoptr(JsonValue) values = sessions ? page_landing(&call->page, machines, sessions) : NULL;
    Response *response = values ? response_page(call->page.settings, "landing.html", values, error) : NULL;
    const char *key = json_get_text(values, "idempotency_key", "");
    if (response)
        response_make_conditional_without(response, call->page.request, key);
    return response;
}

static Response *show(Call *call, GError **error)
{
    return *call->form.session ? show_session(call, error) : show_form(call, error);
}

static Response *show_sessions(Call *call, GError **error)
{
    g_autoptr(GPtrArray) sessions = app_list(call->page.settings, &call->who, error);
    if (!sessions)
        return NULL;
    /* Programs want all of them; the page's own script what is on its page. */
    if (request_wants_json(call->page.request) && !call->form.page) {
        g_autoptr(JsonValue) all = page_sessions_list(&call->page, sessions);
        return response_json(200, all);
    }
    g_autoptr(GPtrArray) history = app_history(call->page.settings, &call->who, sessions);
    g_autoptr(JsonValue) values = page_sessions(&call->page, sessions, history, call->form.page);
    if (!request_wants_json(call->page.request))
        return response_page(call->page.settings, "sessions.html", values, error);
    g_autoptr(JsonValue) state = page_sessions_state(values);
    Response *response = response_json(200, state);
    response_make_conditional(response, call->page.request);
    return response;
}

/* A token file that cannot be used is for the administrator to mend; nobody gets in by it. */
static bool has_metrics_token(Call *call)
{
    g_autoptr(GError) error = NULL;
    bool has = identity_has_metrics_token(call->page.request, call->page.settings, &error);
    if (error)
        fprintf(stderr, "qemu-web-desktop.cgi: %s\n", error->message);
    return has;
}

static Response *show_metrics(Call *call, GError **error)
{
    call->who.has_metrics_token = has_metrics_token(call);
    g_autofree char *text = app_metrics(call->page.settings, &call->who, error);
    return text ? response_text(EXPOSITION_TYPE, text) : NULL;
}

/* After a change: to the session's page; a client that wants JSON gets the state at once. `more` of the address is for
 * the page's script: "&new=1" goes on to the desktop when it is ready. */
static Response *go_to_session(Call *call, const char *id, const char *more, GError **error)
{
    call->subject = g_strdup(id);
    call->form.session = call->subject;
    if (request_wants_json(call->page.request))
        return show_session(call, error);
    g_autofree char *page = page_session_path(&call->page, id);
    g_autofree char *path = g_strconcat(page, more, NULL);
    return response_redirect(path, error);
}

/* --- changes --- */

static bool check_terms(const Call *call, const CreateForm *form, GError **error)
{
    return !*call->page.settings->layout_terms || form->terms ||
           qwd_error_fail(error, QWD_ERROR_USAGE, "terms: agree to the terms of use.");
}

static Response *create(Call *call, GError **error)
{
    CreateForm form;
    g_autoptr(GPtrArray) folders = NULL;
    if (!form_read_create(call->page.request, &form, error) || !check_terms(call, &form, error) ||
        !form_read_folders(call->page.request, &folders, error))
        return NULL;
    CreateRequest request = {.machine = form.machine,
                             .script = form.script,
                             .folders = folders,
                             .password = call->login_form.password,
                             .remote_host = request_variable(call->page.request, REQUEST_REMOTE_ADDR),
                             .base = call->page.base,
                             .language = catalogue_language(),
                             .submission = call->submission,
                             .plan = {.cpus = form.cpus,
                                      .memory_mib = form.memory_mib,
                                      .lifetime_s = form.lifetime_s,
                                      .oneshot = form.oneshot || call->who.is_guest_by_mail,
                                      .gpu = form.gpu}};
    g_autofree char *id = app_create(call->page.settings, &call->who, &request, error);
    return id ? go_to_session(call, id, IS_NEW, error) : NULL;
}

static Response *after_change(Call *call, SessionRecord *session, GError **error)
{
    g_autoptr(SessionRecord) owned = session;
    g_autofree char *id = owned ? g_strdup(owned->id) : NULL;
    return id ? go_to_session(call, id, call->action == FORM_AGAIN ? IS_NEW : "", error) : NULL;
}

static Response *stop(Call *call, GError **error)
{
    return after_change(call, app_stop(call->page.settings, &call->who, call->form.session, error), error);
}

static Response *extend(Call *call, GError **error)
{
    gint64 seconds;
    if (!form_read_extension(call->page.request, &seconds, error))
        return NULL;
    return after_change(call, app_extend(call->page.settings, &call->who, call->form.session, seconds, error), error);
}

static Response *stay(Call *call, GError **error)
{
    return after_change(call, app_stay(call->page.settings, &call->who, call->form.session, error), error);
}

static Response *resume_session(Call *call, GError **error)
{
    return after_change(call, app_resume(call->page.settings, &call->who, call->form.session, error), error);
}

/* Its record goes with the disk, so that nothing can be noted: the page shows that there is none any more. */
static bool is_discarded(const Call *call, const GError *cause)
{
    const Settings *settings = call->page.settings;
    bool is_repeat = call->submission && g_error_matches(cause, QWD_ERROR, QWD_ERROR_CONFLICT);
    g_autoptr(SessionRecord) session = is_repeat ? app_see(settings, &call->who, call->form.session, NULL) : NULL;
    return session && !session_state_is_alive(session->state) && !session_is_kept(session, session_now());
}

static Response *discard(Call *call, GError **error)
{
    g_autoptr(GError) cause = NULL;
    SessionRecord *session = app_discard(call->page.settings, &call->who, call->form.session, &cause);
    if (session || is_discarded(call, cause))
        return session ? after_change(call, session, error) : go_to_session(call, call->form.session, "", error);
    g_propagate_error(error, g_steal_pointer(&cause));
    return NULL;
}

static Response *save_session(Call *call, GError **error)
{
    SaveForm form;
    if (!form_read_save(call->page.request, &form, error))
        return NULL;
    SaveOwnRequest request = {.session_id = call->form.session, .name = form.name, .title = form.title};
    return after_change(call, app_save_own(call->page.settings, &call->who, &request, error), error);
}

static Response *remove_saved(Call *call, GError **error)
{
    const char *name;
    g_autoptr(GError) cause = NULL;
    if (!form_read_remove_saved(call->page.request, &name, error))
        return NULL;
    bool is_removed = app_saved_remove(call->page.settings, &call->who, name, &cause);
    /* Nothing is left in which it could be noted: the list, to which both lead, shows that it has gone. */
    bool is_repeat = call->submission && g_error_matches(cause, QWD_ERROR, QWD_ERROR_NOT_FOUND);
    if (!is_removed && !is_repeat) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return NULL;
    }
    if (request_wants_json(call->page.request)) {
        g_autoptr(JsonValue) done = json_pack("{s:s}", "removed", name);
        return response_json(200, done);
    }
    g_autofree char *path = g_strconcat(request_variable(call->page.request, REQUEST_SCRIPT_NAME), "?manage=1", NULL);
    return response_redirect(path, error);
}

static Response *share_link(Call *call, GError **error)
{
    ShareForm form;
    if (!form_read_share(call->page.request, &form, error))
        return NULL;
    ShareRequest request = {.session_id = call->form.session,
                            .role = form.view_only ? ROLE_VIEW : ROLE_CONTROL,
                            .label = form.label,
                            .lifetime_s = form.lifetime_s};
    return after_change(call, app_share(call->page.settings, &call->who, &request, error), error);
}

static Response *revoke_link(Call *call, GError **error)
{
    ShareForm form;
    if (!form_read_share(call->page.request, &form, error))
        return NULL;
    return after_change(call, app_revoke(call->page.settings, &call->who, call->form.session, form.link, error), error);
}

static Response *disconnect_viewer(Call *call, GError **error)
{
    ShareForm form;
    if (!form_read_share(call->page.request, &form, error))
        return NULL;
    return after_change(
        call, app_disconnect(call->page.settings, &call->who, call->form.session, form.viewer_serial, error), error);
}

static Response *purge(Call *call, GError **error)
{
    int count;
    if (!policy_allows(call->page.settings, &call->who, ACTION_PURGE, NULL, error))
        return NULL;
    if (!call->form.confirm) {
        qwd_error_fail(error, QWD_ERROR_USAGE, "Stopping all sessions needs a yes: tick the box above the button.");
        return NULL;
    }
    if (!app_purge(call->page.settings, &call->who, &count, error))
        return NULL;
    if (request_wants_json(call->page.request)) {
        g_autoptr(JsonValue) done = json_pack("{s:i}", "stopped", count);
        return response_json(200, done);
    }
    json_t *values = call_page_values(call, tr("All sessions are stopped"));
    g_autofree char *message = tr_format("Sessions asked to end: %d.", count);
    json_object_set_new(values, "message", json_string(message));
    json_object_set_new(values, "details", json_array());
    json_object_set_new(values, "next", json_null());
    return page(call, "message.html", values, error);
}

/* --- dispatch --- */

typedef struct {
    FormAction action;
    bool is_change;    /* by POST only, and only from our own forms */
    const char *event; /* of a change, for the log */
    Handler handler;
    bool is_noted; /* the session notes the form that has changed it: done again, it would be another change, or an
                      error. Of the other changes, the comment says why they need no note. */
} Route;

static const Route routes[] = {
    {FORM_NOTHING, false, NULL, show, false},
    {FORM_MANAGE, false, NULL, show_sessions, false},
    {FORM_METRICS, false, NULL, show_metrics, false},
    {FORM_MONITOR, false, NULL, call_monitor, false},
    {FORM_VIEWER, false, NULL, viewer_page, false},
    {FORM_SHARED_VIEWER, false, NULL, viewer_shared_page, false},
    {FORM_LINK_STATE, false, NULL, viewer_link_state, false},
    {FORM_CREATE, true, "CREATE", create, false}, /* the new session is made with it, in one step (app/queue.c) */
    {FORM_STOP, true, "END", stop, false},        /* one that stops, or has ended, goes on doing so */
    {FORM_EXTEND, true, "EXTEND", extend, true},
    {FORM_STAY, true, "STAY", stay, false},              /* in use is in use */
    {FORM_AGAIN, true, "RESUME", resume_session, false}, /* one that runs (again) goes on */
    {FORM_DISCARD, true, "DISCARD", discard, false},     /* see there */
    {FORM_SAVE, true, "SAVE", save_session, true},
    {FORM_REMOVE_SAVED, true, "REMOVE", remove_saved, false}, /* see there */
    {FORM_PURGE, true, "PURGE", purge, false},                /* as with stop */
    {FORM_SHARE, true, "SHARE", share_link, true},
    {FORM_REVOKE, true, "REVOKE", revoke_link, true},
    {FORM_DISCONNECT, true, "DISCONNECT", disconnect_viewer, true},
    {FORM_STOP_SELECTION, true, "END", call_stop_selection, false},        /* as with stop */
    {FORM_EXTEND_SELECTION, true, "EXTEND", call_extend_selection, false}, /* each session notes it (monitor.c) */
    {FORM_LOGOUT, true, "LOGOUT", call_logout, false},                     /* logged out is logged out */
};

/* The start page is a file, whose form has no token. Where the web server logs people in, neither has it a password: it
 * counts that the browser says whose page it was (Origin, which has been checked). */
static bool is_start_page(const Call *call)
{
    return call->by_web_server && call->action == FORM_CREATE && *request_variable(call->page.request, REQUEST_ORIGIN);
}

/* A browser sends its cookie with forms of other sites as well; the token of our own forms they cannot know. */
static bool check_form_token(const Call *call, GError **error)
{
    bool needed = call->has_login && !call->has_credentials && !is_start_page(call);
    return !needed || (call->csrf && token_equal(call->csrf, call->form.csrf)) ||
           qwd_error_fail(
               error, QWD_ERROR_DENIED,
               "The form is too old, or was not made by this service. Go back, load the page again, and retry.");
}

static bool check_change(const Call *call, GError **error)
{
    return call_check_post(call, error) && check_form_token(call, error);
}

static void audit(const Call *call, const Route *route, const GError *refusal)
{
    g_autofree char *what = g_strdup_printf("%s %s", refusal ? route->event : "session", call->form.session);
    AuditLine line = {.event = refusal ? "REFUSED" : route->event,
                      .user = call->who.user,
                      .address = request_variable(call->page.request, REQUEST_REMOTE_ADDR),
                      .what = g_strchomp(what),
                      .why = refusal ? refusal->message : ""};
    journal_audit(call->page.settings, &line);
}

/* Nobody but the same user has the same submission. A refused change is not noted: it can be sent again. */
static Response *change_once(Call *call, const Route *route, GError **error)
{
    bool is_done = false;
    const Settings *settings = call->page.settings;
    if (!route->is_noted || !call->submission)
        return route->handler(call, error);
    g_autofree char *id = g_strdup(call->form.session);
    autofd int lock = app_submission_begin(settings, id, call->submission, &is_done);
    if (is_done)
        return go_to_session(call, id, "", error);
    Response *response = route->handler(call, error);
    if (response && lock >= 0)
        app_submission_note(settings, id, call->submission);
    return response;
}

static void name_submission(Call *call)
{
    const char *address = request_variable(call->page.request, REQUEST_REMOTE_ADDR);
    g_autofree char *sender =
        g_strconcat(call->who.user, *call->who.user ? "" : " ", *call->who.user ? "" : address, NULL);
    call->submission = form_submission(call->page.request, sender);
}

static Response *perform_change(Call *call, const Route *route, GError **error)
{
    g_autoptr(GError) cause = NULL;
    name_submission(call);
    Response *response = check_change(call, &cause) ? change_once(call, route, &cause) : NULL;
    audit(call, route, cause);
    if (cause)
        g_propagate_error(error, g_steal_pointer(&cause));
    return response;
}

Response *call_perform(Call *call, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(routes); i++) {
        if (routes[i].action == call->action)
            return routes[i].is_change ? perform_change(call, &routes[i], error) : routes[i].handler(call, error);
    }
    qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "There is no such page.");
    return NULL;
}
