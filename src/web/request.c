/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "web/request.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/units.h"
#include "web/accept.h"
#include "web/multipart.h"
#include "web/params.h"

#define HOST_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:[]"
#define HOST_MAX_BYTES 261                   /* a name of 255 bytes and a port */
#define DISCARD_MAX_BYTES (64 * 1024 * 1024) /* web servers take no more */
#define FORM_TYPE "application/x-www-form-urlencoded"

/* The variables that only this file needs, behind those of request.h. */
enum {
    VAR_METHOD = REQUEST_VARIABLES,
    VAR_QUERY,
    VAR_LENGTH,
    VAR_TYPE,
    VAR_ENCODING,
    VAR_HTTPS,
    VAR_SCHEME,
    VAR_ACCEPT,
    VAR_COOKIE,
    VAR_COUNT
};

/* RFC 3875, section 4.1; HTTPS, REQUEST_SCHEME and SERVER_ADDR are Apache's. */
static const char *const variable_names[VAR_COUNT] = {
    [REQUEST_SCRIPT_NAME] = "SCRIPT_NAME",
    [REQUEST_PATH_INFO] = "PATH_INFO",
    [REQUEST_HOST] = "HTTP_HOST",
    [REQUEST_ORIGIN] = "HTTP_ORIGIN",
    [REQUEST_REMOTE_ADDR] = "REMOTE_ADDR",
    [REQUEST_REMOTE_USER] = "REMOTE_USER",
    [REQUEST_ACCEPT_LANGUAGE] = "HTTP_ACCEPT_LANGUAGE",
    [REQUEST_IF_NONE_MATCH] = "HTTP_IF_NONE_MATCH",
    [REQUEST_REMOTE_PORT] = "REMOTE_PORT",
    [REQUEST_SERVER_ADDR] = "SERVER_ADDR",
    [REQUEST_SERVER_PORT] = "SERVER_PORT",
    [REQUEST_SOCKET_TOKEN] = "QWD_SOCKET_TOKEN",
    [REQUEST_AUTHORIZATION] = "HTTP_AUTHORIZATION",
    [VAR_METHOD] = "REQUEST_METHOD",
    [VAR_QUERY] = "QUERY_STRING",
    [VAR_LENGTH] = "CONTENT_LENGTH",
    [VAR_TYPE] = "CONTENT_TYPE",
    [VAR_ENCODING] = "HTTP_TRANSFER_ENCODING",
    [VAR_HTTPS] = "HTTPS",
    [VAR_SCHEME] = "REQUEST_SCHEME",
    [VAR_ACCEPT] = "HTTP_ACCEPT",
    [VAR_COOKIE] = "HTTP_COOKIE",
};

struct Request {
    char *variables[VAR_COUNT]; /* never NULL */
    RequestMethod method;
    bool is_forwarded;
    int body_fd;
    bool body_begun; /* reading it has begun */
    Params body, query;
    Param cookies[PARAMS_MAX];
    char *cookie_text; /* what cookies point into */
    size_t cookie_count;
};

/* --- what cannot fail --- */

static RequestMethod method_of(const char *name)
{
    static const char *const names[] = {[METHOD_GET] = "GET", [METHOD_HEAD] = "HEAD", [METHOD_POST] = "POST"};
    for (size_t i = METHOD_GET; i < G_N_ELEMENTS(names); i++) {
        if (g_str_equal(names[i], name))
            return (RequestMethod)i;
    }
    return METHOD_OTHER;
}

/* Splits "a=1; b=2" in place. Pairs without = and those beyond the limit are left out. */
static void split_cookies(Request *request)
{
    char *rest = request->cookie_text, *pair;
    while (request->cookie_count < PARAMS_MAX && (pair = strsep(&rest, ";"))) {
        pair = g_strstrip(pair);
        char *equals = strchr(pair, '=');
        if (!equals)
            continue;
        *equals = '\0';
        request->cookies[request->cookie_count++] = (Param){pair, equals + 1};
    }
}

/* The headers of proxies: RFC 7239, RFC 9110 (Via), and the many from before. That one is there counts, whatever it
 * says: a proxy may have nothing to say of a visitor. */
static bool is_of_proxy(const char *variable)
{
    static const char *const names[] = {"HTTP_FORWARDED",       "HTTP_VIA=",       "HTTP_X_FORWARDED",
                                        "HTTP_X_REAL_IP=",      "HTTP_CLIENT_IP=", "HTTP_X_CLIENT_IP=",
                                        "HTTP_TRUE_CLIENT_IP=", "HTTP_X_CLUSTER_", "HTTP_CF_CONNECTING_",
                                        "HTTP_X_ORIGINAL_",     "HTTP_X_PROXY"};
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (g_str_has_prefix(variable, names[i]))
            return true;
    }
    return false;
}

