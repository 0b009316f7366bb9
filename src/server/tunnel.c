/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "server/tunnel.h"

#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/token.h"
#include "core/origin.h"
#include "core/store.h"
#include "display/websockify.h"
#include "server/head.h"
#include "server/pump.h"
#include "server/routes.h"
#include "server/static.h"

#define PROTOCOL_HEADER "Sec-WebSocket-Protocol"
#define TOKEN_PROTOCOL "qwd.token."

/* --- the handshake (RFC 6455, 4.2) --- */

/* What websockify gets to see of the request; it checks key and protocol itself. */
static const char *const sent_on[] = {
    "Host", "Origin", "User-Agent", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Extensions"};

static const char *const sent_back[] = {"Sec-WebSocket-Accept", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"};

/* Our page offers the token beside websockify's subprotocol, since logs have addresses but no subprotocols. websockify
 * wants it in the query. Returns the other subprotocols; *token is NULL when there is none. */
static char *split_protocols(const char *value, char **token)
{
    g_auto(GStrv) words = g_strsplit(value, ",", -1);
    GString *others = g_string_new(NULL);
    for (char **word = words; *word; word++) {
        const char *name = g_strstrip(*word);
        if (!g_str_has_prefix(name, TOKEN_PROTOCOL)) {
            g_string_append_printf(others, "%s%s", others->len ? ", " : "", name);
        } else if (token_is_well_formed(name + strlen(TOKEN_PROTOCOL))) {
            g_free(*token);
            *token = g_strdup(name + strlen(TOKEN_PROTOCOL));
        }
    }
    return g_string_free(others, FALSE);
}

/* "?query" for websockify. */
static char *make_query(const Request *request, const char *token)
{
    if (token)
        return g_strconcat("?token=", token, NULL);
    return request->query ? g_strconcat("?", request->query, NULL) : g_strdup("");
}

/* The same request, with the path as websockify sees it: relative to the display's. */
static char *make_request(const Request *request)
{
    const char *offered = request_header(request, PROTOCOL_HEADER);
    g_autofree char *token = NULL, *protocols = split_protocols(offered ? offered : "", &token);
    g_autofree char *path = g_uri_escape_string(routes_rest(request), "/", FALSE);
    g_autofree char *query = make_query(request, token);
    GString *text = g_string_new(NULL);
    g_string_append_printf(text, "GET /%s%s HTTP/1.1\r\n", path, query);
    g_string_append(text, "Upgrade: websocket\r\nConnection: Upgrade\r\n");
    for (size_t i = 0; i < G_N_ELEMENTS(sent_on); i++) {
        const char *value = request_header(request, sent_on[i]);
        if (value && head_value_is_plain(value))
            g_string_append_printf(text, "%s: %s\r\n", sent_on[i], value);
    }
    if (*protocols)
        g_string_append_printf(text, PROTOCOL_HEADER ": %s\r\n", protocols);
    g_autofree char *client = request_client(request, &(int){0});
    g_string_append_printf(text, "X-Forwarded-For: %s\r\n\r\n", client);
    return g_string_free(text, FALSE);
}

static bool is_handshake(const Request *request)
{
    return routes_method(request->method) == METHOD_GET && g_str_equal(request->protocol, "HTTP/1.1") &&
           request_header_has(request, "Connection", "upgrade") && request_header(request, "Sec-WebSocket-Key");
}

static bool origin_is_good(const Request *request)
{
    return origin_is_allowed(server_options(request->server)->settings, request_header(request, "Origin"),
                             request_header(request, "Host"));
}

/* --- the tunnel --- */

/* In a thread of its own (see server.h), so it may block for as long as somebody watches. */
static void on_upgraded(void *data, struct MHD_Connection *connection, void *request_data, const char *early,
                        size_t early_length, MHD_socket fd, struct MHD_UpgradeResponseHandle *handle)
{
    (void)connection;
    (void)request_data;
    Request *request = data;
    Upstream *upstream = &request->upstream;
    PumpSide client = {fd, early, early_length};
    PumpSide display = {upstream->fd, upstream->early->data, upstream->early->len};
    server_work_begin(request->server);
    pump_run(&client, &display, server_stop_fd(request->server));
    shutdown(fd, SHUT_RDWR);
    upstream_clear(upstream);
    MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
    server_work_end(request->server);
}

static enum MHD_Result upgrade(Request *request)
{
    struct MHD_Response *response = MHD_create_response_for_upgrade(on_upgraded, request);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Upgrade", "websocket");
    for (size_t i = 0; i < G_N_ELEMENTS(sent_back); i++) {
        const char *value = head_get(request->upstream.fields, sent_back[i]);
        if (value)
            MHD_add_response_header(response, sent_back[i], value);
    }
    return request_reply(request, MHD_HTTP_SWITCHING_PROTOCOLS, response);
}

static const FailureRow failures[] = {
    {QWD_ERROR_USAGE, MHD_HTTP_BAD_REQUEST, "This is not a valid websocket request."},
    {QWD_ERROR_NOT_FOUND, MHD_HTTP_NOT_FOUND, "There is no such display, or it has ended."},
    {QWD_ERROR_UNAVAILABLE, MHD_HTTP_SERVICE_UNAVAILABLE,
     "The display service does not run. Please tell the administrator."},
    {QWD_ERROR_TIMEOUT, MHD_HTTP_GATEWAY_TIMEOUT, "The display service did not answer in time. Please try again."},
    {QWD_ERROR_INTERNAL, MHD_HTTP_BAD_GATEWAY, "The display service failed. Please tell the administrator."},
};

/* websockify's answer, other than 101, says whose fault it is. */
static bool is_open(const Upstream *upstream, GError **error)
{
    if (upstream->status == MHD_HTTP_SWITCHING_PROTOCOLS)
        return true;
    return qwd_error_fail(error, upstream->status == MHD_HTTP_BAD_REQUEST ? QWD_ERROR_USAGE : QWD_ERROR_INTERNAL,
                          "websockify answered with status %u.", upstream->status);
}

/* websockify ends with the last display: whoever comes then has an old link. */
static void note_end(const Settings *settings, GError **error)
{
    g_autofree char *folder = store_display_folder(settings);
    if (!g_error_matches(*error, QWD_ERROR, QWD_ERROR_UNAVAILABLE) || websockify_is_needed(folder))
        return;
    g_clear_error(error);
    qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "There is no display.");
}

static enum MHD_Result open_tunnel(Request *request)
{
    g_autoptr(GError) error = NULL;
    const Settings *settings = server_options(request->server)->settings;
    g_autofree char *text = make_request(request), *path = websockify_socket_path(settings->dir_cfg);
    if (upstream_open(&request->upstream, path, text, server_stop_fd(request->server), &error) &&
        is_open(&request->upstream, &error))
        return upgrade(request);
    note_end(settings, &error);
    return request_reply_failure(request, failures, G_N_ELEMENTS(failures), error);
}

enum MHD_Result tunnel_or_novnc(Request *request)
{
    if (!request_header_has(request, "Upgrade", "websocket"))
        return static_novnc(request);
    if (!is_handshake(request))
        return request_reply_text(request, MHD_HTTP_BAD_REQUEST, "This is not a valid websocket request.", NULL, NULL);
    const char *version = request_header(request, "Sec-WebSocket-Version");
    if (!version || !g_str_equal(version, "13"))
        return request_reply_text(request, MHD_HTTP_UPGRADE_REQUIRED, "Only websocket version 13 is spoken here.",
                                  "Sec-WebSocket-Version", "13");
    if (!origin_is_good(request))
        return request_reply_text(request, MHD_HTTP_FORBIDDEN,
                                  "Pages of other sites may not open displays. If this is the service's own page, its "
                                  "administrator adds its name to server_name in the settings.",
                                  NULL, NULL);
    return open_tunnel(request);
}
