/* SPDX-License-Identifier: AGPL-3.0-or-later
 * One request, from the CGI variables to the answer. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "app/app.h"
#include "base/error.h"
#include "base/json.h"
#include "cgi/call.h"
#include "cgi/cgi.h"
#include "core/arguments.h"
#include "core/link.h"
#include "core/origin.h"
#include "web/catalogue.h"
#include "web/layout.h"
#include "web/template.h"

#define LANGUAGE_COOKIE "qwd_lang"
#define LANGUAGE_MAX_AGE_S (365 * 86400)

static void call_clear(Call *call)
{
    login_clear(&call->login);
    g_clear_pointer(&call->csrf, g_free);
    g_clear_pointer(&call->cookie, g_free);
    g_clear_pointer(&call->plain_cookie, g_free);
    g_clear_pointer(&call->browser_cookie, g_free);
    g_clear_pointer(&call->submission, g_free);
    g_clear_pointer(&call->subject, g_free);
    g_clear_pointer(&call->troubles, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Call, call_clear)

static bool read_forms(Call *call, GError **error)
{
    const Request *request = call->page.request;
    return form_read_action(request, &call->action, error) && form_read_login(request, &call->login_form, error) &&
           form_read_session(request, &call->form, error);
}

/* What the token of a link is enough for. */
static bool is_for_holders(const Call *call)
{
    return call->action == FORM_SHARED_VIEWER || call->action == FORM_LINK_STATE;
}

/* At the viewer's own path the web server asks nobody who they are: nothing else is served there. */
static bool check_path(Call *call, GError **error)
{
    g_autofree char *viewer = link_viewer_path(call->page.settings);
    if (!viewer || !g_str_equal(request_variable(call->page.request, REQUEST_SCRIPT_NAME), viewer))
        return true;
    if (call->action == FORM_NOTHING)
        call->action = FORM_SHARED_VIEWER;
    return is_for_holders(call) || qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "There is no such page.");
}

/* With a new login, a page is answered by the way to it: loading it again must not send again what has been typed. */
static Response *go_on(Call *call, GError **error)
{
    bool is_page = call->action == FORM_NOTHING || call->action == FORM_MANAGE || call->action == FORM_MONITOR ||
                   call->action == FORM_VIEWER;
    if (!is_page || !call->cookie || request_method(call->page.request) != METHOD_POST ||
        request_wants_json(call->page.request))
        return call_perform(call, error);
    const char *script = request_variable(call->page.request, REQUEST_SCRIPT_NAME);
    const char *query = call->action == FORM_MANAGE ? "?manage=1" : call->action == FORM_MONITOR ? "?monitor=1" : "";
    g_autofree char *path = call->action == FORM_VIEWER ? page_viewer_path(&call->page, call->form.session)
                            : *call->form.session       ? page_session_path(&call->page, call->form.session)
                                                        : g_strconcat(script, query, NULL);
    return response_redirect(path, error);
}

static Response *answer_known(Call *call, GError **error)
{
    Response *early = NULL;
    if (is_for_holders(call))
        return call_perform(call, error);
    if (call_has_link(call))
        return call_open_link(call, error);
    return call_authenticate(call, &early, error) ? go_on(call, error) : early;
}

/* A language that was chosen on a page is remembered in a cookie of the browser. */
static void choose_language(Call *call)
{
    const Request *request = call->page.request;
    const Settings *settings = call->page.settings;
    const char *field = request_field(request, "lang"), *kept = request_cookie(request, LANGUAGE_COOKIE);
    const char *chosen = field ? field : request_query_field(request, "lang");
    const char *language = catalogue_choose(settings->languages,
                                            chosen ? chosen
                                            : kept ? kept
                                                   : "",
                                            request_variable(request, REQUEST_ACCEPT_LANGUAGE));
    g_autoptr(GError) error = NULL;
    layout_use(settings);
    if (!layout_use_language(settings, language, &error))
        g_ptr_array_add(call->troubles, g_strdup(error->message));
    call->chose_language = chosen && g_str_equal(chosen, language);
}

static void remember_language(const Call *call, Response *response)
{
    if (!call->chose_language)
        return;
    g_autofree char *cookie =
        g_strdup_printf(LANGUAGE_COOKIE "=%s; Path=%s/; Max-Age=%d; SameSite=Lax%s", catalogue_language(),
                        call->page.settings->service_prefix, LANGUAGE_MAX_AGE_S, call->is_https ? "; Secure" : "");
    response_add_header(response, "Set-Cookie", cookie, NULL);
}

