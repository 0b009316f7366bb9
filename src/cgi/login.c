/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Who asks: the login of a request, and the pages of one that takes several. */
#include <string.h>

#include "app/journal.h"
#include "app/metrics.h"
#include "auth/browser.h"
#include "auth/totp.h"
#include "base/error.h"
#include "base/json.h"
#include "cgi/call.h"
#include "core/link.h"
#include "core/origin.h"
#include "web/catalogue.h"
#include "web/identity.h"
#include "web/qr.h"

#define LINK_SENT "A link has been sent to your mail address. Open it to go on."

/* --- the context of logins --- */

/* Behind the '#', which browsers send to nobody: no log has the seal. */
static char *link_prefix(const Call *call)
{
    return g_strconcat(call->page.base, request_variable(call->page.request, REQUEST_SCRIPT_NAME), "?enter=1#", NULL);
}

static const char *read_browser_cookie(const Call *call)
{
    return request_cookie(call->page.request, call->is_https ? BROWSER_COOKIE_HTTPS : BROWSER_COOKIE);
}

static EnterContext enter_context(const Call *call, const char *link)
{
    return (EnterContext){.settings = call->page.settings,
                          .address = request_variable(call->page.request, REQUEST_REMOTE_ADDR),
                          .browser = read_browser_cookie(call),
                          .link = link,
                          .language = catalogue_language(),
                          .is_page = request_wants_page(call->page.request),
                          .troubles = call->troubles};
}

static void audit(const Call *call, const char *event, const char *user, const char *why)
{
    AuditLine line = {.event = event,
                      .user = user,
                      .address = request_variable(call->page.request, REQUEST_REMOTE_ADDR),
                      .what = "login",
                      .why = why};
    journal_audit(call->page.settings, &line);
}

/* A way to log in, or the mail, that is out of order refuses nobody: that is for administrators to mend. */
static void note_refusal(const Call *call, const char *user, const GError *cause, bool is_unknown)
{
    bool broken = is_unknown || g_error_matches(cause, QWD_ERROR, QWD_ERROR_UNAVAILABLE) ||
                  g_error_matches(cause, QWD_ERROR, QWD_ERROR_TIMEOUT) ||
                  g_error_matches(cause, QWD_ERROR, QWD_ERROR_BUSY);
    audit(call, "REFUSED", user, cause->message);
    metrics_count_login(call->page.settings, broken ? LOGIN_UNAVAILABLE : LOGIN_REFUSED);
}

/* --- becoming somebody --- */

static void forget_login(Call *call)
{
    login_clear(&call->login);
    call->has_login = false;
    call->who = (Identity){.user = "", .is_local = call->who.is_local};
    call->page.csrf = NULL;
    g_clear_pointer(&call->csrf, g_free);
}

static bool take_login(Call *call, GError **error)
{
    call->has_login = true;
    call->who.user = call->login.identity.user;
    call->who.groups = (const char *const *)call->login.identity.groups;
    call->who.email = call->login.identity.email;
    call->who.is_authenticated = true;
    call->who.is_admin = call->login.is_admin;
    call->who.is_guest_by_mail = call->login.is_by_mail;
    call->csrf = login_csrf(call->page.settings, &call->login, error);
    call->page.csrf = call->csrf;
    return call->csrf != NULL;
}

static char *cookie_line(const Call *call, const char *name, const char *value, gint64 seconds)
{
    return g_strdup_printf("%s%s=%s; Path=/; HttpOnly; SameSite=Lax; Max-Age=%" G_GINT64_FORMAT "%s",
                           call->is_https ? COOKIE_HTTPS_PREFIX : "", name, value, seconds,
                           call->is_https ? "; Secure" : "");
}

/* The login cookie that a browser has from http, or from a version before the names were two, beside that of https. */
static const char *read_plain_cookie(const Call *call)
{
    return call->is_https ? request_cookie(call->page.request, LOGIN_COOKIE) : NULL;
}

static void clear_plain_cookie(Call *call)
{
    if (!read_plain_cookie(call))
        return;
    g_free(call->plain_cookie);
    call->plain_cookie = g_strdup(LOGIN_COOKIE "=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0; Secure");
}