static Request *read_variables(const char *const *environment, int body_fd)
{
    Request *request = g_new0(Request, 1);
    for (int i = 0; i < VAR_COUNT; i++) {
        const char *value = g_environ_getenv((char **)environment, variable_names[i]);
        request->variables[i] = g_strdup(value ? value : "");
    }
    for (const char *const *variable = environment; *variable; variable++)
        request->is_forwarded |= is_of_proxy(*variable);
    request->method = method_of(request->variables[VAR_METHOD]);
    request->body_fd = body_fd;
    request->cookie_text = g_strdup(request->variables[VAR_COOKIE]);
    split_cookies(request);
    return request;
}

Request *request_new(const RequestSource *source)
{
    if (source)
        return read_variables(source->environment, source->body_fd);
    g_auto(GStrv) environment = g_get_environ();
    return read_variables((const char *const *)environment, STDIN_FILENO);
}

void request_free(Request *request)
{
    if (!request)
        return;
    params_wipe(&request->body);
    params_wipe(&request->query);
    for (int i = 0; i < VAR_COUNT; i++) {
        explicit_bzero(request->variables[i], strlen(request->variables[i]));
        g_free(request->variables[i]);
    }
    g_free(request->cookie_text);
    g_free(request);
}

/* --- checks --- */

static bool check_variables(const Request *request, GError **error)
{
    for (int i = 0; i < VAR_COUNT; i++) {
        const char *value = request->variables[i];
        bool is_checked =
            i != VAR_QUERY && i != VAR_COOKIE; /* decoded first; other services' cookies are not our affair */
        if (is_checked && !params_text_is_plain(value, strlen(value), false))
            return qwd_error_fail(error, QWD_ERROR_USAGE, "The request's %s has characters that do not belong there.",
                                  variable_names[i]);
    }
    const char *host = request->variables[REQUEST_HOST];
    if (strlen(host) > HOST_MAX_BYTES || strspn(host, HOST_LETTERS) != strlen(host))
        return qwd_error_fail(error, QWD_ERROR_USAGE, "The request's Host is not the name of a host.");
    return true;
}

static bool check_method(const Request *request, GError **error)
{
    if (request->method != METHOD_OTHER)
        return true;
    return qwd_error_fail(error, QWD_ERROR_METHOD, "This service knows the methods GET, HEAD and POST.");
}

static bool has_type(const Request *request, const char *type)
{
    g_auto(GStrv) parts = g_strsplit(request->variables[VAR_TYPE], ";", 2);
    return parts[0] && g_ascii_strcasecmp(g_strstrip(parts[0]), type) == 0;
}

static bool check_type(const Request *request, GError **error)
{
    if (has_type(request, FORM_TYPE) || has_type(request, MULTIPART_TYPE))
        return true;
    return qwd_error_fail(error, QWD_ERROR_MEDIA_TYPE,
                          "Send the form as " FORM_TYPE " or as multipart/form-data: give a form no other enctype, "
                          "and use -d, --data-urlencode or -F with curl.");
}

static bool read_content_length(const Request *request, gint64 max, size_t *length, GError **error)
{
    gint64 value = 0;
    const char *text = request->variables[VAR_LENGTH];
    if (*request->variables[VAR_ENCODING] && !*text)
        return qwd_error_fail(error, QWD_ERROR_USAGE, "Send the length of the request (Content-Length).");
    if (*text && !units_parse_integer(text, 0, G_MAXINT64, &value))
        return qwd_error_fail(error, QWD_ERROR_USAGE, "The request's Content-Length is not a number.");
    if (value > max)
        return qwd_error_fail(error, QWD_ERROR_TOO_LARGE,
                              "The request is longer than %" G_GINT64_FORMAT " bytes, the most that is accepted.", max);
    *length = (size_t)value;
    return true;
}

/* --- content --- */

