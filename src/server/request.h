/* SPDX-License-Identifier: AGPL-3.0-or-later
 * One request, from its first line until its answer has been sent. */
#pragma once

#include <glib.h>
#include <microhttpd.h>
#include <stdbool.h>

#include "base/error.h"
#include "server/cgi_process.h"
#include "server/server.h"
#include "server/upstream.h"

typedef struct Route Route;

typedef struct {
    Server *server;
    struct MHD_Connection *connection;
    char *uri;          /* as the client sent it */
    const char *query;  /* in uri, behind the '?'; NULL: none */
    char *path;         /* decoded; NULL: not valid */
    const char *method; /* these three: NULL until the head has been read */
    const char *protocol;
    const Route *route;
    size_t route_length; /* bytes of path that the route matched */
    GByteArray *body;
    size_t body_received; /* more than body->len when it is too long */
    CgiProcess cgi;
    Upstream upstream;
    unsigned status; /* of the answer, 0: none yet */
    gint64 begun_us;
} Request;

Request *request_new(Server *server, const char *uri, struct MHD_Connection *connection);
void request_free(Request *request);

/* The first value of a header, NULL when there is none. Borrowed. */
const char *request_header(const Request *request, const char *name);

/* Whether a comma-separated header has this word, in any case. */
bool request_header_has(const Request *request, const char *name, const char *word);

/* All headers, as HeadField. Free with g_ptr_array_unref. */
GPtrArray *request_headers(const Request *request);

/* The client's address as text, and its port. Free with g_free. */
char *request_client(const Request *request, int *port);

/* The address of ours that the client has connected to. Free with g_free. */
char *request_server_address(const Request *request);

/* Takes the response, adds what all answers carry, and sends it. */
enum MHD_Result request_reply(Request *request, unsigned status, struct MHD_Response *response);

/* A sentence as plain text; `header` with `value` is added unless NULL. */
enum MHD_Result request_reply_text(Request *request, unsigned status, const char *sentence, const char *header,
                                   const char *value);

/* The error's own sentence with the status of its kind. Logs what the administrator should know. */
enum MHD_Result request_reply_error(Request *request, const GError *error);

typedef struct {
    QwdErrorKind kind;
    unsigned status;
    const char *sentence;
} FailureRow;

/* The answer when somebody else failed: the row of the error's kind, else the last one. The client reads the sentence,
 * the log has the cause. */
enum MHD_Result request_reply_failure(Request *request, const FailureRow *rows, size_t count, const GError *cause);

/* To a path of this server; the browser gets it with service_prefix. */
enum MHD_Result request_redirect(Request *request, const char *path);

/* The line of the access log. Never has a query: that is where tokens are. */
void request_log(const Request *request);