/* Strangers who try this user's password do not slow down this browser any more. The web server's own logins need no
 * password here. */
static bool remember_browser(Call *call, const Entrance *entrance, GError **error)
{
    const Settings *settings = call->page.settings;
    const char *cookie = read_browser_cookie(call), *claimed = entrance->claimed;
    const char *const names[] = {call->login.identity.user, claimed && *claimed ? claimed : NULL, NULL};
    if (call->by_web_server || settings->login_browser_lifetime == 0)
        return true;
    g_autofree char *value = browser_cookie_add(settings, cookie, names, error);
    if (!value)
        return false;
    g_free(call->browser_cookie);
    call->browser_cookie = cookie_line(call, BROWSER_COOKIE, value, settings->login_browser_lifetime);
    return true;
}

static bool take_new_login(Call *call, Entrance *entrance, GError **error)
{
    forget_login(call);
    call->login = entrance->login;
    entrance->login = (Login){0};
    call->login.scheme = call->is_https ? LOGIN_SCHEME_HTTPS : LOGIN_SCHEME_HTTP;
    g_autofree char *value = login_to_cookie(call->page.settings, &call->login, error);
    if (!value || !remember_browser(call, entrance, error))
        return false;
    g_free(call->cookie);
    call->cookie = cookie_line(call, LOGIN_COOKIE, value, call->page.settings->login_lifetime);
    clear_plain_cookie(call);
    audit(call, "LOGIN", call->login.identity.user, "");
    metrics_count_login(call->page.settings, LOGIN_OK);
    return take_login(call, error);
}

/* --- pages of a login --- */

json_t *call_page_values(const Call *call, const char *title)
{
    return page_common_values(&call->page, title);
}

/* A page; for programs: which step of a login it is (the name of the page), and what of it is theirs to use. */
static Response *answer_step(const Call *call, const char *template_name, const json_t *values, GError **error)
{
    if (!request_wants_json(call->page.request))
        return response_page(call->page.settings, template_name, values, error);
    static const char *const keys[] = {"name", "pending", "secret", "uri", "codes", "message", "notice"};
    g_autofree char *step = g_strndup(template_name, strcspn(template_name, "."));
    g_autoptr(JsonValue) object = json_pack("{s:{s:s}}", "login", "step", step);
    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
        json_t *value = json_object_get(values, keys[i]);
        if (value && !json_is_null(value))
            json_object_set(json_object_get(object, "login"), keys[i], value);
    }
    return response_json(200, object);
}

static Response *login_step_page(Call *call, const char *template_name, json_t *values, GError **error)
{
    g_autoptr(JsonValue) owned = values;
    json_object_set_new(owned, "carry", form_carry(call->page.request));
    json_object_set_new(owned, "idempotency_key", json_null()); /* it is among them */
    return answer_step(call, template_name, owned, error);
}

static void set_notice(json_t *values, const GError *reason)
{
    json_object_set_new(
        values, "notice",
        reason ? json_pack("{s:s, s:o}", "kind", "error", "text", json_take_text(tr_message(reason->message)))
               : json_null());
}

/* Who has not tried to get in yet need not be told why it failed. */
static bool has_tried(const Call *call)
{
    return *call->login_form.user || *call->login_form.password || call->action == FORM_RESUME ||
           request_query_field(call->page.request, "enter") || request_field(call->page.request, "enter");
}

Response *call_login_page(Call *call, const GError *reason)
{
    const Settings *settings = call->page.settings;
    if (!auth_takes_password(settings) && !settings->check_user_with_email)
        return NULL;
    json_t *values = call_page_values(call, tr("Log in"));
    set_notice(values, has_tried(call) ? reason : NULL);
    json_object_set_new(values, "name", json_string(call->login_form.user));
    json_object_set_new(values, "takes_password", json_boolean(auth_takes_password(settings)));
    json_object_set_new(values, "takes_email", json_boolean(settings->check_user_with_email));
    json_object_set_new(values, "optional", json_false());
    Response *response = login_step_page(call, "login.html", values, NULL);
    if (response)
        response_set_status(response, call->page.request, reason ? qwd_error_traits(reason)->http_status : 401);
    return response;
}