static bool read_bytes(int fd, char *buffer, size_t length, GError **error)
{
    for (size_t got = 0; got < length;) {
        ssize_t n = read(fd, buffer + got, length - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return qwd_error_errno(error, errno, "Cannot read the request");
        if (n == 0)
            return qwd_error_fail(error, QWD_ERROR_USAGE, "The request ends before its Content-Length.");
        got += (size_t)n;
    }
    return true;
}

/* Wipes and frees `buffer`, of `length` bytes. */
static bool load_multipart(Request *request, const Settings *settings, char *buffer, size_t length, GError **error)
{
    char *text = multipart_decode(settings, request->variables[VAR_TYPE], buffer, length, error);
    explicit_bzero(buffer, length);
    g_free(buffer);
    return text && params_parse(&request->body, text, strlen(text), error);
}

static bool load_body(Request *request, const Settings *settings, GError **error)
{
    size_t length = 0;
    gint64 max = settings->service_max_request_length;
    if (request->method != METHOD_POST)
        return true;
    if (!read_content_length(request, max, &length, error))
        return false;
    if (length == 0)
        return true;
    if (!check_type(request, error))
        return false;
    char *buffer = g_malloc0(length + 1);
    request->body_begun = true;
    if (!read_bytes(request->body_fd, buffer, length, error)) {
        explicit_bzero(buffer, length);
        g_free(buffer);
        return false;
    }
    if (has_type(request, MULTIPART_TYPE))
        return load_multipart(request, settings, buffer, length, error);
    return params_parse(&request->body, buffer, length, error);
}

static bool load_query(Request *request, gint64 max, GError **error)
{
    const char *query = request->variables[VAR_QUERY];
    size_t length = strlen(query);
    if ((gint64)length > max)
        return qwd_error_fail(error, QWD_ERROR_TOO_LARGE,
                              "The query is longer than %" G_GINT64_FORMAT " bytes, the most that is accepted.", max);
    return params_parse(&request->query, g_strdup(query), length, error);
}

bool request_load(Request *request, const Settings *settings, GError **error)
{
    gint64 max = settings->service_max_request_length;
    return check_method(request, error) && check_variables(request, error) && load_query(request, max, error) &&
           load_body(request, settings, error);
}

void request_discard_body(Request *request)
{
    char buffer[16384];
    gint64 left;
    const char *length = request->variables[VAR_LENGTH];
    if (request->body_begun || !units_parse_integer(length, 0, DISCARD_MAX_BYTES, &left))
        return;
    request->body_begun = true;
    while (left > 0) {
        ssize_t n = read(request->body_fd, buffer, (size_t)MIN(left, (gint64)sizeof buffer));
        if (n == 0 || (n < 0 && errno != EINTR))
            return;
        left -= MAX(n, 0);
    }
}

/* --- accessors --- */

RequestMethod request_method(const Request *request)
{
    return request->method;
}

const char *request_field(const Request *request, const char *name)
{
    return params_find(&request->body, name);
}

GPtrArray *request_fields(const Request *request, const char *name)
{
    return params_find_all(&request->body, name);
}

const char *request_query_field(const Request *request, const char *name)
{
    return params_find(&request->query, name);
}

char *request_query_with(const Request *request, const char *name, const char *value)
{
    GString *query = g_string_new(NULL);
    for (size_t i = 0; i <= request->query.count; i++) {
        bool is_new = i == request->query.count;
        const char *key = is_new ? name : request->query.items[i].name;
        if (!is_new && g_str_equal(key, name))
            continue;
        g_string_append(query, query->len ? "&" : "");
        g_string_append_uri_escaped(query, key, NULL, FALSE);
        g_string_append_c(query, '=');
        g_string_append_uri_escaped(query, is_new ? value : request->query.items[i].value, NULL, FALSE);
    }
    return g_string_free(query, FALSE);
}

const char *request_variable(const Request *request, RequestVariable variable)
{
    return request->variables[variable];
}

const char *request_cookie(const Request *request, const char *name)
{
    for (size_t i = 0; i < request->cookie_count; i++) {
        if (g_str_equal(request->cookies[i].name, name))
            return request->cookies[i].value;
    }
    return NULL;
}

bool request_is_forwarded(const Request *request)
{
    return request->is_forwarded;
}

const char *request_scheme(const Request *request)
{
    bool secure = g_ascii_strcasecmp(request->variables[VAR_HTTPS], "on") == 0 ||
                  g_ascii_strcasecmp(request->variables[VAR_SCHEME], "https") == 0;
    return secure ? "https" : "http";
}

bool request_wants_json(const Request *request)
{
    return accept_prefers(request->variables[VAR_ACCEPT], "application/json", "text/html");
}

bool request_wants_page(const Request *request)
{
    /* image/webp: browsers name it beside text/html for a page, and without that for a picture. */
    return !request_wants_json(request) && !accept_prefers(request->variables[VAR_ACCEPT], "image/webp", "text/html");
}
