/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "server/dispatch.h"

#include <string.h>

#include "base/error.h"
#include "base/units.h"
#include "core/origin.h"
#include "server/cgi.h"
#include "server/framing.h"
#include "server/request.h"
#include "server/routes.h"

#define URI_MAX_BYTES 8192

/* A body that is too long is read and thrown away up to here, for a browser that is still sending does not read the
 * answer; after that the connection is cut. */
#define EXCESS_MAX_BYTES (1024 * 1024)

/* --- checks, in this order, before the body; each true when passed, and else has answered --- */

typedef bool (*Check)(Request *request, enum MHD_Result *result);

/* Nothing that follows on this connection is read. */
static bool check_framing(Request *request, enum MHD_Result *result)
{
    if (framing_is_clear(request))
        return true;
    *result = request_reply_text(request, MHD_HTTP_BAD_REQUEST, "The head of the request is not clear.", "Connection",
                                 "close");
    return false;
}

/* libmicrohttpd before 1.0 ends the size line of a chunk, and the chunk, at a bare CR or LF too, and takes any line for
 * a trailer; it hands over nothing by which that could be seen. A proxy may have read such a body in another way, and
 * browsers send none in chunks. */
static bool check_encoding(Request *request, enum MHD_Result *result)
{
    if (!request_header(request, "Transfer-Encoding"))
        return true;
    *result = request_reply_text(request, MHD_HTTP_LENGTH_REQUIRED, "Send the length of the request (Content-Length).",
                                 "Connection", "close");
    return false;
}

static bool check_method(Request *request, enum MHD_Result *result)
{
    if (routes_method(request->method))
        return true;
    *result = request_reply_text(request, MHD_HTTP_METHOD_NOT_ALLOWED, "This method is not known here.", "Allow",
                                 "GET, HEAD, POST");
    return false;
}

static bool check_path(Request *request, enum MHD_Result *result)
{
    bool too_long = strlen(request->uri) > URI_MAX_BYTES;
    if (request->path && !too_long)
        return true;
    *result = request_reply_text(request, too_long ? MHD_HTTP_URI_TOO_LONG : MHD_HTTP_BAD_REQUEST,
                                 too_long ? "The address is too long." : "The address is not valid.", NULL, NULL);
    return false;
}

static bool check_host(Request *request, enum MHD_Result *result)
{
    g_autoptr(GError) error = NULL;
    const char *host = request_header(request, "Host");
    g_autofree char *base = public_base(server_options(request->server)->settings, "http", host ? host : "", &error);
    if (!base)
        *result = request_reply_error(request, error);
    return base != NULL;
}

static bool check_route(Request *request, enum MHD_Result *result)
{
    if (!routes_find(request)) {
        *result = request_reply_text(request, MHD_HTTP_NOT_FOUND, "There is no such page.", NULL, NULL);
        return false;
    }
    if (request->route->methods & routes_method(request->method))
        return true;
    g_autofree char *allow = routes_allow(request->route->methods);
    *result = request_reply_text(request, MHD_HTTP_METHOD_NOT_ALLOWED, "This page cannot be used in this way.", "Allow",
                                 allow);
    return false;
}

static enum MHD_Result refuse_length(Request *request)
{
    return request_reply_text(request, MHD_HTTP_CONTENT_TOO_LARGE, "The request is too long.", NULL, NULL);
}

static gint64 max_length(const Request *request)
{
    return server_options(request->server)->settings->service_max_request_length;
}

/* What is announced to be far too long is not even read. */
static bool check_length(Request *request, enum MHD_Result *result)
{
    const char *text = request_header(request, "Content-Length");
    gint64 length;
    if (!text || units_parse_integer(text, 0, max_length(request) + EXCESS_MAX_BYTES, &length))
        return true;
    *result = refuse_length(request);
    return false;
}

static enum MHD_Result check_head(Request *request)
{
    static const Check checks[] = {check_framing, check_encoding, check_method, check_path,
                                   check_host,    check_route,    check_length};
    enum MHD_Result result = MHD_YES;
    for (size_t i = 0; i < G_N_ELEMENTS(checks); i++) {
        if (!checks[i](request, &result))
            break;
    }
    return result;
}

/* --- body --- */

static enum MHD_Result take_body(Request *request, const char *data, size_t *length)
{
    request->body_received += *length;
    if ((gint64)request->body_received > max_length(request) + EXCESS_MAX_BYTES)
        return MHD_NO;
    if ((gint64)request->body_received <= max_length(request))
        g_byte_array_append(request->body, (const guint8 *)data, (guint)*length);
    *length = 0;
    return MHD_YES;
}

/* --- the callbacks --- */

/* The idle time is the client's: while we work it does not count. Setting it anew begins it anew. */
static void set_idle_time(Request *request, unsigned seconds)
{
    MHD_set_connection_option(request->connection, MHD_CONNECTION_OPTION_TIMEOUT, seconds);
}

void dispatch_connection(void *server, struct MHD_Connection *connection, void **entry,
                         enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        *entry = guard_add(server_guard(server),
                           MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
    else
        guard_remove(server_guard(server), *entry);
}

static GuardEntry *guard_entry(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static enum MHD_Result handle(Request *request)
{
    if ((gint64)request->body_received > max_length(request))
        return refuse_length(request);
    guard_disarm(server_guard(request->server), guard_entry(request->connection));
    set_idle_time(request, 0);
    enum MHD_Result result = request->route->handle(request);
    set_idle_time(request, DISPATCH_IDLE_S);
    return result;
}

void *dispatch_begin(void *server, const char *uri, struct MHD_Connection *connection)
{
    return request_new(server, uri, connection);
}

/* Called for the head, for each part of the body (length > 0), and for the end. */
enum MHD_Result dispatch_request(void *server, struct MHD_Connection *connection, const char *url, const char *method,
                                 const char *version, const char *data, size_t *length, void **data_of_request)
{
    (void)server, (void)connection, (void)url;
    Request *request = *data_of_request;
    if (!request->method) {
        request->method = method;
        request->protocol = version;
        return check_head(request);
    }
    return *length > 0 ? take_body(request, data, length) : handle(request);
}

void dispatch_end(void *server, struct MHD_Connection *connection, void **data_of_request,
                  enum MHD_RequestTerminationCode code)
{
    (void)code;
    Request *request = *data_of_request;
    guard_arm(server_guard(server), guard_entry(connection));
    *data_of_request = NULL;
    if (request && request->status && server_options(server)->verbose)
        request_log(request);
    if (request)
        cgi_finish(request);
    request_free(request);
}