static Response *code_page(Call *call, const Entrance *entrance, const GError *reason, GError **error)
{
    json_t *values = call_page_values(call, tr("Your code"));
    set_notice(values, reason);
    json_object_set_new(values, "pending", json_string(entrance->pending));
    return login_step_page(call, "code.html", values, error);
}

static Response *enrol_page(Call *call, const Entrance *entrance, const GError *reason, GError **error)
{
    g_autofree char *uri = totp_uri(entrance->user, entrance->secret);
    json_t *values = call_page_values(call, tr("Set up your authenticator app"));
    set_notice(values, reason);
    json_object_set_new(values, "pending", json_string(entrance->pending));
    json_object_set_new(values, "secret", json_string(entrance->secret));
    json_object_set_new(values, "qr", qr_values(uri, NULL));
    json_object_set_new(values, "uri", json_string(uri));
    return login_step_page(call, "enrol.html", values, error);
}

static Response *mailed_page(Call *call, const Entrance *entrance, GError **error)
{
    (void)entrance;
    json_t *values = call_page_values(call, tr("Look into your mail"));
    json_object_set_new(values, "message", json_string(tr(LINK_SENT)));
    json_object_set_new(values, "details",
                        json_pack("[s]", tr("It works once, for half an hour. You may close this page.")));
    json_object_set_new(values, "next", json_null());
    return login_step_page(call, "message.html", values, error);
}

static Response *stage_page(Call *call, const Entrance *entrance, const GError *reason, GError **error)
{
    if (entrance->stage == ENTER_CODE)
        return code_page(call, entrance, reason, error);
    if (entrance->stage == ENTER_ENROL)
        return enrol_page(call, entrance, reason, error);
    return mailed_page(call, entrance, error);
}

/* --- who asks --- */

static bool check_origin(const Call *call, GError **error)
{
    const Request *request = call->page.request;
    const char *origin = request_variable(request, REQUEST_ORIGIN), *host = request_variable(request, REQUEST_HOST);
    return !*origin || origin_is_allowed(call->page.settings, origin, host) ||
           qwd_error_fail(error, QWD_ERROR_DENIED,
                          "The form was sent from another site's page. Use the form of this service.");
}

bool call_check_post(const Call *call, GError **error)
{
    if (request_method(call->page.request) != METHOD_POST)
        return qwd_error_fail(error, QWD_ERROR_METHOD, "This changes something, so it must be sent with POST.");
    return check_origin(call, error);
}

static bool take_entrance(Call *call, Entrance *entrance, Response **early, GError **error)
{
    if (entrance->stage == ENTER_LOGIN)
        return take_new_login(call, entrance, error);
    if (entrance->stage == ENTER_MAILED)
        audit(call, "MAILED", entrance->user, "");
    if (entrance->stage == ENTER_BROWSER)
        return qwd_error_fail(error, QWD_ERROR_LOGIN, "A second factor is asked for: log in with a browser.");
    if (request_wants_json(call->page.request))
        return qwd_error_fail(error, QWD_ERROR_LOGIN, LINK_SENT);
    *early = stage_page(call, entrance, NULL, error);
    return false;
}

static bool authenticate_claim(Call *call, Response **early, GError **error)
{
    g_autofree char *link = link_prefix(call);
    EnterContext context = enter_context(call, link);
    Claim claim = {.user = call->login_form.user, .password = call->login_form.password};
    g_autoptr(JsonValue) carry = form_carry(call->page.request);
    g_auto(Entrance) entrance = {0};
    GError *cause = NULL;
    call->has_credentials = true;
    if (check_origin(call, &cause) && enter_claim(&context, &claim, carry, &entrance, &cause))
        return take_entrance(call, &entrance, early, error);
    note_refusal(call, claim.user, cause, entrance.is_unknown);
    g_propagate_error(error, cause);
    return false;
}

/* Under https, a cookie with the name that http has counts only when it comes from a version that had no other: anybody
 * between here and the browser, and the pages of other hosts of this domain, can put one there. */
