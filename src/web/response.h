/* SPDX-License-Identifier: AGPL-3.0-or-later
 * An answer: status, headers, body. Each has from birth the headers that keep browsers out of trouble
 * (Content-Security-Policy, nosniff, no referrer, no-store). Header values with control characters, and redirects
 * to other hosts, cannot be made. */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "core/settings.h"
#include "web/request.h"

typedef struct {
    int status;         /* HTTP */
    GPtrArray *headers; /* of char *: "Name: value" */
    GString *body;
} Response;

/* The values that page-head.html and page-foot.html take, for a page to add its own to: title, static, home, script,
 * and user, csrf, idempotency_key, refresh as null. New reference. */
json_t *response_page_values(const Request *request, const Settings *settings, const char *title);

/* 200 with a page made from a template of dir_html. NULL on error. */
Response *response_page(const Settings *settings, const char *template_name, const json_t *values, GError **error);

/* `status` with a JSON object; borrows it. */
Response *response_json(int status, const json_t *object);

/* 200 with a body of another type, such as "text/plain". */
Response *response_text(const char *content_type, const char *text);

/* 200 with a body that is no text, such as "image/png". */
Response *response_data(const char *content_type, const char *data, size_t length);

/* 204: it is all right, and there is nothing to see. */
Response *response_nothing(void);

/* 303 to a path of this host: begins with one "/", printable ASCII without space or backslash, at most 2048 bytes.
 * NULL with QWD_ERROR_INTERNAL otherwise. */
Response *response_redirect(const char *path, GError **error);

/* The answer that tells of an error; status from qwd_error_traits. JSON {"error": {"kind", "status", "message",
 * "advice"}} when the request wants that, else error.html, else (that template is broken) plain text. 405 says Allow;
 * 429 and 503 say Retry-After. The message of an internal or config error is for the log alone: visitors read a general
 * sentence. `more` (NULL: none) has further values for the page, such as "sessions": see error.html. Never NULL. */
Response *response_error(const Request *request, const Settings *settings, const GError *error, const json_t *more);

/* With the headers that RFC 9110 wants beside it: Allow (section 15.5.6), Retry-After (10.2.3). */
void response_set_status(Response *response, const Request *request, int status);

/* What visitors read of an error, in their language: its message, or the general sentence. Free with g_free. */
char *response_error_message(const GError *error);

/* Adds a header. False with QWD_ERROR_INTERNAL when the name is not a token (RFC 9110, section 5.6.2) or the value has
 * control characters. */
bool response_add_header(Response *response, const char *name, const char *value, GError **error);

/* Lets the page's scripts connect to `sources` (a source list of CSP level 3) in place of the page's own server. */
void response_allow_connections(Response *response, const char *sources);

/* The value of a header, NULL when there is none. Borrowed. */
const char *response_header(const Response *response, const char *name);

/* Gives a 200 an ETag made from its body, and turns it into a 304 without body when the request's If-None-Match
 * has it (RFC 9110, section 13.1.2). */
void response_make_conditional(Response *response, const Request *request);

/* The same, with a weak ETag, for a page that has a text which is another one each time: that does not count. */
void response_make_conditional_without(Response *response, const Request *request, const char *text);

/* Writes it as a CGI program does (RFC 3875, section 6): "Status: 200 OK", headers, an empty line and, unless
 * head_only, the body. The caller ignores SIGPIPE. */
bool response_write_cgi(const Response *response, int fd, bool head_only, GError **error);

void response_free(Response *response);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Response, response_free)
