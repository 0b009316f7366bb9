/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The requests: one table of what can be asked for, and a function for each. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/app.h"
#include "base/error.h"
#include "base/json.h"
#include "cgi/cgi.h"
#include "core/origin.h"
#include "web/form.h"
#include "web/identity.h"

typedef struct {
    PageContext page;
    SessionForm form;
} Call;

typedef Response *(*Handler)(Call *call, GError **error);

/* --- answers --- */

static Response *state_answer(Call *call, const json_t *values)
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

static Response *show_session(Call *call, GError **error)
{
    g_autoptr(SessionRecord) session = app_see(call->page.settings, call->page.who, call->form.session, error);
    if (!session)
        return NULL;
    g_autoptr(JsonValue) values = page_session(&call->page, session);
    if (request_wants_json(call->page.request))
        return state_answer(call, values);
    return response_page(call->page.settings, "session.html", values, error);
}

static Response *show_form(Call *call, GError **error)
{
    g_autoptr(GPtrArray) machines = machines_load(call->page.settings, error);
    if (!machines)
        return NULL;
    g_autoptr(JsonValue) values = page_landing(&call->page, machines);
    return response_page(call->page.settings, "landing.html", values, error);
}

static Response *show(Call *call, GError **error)
{
    return *call->form.session ? show_session(call, error) : show_form(call, error);
}

static Response *show_sessions(Call *call, GError **error)
{
    g_autoptr(GPtrArray) sessions = app_list(call->page.settings, call->page.who, error);
    if (!sessions)
        return NULL;
    g_autoptr(JsonValue) values = page_sessions(&call->page, sessions);
    if (request_wants_json(call->page.request)) {
        g_autoptr(JsonValue) object = json_pack("{s:O}", "sessions", json_object_get(values, "sessions"));
        return response_json(200, object);
    }
    return response_page(call->page.settings, "sessions.html", values, error);
}

/* After a change: to the session's page; a client that wants JSON gets the state at once. */
static Response *go_to_session(Call *call, const char *id, GError **error)
{
    call->form.session = id;
    if (request_wants_json(call->page.request))
        return show_session(call, error);
    g_autofree char *path = page_session_path(&call->page, id);
    return response_redirect(path, error);
}

/* --- changes --- */

static Response *create(Call *call, GError **error)
{
    CreateForm form;
    if (!form_read_create(call->page.request, &form, error))
        return NULL;
    CreateRequest request = {
        .machine = form.machine,
        .remote_host = request_variable(call->page.request, REQUEST_REMOTE_ADDR),
        .plan = {
            .cpus = form.cpus, .memory_mib = form.memory_mib, .lifetime_s = form.lifetime_s, .oneshot = form.oneshot}};
    g_autofree char *id = app_create(call->page.settings, call->page.who, &request, error);
    return id ? go_to_session(call, id, error) : NULL;
}

static Response *stop(Call *call, GError **error)
{
    g_autoptr(SessionRecord) session = app_stop(call->page.settings, call->page.who, call->form.session, error);
    return session ? go_to_session(call, session->id, error) : NULL;
}

static Response *extend(Call *call, GError **error)
{
    g_autoptr(SessionRecord) session = app_extend(call->page.settings, call->page.who, call->form.session, error);
    return session ? go_to_session(call, session->id, error) : NULL;
}

static Response *purge(Call *call, GError **error)
{
    int count;
    if (!app_purge(call->page.settings, call->page.who, &count, error))
        return NULL;
    g_autoptr(JsonValue) values =
        response_page_values(call->page.request, call->page.settings, "All sessions are stopped");
    g_autofree char *message = g_strdup_printf("Sessions asked to end: %d.", count);
    json_object_set_new(values, "message", json_string(message));
    json_object_set_new(values, "details", json_array());
    json_object_set_new(values, "next", json_null());
    return response_page(call->page.settings, "message.html", values, error);
}

static const struct {
    FormAction action;
    bool changes; /* by POST only, and only from our own pages */
    Handler handler;
} routes[] = {
    {FORM_NOTHING, false, show}, {FORM_MANAGE, false, show_sessions}, {FORM_CREATE, true, create},
    {FORM_STOP, true, stop},     {FORM_EXTEND, true, extend},         {FORM_PURGE, true, purge},
};

/* --- one request --- */

static bool check_change(const Call *call, GError **error)
{
    const Request *request = call->page.request;
    const char *origin = request_variable(request, REQUEST_ORIGIN), *host = request_variable(request, REQUEST_HOST);
    if (request_method(request) != METHOD_POST)
        return qwd_error_fail(error, QWD_ERROR_METHOD, "This changes something, so it must be sent with POST.");
    if (*origin && !origin_is_allowed(call->page.settings, origin, host))
        return qwd_error_fail(error, QWD_ERROR_DENIED,
                              "The form was sent from another site's page. Use the form of this service.");
    return true;
}

static Response *dispatch(Call *call, FormAction action, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(routes); i++) {
        if (routes[i].action != action)
            continue;
        return routes[i].changes && !check_change(call, error) ? NULL : routes[i].handler(call, error);
    }
    qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "There is no such page.");
    return NULL;
}

static Response *answer(Request *request, const Settings *settings, GError **error)
{
    FormAction action;
    LoginForm login;
    Call call = {.page = {.settings = settings, .request = request}};
    if (!request_load(request, settings, error))
        return NULL;
    const char *host = request_variable(request, REQUEST_HOST);
    g_autofree char *base = public_base(settings, request_scheme(request), *host ? host : NULL, error);
    if (!base || !form_read_action(request, &action, error) || !form_read_login(request, &login, error) ||
        !form_read_session(request, &call.form, error))
        return NULL;
    Identity who = identity_of(request, login.user);
    call.page.base = base;
    call.page.who = &who;
    return dispatch(&call, action, error);
}

/* What the administrator has to mend goes to the web server's log; what visitors did wrong does not. */
static void log_error(const GError *error)
{
    if (qwd_error_traits(error)->log_level & (G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING))
        fprintf(stderr, "qemu-web-desktop.cgi: %s\n", error->message);
}

int cgi_answer(int argc, char **argv)
{
    g_auto(Arguments) arguments = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(Request) request = request_new(NULL);
    g_autoptr(Response) response = NULL;
    (void)argc;
    signal(SIGPIPE, SIG_IGN);
    /* A query without "=" reaches a CGI program as arguments (RFC 3875, section 4.4): they are nobody's settings. */
    if (arguments_read(&arguments, 1, argv, &error))
        response = answer(request, arguments.settings, &error);
    if (error)
        log_error(error);
    if (!response && arguments.settings)
        response = response_error(request, arguments.settings, error);
    if (!response)
        response =
            response_text("text/plain", "The service is not configured rightly. Please tell its administrator.\n");
    if (!arguments.settings)
        response->status = 500;
    return response_write_cgi(response, STDOUT_FILENO, request_method(request) == METHOD_HEAD, NULL) ? 0 : 1;
}