static bool read_login(Call *call)
{
    const Request *request = call->page.request;
    const char *prefixed = call->is_https ? request_cookie(request, LOGIN_COOKIE_HTTPS) : NULL;
    const char *cookie = prefixed ? prefixed : request_cookie(request, LOGIN_COOKIE);
    LoginScheme expected = !call->is_https ? LOGIN_SCHEME_HTTP : prefixed ? LOGIN_SCHEME_HTTPS : LOGIN_SCHEME_ANY;
    if (!cookie || !login_from_cookie(call->page.settings, cookie, &call->login, NULL))
        return false;
    return call->login.scheme == expected || call->login.scheme == LOGIN_SCHEME_ANY;
}

static bool authenticate_cookie(Call *call, GError **error)
{
    if (!read_login(call)) {
        forget_login(call);
        return true; /* nobody, which is for the policy to judge */
    }
    return take_login(call, error);
}

static bool authenticate_header(Call *call, Response **early, GError **error)
{
    const char *user = request_variable(call->page.request, REQUEST_REMOTE_USER);
    call->by_web_server = *user != '\0';
    if (!authenticate_cookie(call, error))
        return false;
    if (!*user || (call->has_login && g_str_equal(call->who.user, user)))
        return true;
    forget_login(call); /* somebody else's */
    if (request_method(call->page.request) == METHOD_POST && !check_origin(call, error))
        return false;
    g_autofree char *link = link_prefix(call);
    EnterContext context = enter_context(call, link);
    g_autoptr(JsonValue) carry = form_carry(call->page.request);
    g_auto(Entrance) entrance = {0};
    GError *cause = NULL;
    if (!enter_header(&context, user, carry, &entrance, &cause)) {
        note_refusal(call, user, cause, false);
        g_propagate_error(error, cause);
        return false;
    }
    return take_entrance(call, &entrance, early, error);
}

/* --- later steps --- */

static Response *recovery_page(Call *call, char **codes, GError **error)
{
    json_t *values = call_page_values(call, tr("Your recovery codes"));
    json_t *list = json_array();
    for (char **code = codes; *code; code++)
        json_array_append_new(list, json_string(*code));
    json_object_set_new(values, "codes", list);
    return login_step_page(call, "recovery.html", values, error);
}

/* What was asked for at first: its fields came along as hidden ones. */
static FormAction carried_action(const Request *request)
{
    static const struct {
        const char *field;
        FormAction action;
    } carried[] = {{"create", FORM_CREATE}, {"manage", FORM_MANAGE}, {"monitor", FORM_MONITOR}, {"view", FORM_VIEWER}};
    for (size_t i = 0; i < G_N_ELEMENTS(carried); i++) {
        if (request_field(request, carried[i].field))
            return carried[i].action;
    }
    return FORM_NOTHING;
}

/* Sets *early when there is a page to be seen before what was asked for. */
static bool take_step(Call *call, Entrance *entrance, Response **early, GError **error)
{
    if (entrance->stage != ENTER_LOGIN) {
        *early = stage_page(call, entrance, NULL, error);
        return false;
    }
    if (!take_new_login(call, entrance, error))
        return false;
    call->action = carried_action(call->page.request);
    if (entrance->recovery)
        *early = recovery_page(call, entrance->recovery, error);
    return !entrance->recovery;
}

bool call_may_try_again(const GError *reason)
{
    return g_error_matches(reason, QWD_ERROR, QWD_ERROR_LOGIN) ||
           g_error_matches(reason, QWD_ERROR, QWD_ERROR_ATTEMPTS) || g_error_matches(reason, QWD_ERROR, QWD_ERROR_BUSY);
}

/* A wrong code may be typed again; other troubles are the end of this login. Takes `cause` over. */
static bool refuse_step(Call *call, const Entrance *entrance, GError *cause, Response **early, GError **error)
{
    note_refusal(call, entrance->user ? entrance->user : "", cause, false);
    if (!entrance->pending || !call_may_try_again(cause)) {
        g_propagate_error(error, cause);
        return false;
    }
    *early = stage_page(call, entrance, cause, error);
    if (*early)
        response_set_status(*early, call->page.request, qwd_error_traits(cause)->http_status);
    g_error_free(cause);
    return false;
}

