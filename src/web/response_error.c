/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Answers that tell of an error, and the values that all pages share. */
#include "web/response.h"

#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "core/link.h"
#include "web/catalogue.h"

#define RETRY_AFTER_S "10"

/* What visitors read of each kind of error. */
typedef struct {
    const char *heading;
    const char *message; /* in place of the error's own, which is for the log alone; NULL: the error's own */
    const char *advice;
} ErrorWords;

static const ErrorWords words_by_kind[QWD_ERROR_KINDS] = {
    [QWD_ERROR_USAGE] = {N_("This cannot be read"), NULL, N_("Go back, change the entry and send the form again.")},
    [QWD_ERROR_CONFIG] = {N_("The service is not set up"), N_("A setting of the service is wrong; its log says which."),
                          N_("Tell the administrator of this service.")},
    [QWD_ERROR_LOGIN] = {N_("Who are you?"), NULL, N_("Check user name and password and try again.")},
    [QWD_ERROR_DENIED] = {N_("This is not allowed"), NULL,
                          N_("If it should be, ask the administrator of this service to allow it.")},
    [QWD_ERROR_NOT_FOUND] =
        {N_("Not found"), NULL,
         N_("The session may be over, or the address incomplete. Manage sessions lists what runs.")},
    [QWD_ERROR_METHOD] = {N_("The address does not work this way"), NULL, N_("Begin at the start page.")},
    [QWD_ERROR_CONFLICT] = {N_("This does not fit together"), NULL,
                            N_("See what runs under Manage sessions, then try again.")},
    [QWD_ERROR_TOO_LARGE] = {N_("The request is too long"), NULL, N_("Go back and send less.")},
    [QWD_ERROR_MEDIA_TYPE] = {N_("The request has another format"), NULL, N_("Use the form of the start page.")},
    [QWD_ERROR_LIMIT] = {N_("There is no room right now"), NULL,
                         N_("Stop a session that you no longer need, ask for fewer cores or less memory, or try again "
                            "later.")},
    [QWD_ERROR_ATTEMPTS] = {N_("Too many attempts"), NULL, N_("Wait as long as it says, then send the form again.")},
    [QWD_ERROR_BUSY] = {N_("The service is busy"), NULL, N_("Send the form again in a few seconds.")},
    [QWD_ERROR_UNAVAILABLE] = {N_("A part of the service is out of order"), NULL,
                               N_("Try again in a minute. If it stays so, tell the administrator of this service.")},
    [QWD_ERROR_TIMEOUT] = {N_("This takes too long"), NULL,
                           N_("Try again in a minute. If it stays so, tell the administrator of this service.")},
    [QWD_ERROR_CANCELLED] = {N_("Stopped half-way"), NULL,
                             N_("Somebody has asked for the end meanwhile. Start again if you wish.")},
    [QWD_ERROR_INTERNAL] = {N_("Something went wrong"), N_("The service has made a mistake; its log says more."),
                            N_("Try again. If it happens again, tell the administrator of this service when it was.")},
};

static const ErrorWords *words_of(const GError *error)
{
    bool is_ours = error->domain == QWD_ERROR && error->code >= 0 && error->code < QWD_ERROR_KINDS;
    return &words_by_kind[is_ours ? error->code : QWD_ERROR_INTERNAL];
}

char *response_error_message(const GError *error)
{
    const char *general = words_of(error)->message;
    g_autofree char *valid = general ? NULL : g_utf8_make_valid(error->message, -1);
    return general ? g_strdup(tr(general)) : tr_message(valid);
}

json_t *response_page_values(const Request *request, const Settings *settings, const char *title)
{
    g_autofree char *home = link_page(settings, ""), *files = link_page(settings, "static");
    return json_pack("{s:s, s:s, s:s, s:s, s:n, s:n, s:n, s:n}", "title", title, "static", files, "home", home,
                     "script", request_variable(request, REQUEST_SCRIPT_NAME), "user", "csrf", "idempotency_key",
                     "refresh");
}

static Response *error_json(const GError *error, const json_t *more)
{
    const QwdErrorTraits *traits = qwd_error_traits(error);
    g_autofree char *message = response_error_message(error);
    g_autoptr(JsonValue) object =
        json_pack("{s:{s:s, s:i, s:s, s:s}}", "error", "kind", traits->name, "status", traits->http_status, "message",
                  message, "advice", tr(words_of(error)->advice));
    json_t *sessions = json_object_get(more, "sessions");
    if (sessions)
        json_object_set(object, "sessions", sessions);
    return response_json(traits->http_status, object);
}

static Response *error_page(const Request *request, const Settings *settings, const GError *error, const json_t *more)
{
    const ErrorWords *words = words_of(error);
    g_autofree char *message = response_error_message(error);
    g_autoptr(JsonValue) values = response_page_values(request, settings, tr(words->heading));
    json_object_set_new(values, "status", json_integer(qwd_error_traits(error)->http_status));
    json_object_set_new(values, "message", json_string(message));
    json_object_set_new(values, "advice", json_string(tr(words->advice)));
    json_object_set_new(values, "sessions", json_array());
    if (more)
        json_object_update(values, (json_t *)more);
    return response_page(settings, "error.html", values, NULL);
}

/* For the day on which not even the template of the error page works. */
static Response *error_text(const GError *error)
{
    const ErrorWords *words = words_of(error);
    g_autofree char *message = response_error_message(error);
    g_autofree char *text = g_strdup_printf("%s.\n%s\n%s\n", tr(words->heading), message, tr(words->advice));
    return response_text("text/plain", text);
}

/* A method that we know was refused
 * by a page that wants the other one. */
void response_set_status(Response *response, const Request *request, int status)
{
    static const char *const others[] = {
        [METHOD_OTHER] = "GET, HEAD, POST", [METHOD_GET] = "POST", [METHOD_HEAD] = "POST", [METHOD_POST] = "GET, HEAD"};
    response->status = status;
    if (status == 405)
        response_add_header(response, "Allow", others[request_method(request)], NULL);
    if (status == 429 || status == 503)
        response_add_header(response, "Retry-After", RETRY_AFTER_S, NULL);
}

Response *response_error(const Request *request, const Settings *settings, const GError *error, const json_t *more)
{
    Response *response =
        request_wants_json(request) ? error_json(error, more) : error_page(request, settings, error, more);
    if (!response)
        response = error_text(error);
    response_set_status(response, request, qwd_error_traits(error)->http_status);
    return response;
}