static Response *answer(Call *call, GError **error)
{
    Request *request = (Request *)call->page.request;
    const Settings *settings = call->page.settings;
    bool is_loaded = request_load(request, settings, error);
    call->is_https = g_str_equal(request_scheme(request), "https");
    choose_language(call);
    if (!is_loaded)
        return NULL;
    const char *host = request_variable(request, REQUEST_HOST);
    g_autofree char *base = public_base(settings, request_scheme(request), *host ? host : NULL, error);
    if (!base || !read_forms(call, error) || !check_path(call, error))
        return NULL;
    call->page.base = base;
    call->is_https = g_str_has_prefix(base, "https:");
    call->page.who = &call->who;
    Response *response = answer_known(call, error);
    call->page.base = "";
    return response;
}

/* --- the answer to an error --- */

/* When there is no room, what the asker could do without is as good as an explanation. */
static json_t *helpful_sessions(const Call *call, const GError *error)
{
    const Identity *who = &call->who;
    bool helps = g_error_matches(error, QWD_ERROR, QWD_ERROR_LIMIT) && (who->is_authenticated || *who->user);
    g_autoptr(GPtrArray) sessions = helps ? app_list(call->page.settings, who, NULL) : NULL;
    return sessions ? page_error_sessions(&call->page, sessions) : NULL;
}

/* The page has been made without these. */
static void log_templates(void)
{
    const GPtrArray *troubles = template_troubles();
    for (guint i = 0; troubles && i < troubles->len; i++)
        fprintf(stderr, "qemu-web-desktop.cgi: %s\n", (const char *)troubles->pdata[i]);
}

static Response *error_answer(Call *call, const GError *error)
{
    bool asks_login = call_may_try_again(error) && !request_wants_json(call->page.request);
    Response *response = asks_login ? call_login_page(call, error) : NULL;
    g_autoptr(JsonValue) more = helpful_sessions(call, error);
    return response ? response : response_error(call->page.request, call->page.settings, error, more);
}

/* What the administrator has to mend goes to the web server's log; what visitors did wrong does not. */
static void log_lines(const Call *call, const GError *error)
{
    for (guint i = 0; i < call->troubles->len; i++)
        fprintf(stderr, "qemu-web-desktop.cgi: %s\n", (const char *)call->troubles->pdata[i]);
    if (error && qwd_error_traits(error)->log_level & (G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING))
        fprintf(stderr, "qemu-web-desktop.cgi: %s\n", error->message);
}

static Response *answer_with(const Settings *settings, Request *request)
{
    g_auto(Call) call = {.page = {.settings = settings, .request = request, .base = ""},
                         .login_form = {.user = "", .password = ""},
                         .form = {.session = "", .token = "", .qr = "", .csrf = "", .purge = ""},
                         .who = {.user = ""},
                         .troubles = g_ptr_array_new_with_free_func(g_free)};
    g_autoptr(GError) error = NULL;
    Response *response = answer(&call, &error);
    log_lines(&call, error);
    if (!response)
        response = error_answer(&call, error);
    log_templates();
    if (call.cookie)
        response_add_header(response, "Set-Cookie", call.cookie, NULL);
    if (call.plain_cookie)
        response_add_header(response, "Set-Cookie", call.plain_cookie, NULL);
    if (call.browser_cookie)
        response_add_header(response, "Set-Cookie", call.browser_cookie, NULL);
    remember_language(&call, response);
    return response;
}

static Response *answer_without_settings(const GError *error)
{
    fprintf(stderr, "qemu-web-desktop.cgi: %s\n", error->message);
    Response *response =
        response_text("text/plain", "The service is not configured rightly. Please tell its administrator.\n");
    response->status = 500;
    return response;
}

/* From here on the program has the path that browsers ask for. */
static void use_browsers_path(const Settings *settings)
{
    const char *path = g_getenv("SCRIPT_NAME");
    g_autofree char *seen = link_of_path(settings, path ? path : "");
    g_setenv("SCRIPT_NAME", seen, TRUE);
}

int cgi_answer(int argc, char **argv)
{
    g_auto(Arguments) arguments = {0};
    g_autoptr(GError) error = NULL;
    (void)argc;
    signal(SIGPIPE, SIG_IGN);
    /* A query without "=" reaches a CGI program as arguments (RFC 3875, section 4.4): they are nobody's settings. */
    bool good = arguments_read(&arguments, 1, argv, &error);
    if (good)
        use_browsers_path(arguments.settings);
    g_autoptr(Request) request = request_new(NULL);
    g_autoptr(Response) response = good ? answer_with(arguments.settings, request) : answer_without_settings(error);
    request_discard_body(request);
    return response_write_cgi(response, STDOUT_FILENO, request_method(request) == METHOD_HEAD, NULL) ? 0 : 1;
}
