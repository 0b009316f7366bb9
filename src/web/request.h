/* SPDX-License-Identifier: AGPL-3.0-or-later
 * One HTTP request as a CGI program sees it (RFC 3875). All CGI variables are read here, and nowhere else.
 *
 * Two steps, so that a request that is refused can still be answered in the form it asks for:
 *   Request *request = request_new(NULL);
 *   if (!request_load(request, settings, &error)) answer = response_error(request, settings, error, NULL); */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "core/settings.h"

typedef enum { METHOD_OTHER, METHOD_GET, METHOD_HEAD, METHOD_POST } RequestMethod;

/* Where a request comes from; tests give their own. */
typedef struct {
    const char *const *environment; /* "NAME=value", NULL-terminated */
    int body_fd;                    /* read as far as CONTENT_LENGTH says; stays open */
} RequestSource;

/* The variables that are kept as they are. A new one is a row here and in request.c. */
typedef enum {
    REQUEST_SCRIPT_NAME, /* URL path of this program */
    REQUEST_PATH_INFO,   /* what follows it in the URL's path, decoded by the web server */
    REQUEST_HOST,        /* host[:port] as the browser wrote it: an unproven claim */
    REQUEST_ORIGIN,      /* of the page that sent a POST; "null" is possible */
    REQUEST_REMOTE_ADDR,
    REQUEST_REMOTE_USER, /* when the web server has done the login */
    REQUEST_ACCEPT_LANGUAGE,
    REQUEST_IF_NONE_MATCH,
    REQUEST_REMOTE_PORT,
    REQUEST_SERVER_ADDR,
    REQUEST_SERVER_PORT,
    REQUEST_SOCKET_TOKEN,  /* how the web server takes the token of a websocket: see web/viewer.h */
    REQUEST_AUTHORIZATION, /* only a bearer token (RFC 6750); passwords stay in the web server */
    REQUEST_VARIABLES
} RequestVariable;

typedef struct Request Request;

/* Method and headers of a request; NULL is this process's CGI environment and standard input. Never fails. */
Request *request_new(const RequestSource *source);

/* Reads and checks all the rest. Errors:
 * QWD_ERROR_METHOD      not GET, HEAD or POST
 * QWD_ERROR_TOO_LARGE   body or query longer than service_max_request_length
 * QWD_ERROR_MEDIA_TYPE  a body that is neither application/x-www-form-urlencoded nor multipart/form-data without files
 * QWD_ERROR_USAGE       Content-Length that is wrong, a header or field that is not UTF-8 or has control characters,
 *                       bad percent codes, a field given twice (but for "sessions"), too many fields */
bool request_load(Request *request, const Settings *settings, GError **error);

/* Reads and throws away a body that was refused unread. Otherwise an answer may be lost: when a program ends with its
 * input unread, the system resets the socket on which mod_cgid has both. */
void request_discard_body(Request *request);

/* Wipes body, query and with them all fields, passwords too, and frees. NULL is fine. */
void request_free(Request *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Request, request_free)

RequestMethod request_method(const Request *request);

/* Decoded value of a field of the body (POST), or of the query. NULL when absent. Borrowed: ends with the request. */
const char *request_field(const Request *request, const char *name);
const char *request_query_field(const Request *request, const char *name);

/* The query with another value for one of its fields, encoded. Free with g_free. */
char *request_query_with(const Request *request, const char *name, const char *value);

/* All values of a field of the body that may be repeated (const char *, borrowed). Free with g_ptr_array_unref. */
GPtrArray *request_fields(const Request *request, const char *name);

/* A variable, "" when absent. Borrowed. */
const char *request_variable(const Request *request, RequestVariable variable);

/* Value of a cookie (RFC 6265, section 4.2.1; the first when there are several), NULL when absent. Borrowed. */
const char *request_cookie(const Request *request, const char *name);

/* Whether a proxy says that it stands in between. Most do not: see web/identity.h. */
bool request_is_forwarded(const Request *request);

/* "https" or "http". */
const char *request_scheme(const Request *request);

/* Whether the Accept header prefers application/json to text/html (RFC 9110, section 12.5.1). */
bool request_wants_json(const Request *request);

/* Whether a page is wanted that somebody reads: not JSON, and not a picture of another page. */
bool request_wants_page(const Request *request);
