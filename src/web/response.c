/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "web/response.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/fd.h"
#include "web/template.h"

#define REDIRECT_MAX_BYTES 2048
/* RFC 9110, section 5.6.2 */
#define TOKEN_LETTERS "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

#define CSP                                                                                                            \
    "Content-Security-Policy: default-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; "  \
    "base-uri 'none'"

/* Not no-referrer: with that, browsers send "Origin: null" with our own forms (Fetch standard, 3.2). */
static const char *const standard_headers[] = {
    (CSP),
    "X-Content-Type-Options: nosniff",
    "Referrer-Policy: same-origin",
    "Cache-Control: no-store",
};

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {303, "See Other"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {429, "Too Many Requests"},
    {500, "Internal Server Error"},
    {503, "Service Unavailable"},
};

static const char *reason_of(int status)
{
    for (size_t i = 0; i < G_N_ELEMENTS(reasons); i++) {
        if (reasons[i].status == status)
            return reasons[i].reason;
    }
    return "Other";
}

/* --- making --- */

static Response *response_new(int status, const char *content_type)
{
    Response *response = g_new0(Response, 1);
    response->status = status;
    response->headers = g_ptr_array_new_with_free_func(g_free);
    response->body = g_string_new(NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(standard_headers); i++)
        g_ptr_array_add(response->headers, g_strdup(standard_headers[i]));
    if (content_type)
        g_ptr_array_add(response->headers, g_strdup_printf("Content-Type: %s; charset=utf-8", content_type));
    return response;
}

void response_free(Response *response)
{
    if (!response)
        return;
    g_ptr_array_unref(response->headers);
    g_string_free(response->body, TRUE);
    g_free(response);
}

Response *response_page(const Settings *settings, const char *template_name, const json_t *values, GError **error)
{
    g_autofree char *page = template_render(settings->dir_html, template_name, values, error);
    if (!page)
        return NULL;
    Response *response = response_new(200, "text/html");
    g_string_append(response->body, page);
    return response;
}

Response *response_json(int status, const json_t *object)
{
    Response *response = response_new(status, "application/json");
    char *text = json_dumps(object, JSON_COMPACT);
    g_string_append_printf(response->body, "%s\n", text ? text : "null");
    free(text);
    return response;
}

Response *response_text(const char *content_type, const char *text)
{
    Response *response = response_new(200, content_type);
    g_string_append(response->body, text);
    return response;
}

Response *response_data(const char *content_type, const char *data, size_t length)
{
    Response *response = response_new(200, NULL);
    g_ptr_array_add(response->headers, g_strdup_printf("Content-Type: %s", content_type));
    g_string_append_len(response->body, data, (gssize)length);
    return response;
}

Response *response_nothing(void)
{
    return response_new(204, NULL);
}

/* A path of this host, which no browser takes for a host's name or splits into lines. */
static bool is_local_path(const char *path)
{
    size_t length = strlen(path);
    if (path[0] != '/' || path[1] == '/' || length > REDIRECT_MAX_BYTES)
        return false;
    for (const char *p = path; *p; p++) {
        if (*p <= ' ' || *p > '~' || *p == '\\')
            return false;
    }
    return true;
}

Response *response_redirect(const char *path, GError **error)
{
    if (!is_local_path(path)) {
        qwd_error_fail(error, QWD_ERROR_INTERNAL, "Redirects lead to paths of this host only.");
        return NULL;
    }
    Response *response = response_new(303, NULL);
    g_ptr_array_add(response->headers, g_strdup_printf("Location: %s", path));
    return response;
}

/* --- headers --- */

static bool value_is_safe(const char *value)
{
    for (; *value; value++) {
        unsigned char c = (unsigned char)*value;
        if (c < ' ' || c == 0x7f)
            return false;
    }
    return true;
}

bool response_add_header(Response *response, const char *name, const char *value, GError **error)
{
    if (*name == '\0' || strspn(name, TOKEN_LETTERS) != strlen(name) || !value_is_safe(value))
        return qwd_error_fail(error, QWD_ERROR_INTERNAL, "A header has characters that do not belong there.");
    g_ptr_array_add(response->headers, g_strdup_printf("%s: %s", name, value));
    return true;
}

const char *response_header(const Response *response, const char *name)
{
    size_t length = strlen(name);
    for (unsigned i = 0; i < response->headers->len; i++) {
        const char *header = g_ptr_array_index(response->headers, i);
        if (g_ascii_strncasecmp(header, name, length) == 0 && g_str_has_prefix(header + length, ": "))
            return header + length + 2;
    }
    return NULL;
}

static void remove_header(Response *response, const char *name)
{
    const char *value;
    while ((value = response_header(response, name)))
        g_ptr_array_remove(response->headers, (char *)value - strlen(name) - 2);
}

void response_allow_connections(Response *response, const char *sources)
{
    remove_header(response, "Content-Security-Policy");
    g_ptr_array_add(response->headers, g_strdup_printf("%s; connect-src %s", CSP, sources));
}

/* --- conditional requests --- */

/* Weak comparison (RFC 9110, section 8.8.3.2) with the list of an If-None-Match. */
static bool list_has_tag(const char *list, const char *tag)
{
    g_auto(GStrv) parts = g_strsplit(list, ",", -1);
    for (char **part = parts; *part; part++) {
        const char *candidate = g_strstrip(*part);
        if (g_str_has_prefix(candidate, "W/"))
            candidate += 2;
        if (g_str_equal(candidate, tag) || g_str_equal(candidate, "*"))
            return true;
    }
    return false;
}

static void make_conditional(Response *response, const Request *request, const GString *content, const char *strength)
{
    g_autofree char *sum =
        g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const unsigned char *)content->str, content->len);
    g_autofree char *tag = g_strdup_printf("\"%.32s\"", sum);
    g_ptr_array_add(response->headers, g_strdup_printf("ETag: %s%s", strength, tag));
    if (!list_has_tag(request_variable(request, REQUEST_IF_NONE_MATCH), tag))
        return;
    response->status = 304;
    g_string_truncate(response->body, 0);
    remove_header(response, "Content-Type");
}

void response_make_conditional(Response *response, const Request *request)
{
    if (response->status == 200)
        make_conditional(response, request, response->body, "");
}

void response_make_conditional_without(Response *response, const Request *request, const char *text)
{
    if (response->status != 200)
        return;
    GString *content = g_string_new_len(response->body->str, (gssize)response->body->len);
    g_string_replace(content, text, "", 0);
    make_conditional(response, request, content, "W/");
    g_string_free(content, TRUE);
}

/* --- writing --- */

bool response_write_cgi(const Response *response, int fd, bool head_only, GError **error)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_string_append_printf(out, "Status: %d %s\r\n", response->status, reason_of(response->status));
    for (unsigned i = 0; i < response->headers->len; i++)
        g_string_append_printf(out, "%s\r\n", (const char *)g_ptr_array_index(response->headers, i));
    if (response->status != 304 && response->status != 204) /* RFC 9110, section 8.6 */
        g_string_append_printf(out, "Content-Length: %zu\r\n", response->body->len);
    g_string_append(out, "\r\n");
    if (!head_only)
        g_string_append_len(out, response->body->str, (gssize)response->body->len);
    return fd_write_all(fd, out->str, out->len) || qwd_error_errno(error, errno, "Cannot write the answer");
}