static bool authenticate_step(Call *call, Response **early, GError **error)
{
    ResumeForm form;
    g_auto(Entrance) entrance = {0};
    GError *cause = NULL;
    EnterContext context = enter_context(call, "");
    if (!form_read_resume(call->page.request, &form, error))
        return false;
    call->has_credentials = true;
    if (call_check_post(call, &cause) && enter_resume(&context, form.pending, form.code, &entrance, &cause))
        return take_step(call, &entrance, early, error);
    return refuse_step(call, &entrance, cause, early, error);
}

bool call_authenticate(Call *call, Response **early, GError **error)
{
    const Settings *settings = call->page.settings;
    bool post = request_method(call->page.request) == METHOD_POST;
    if (!policy_login_is_configured(settings)) {
        call->who = identity_of(call->page.request, settings, call->login_form.user);
        return true;
    }
    call->who = (Identity){.user = "", .is_local = identity_is_local(call->page.request, settings)};
    if (call->action == FORM_RESUME)
        return authenticate_step(call, early, error);
    bool by_mail = settings->check_user_with_email && *call->login_form.user && !*call->form.csrf;
    if (post && (*call->login_form.password || by_mail))
        return authenticate_claim(call, early, error);
    if (settings->check_user_with_header)
        return authenticate_header(call, early, error);
    return authenticate_cookie(call, error);
}

static Response *open_seal(Call *call, const char *seal, GError **error)
{
    g_auto(Entrance) entrance = {0};
    EnterContext context = enter_context(call, "");
    if (!enter_look(&context, seal, &entrance, error))
        return NULL;
    g_autoptr(JsonValue) values = call_page_values(call, tr("Go on"));
    json_object_set_new(values, "name", json_string(entrance.user));
    json_object_set_new(values, "pending", json_string(entrance.pending));
    json_object_set(values, "carry", entrance.carry);
    return answer_step(call, "link.html", values, error);
}

/* The seal of what has been pasted: a seal, or a link that has it behind the '#', or, from an older version, in its
 * query. */
static const char *seal_in(const char *text)
{
    const char *mark = strrchr(text, '#'), *field = strstr(text, "enter=");
    return mark ? mark + 1 : field ? field + strlen("enter=") : text;
}

bool call_has_link(const Call *call)
{
    const Request *request = call->page.request;
    return request_method(request) == METHOD_POST ? request_field(request, "enter") != NULL
                                                  : request_query_field(request, "enter") != NULL;
}

Response *call_open_link(Call *call, GError **error)
{
    const Request *request = call->page.request;
    if (request_method(request) == METHOD_POST) {
        g_autofree char *text = g_strstrip(g_strdup(request_field(request, "enter")));
        return call_check_post(call, error) ? open_seal(call, seal_in(text), error) : NULL;
    }
    const char *seal = request_query_field(request, "enter");
    if (!g_str_equal(seal, "1")) /* the links of older versions */
        return open_seal(call, seal, error);
    g_autoptr(JsonValue) values = call_page_values(call, tr("Go on"));
    return answer_step(call, "enter.html", values, error);
}

static bool end_plain_login(const Call *call, GError **error)
{
    const Settings *settings = call->page.settings;
    const char *cookie = read_plain_cookie(call);
    g_auto(Login) login = {0};
    return !cookie || !login_from_cookie(settings, cookie, &login, NULL) || login_end(settings, &login, error);
}

Response *call_logout(Call *call, GError **error)
{
    if (call->has_login && !login_end(call->page.settings, &call->login, error))
        return NULL;
    if (!end_plain_login(call, error))
        return NULL;
    clear_plain_cookie(call);
    g_free(call->cookie);
    call->cookie = cookie_line(call, LOGIN_COOKIE, "", 0);
    g_autofree char *page = link_page(call->page.settings, "");
    g_autoptr(JsonValue) done = json_pack("{s:b}", "logged_out", 1);
    return request_wants_json(call->page.request) ? response_json(200, done) : response_redirect(page, error);
}
