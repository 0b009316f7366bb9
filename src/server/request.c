/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "server/request.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "core/link.h"
#include "server/head.h"
#include "server/path.h"

/* --- life --- */

static bool is_printable(const char *text)
{
    for (const char *c = text; *c; c++) {
        if (!g_ascii_isgraph(*c))
            return false;
    }
    return true;
}

Request *request_new(Server *server, const char *uri, struct MHD_Connection *connection)
{
    Request *request = g_new0(Request, 1);
    request->server = server;
    request->connection = connection;
    request->begun_us = g_get_monotonic_time();
    request->uri = g_strdup(uri);
    request->body = g_byte_array_new();
    request->upstream.fd = -1;
    const char *mark = strchr(request->uri, '?');
    request->query = mark ? mark + 1 : NULL;
    g_autofree char *raw = g_strndup(request->uri, strcspn(request->uri, "?"));
    /* A client encodes everything else; what is not could break a line of ours. */
    request->path = is_printable(request->uri) ? path_decode(raw, NULL) : NULL;
    return request;
}

void request_free(Request *request)
{
    if (!request)
        return;
    upstream_clear(&request->upstream);
    g_byte_array_unref(request->body);
    g_free(request->path);
    g_free(request->uri);
    g_free(request);
}

/* --- what the client said --- */

const char *request_header(const Request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

bool request_header_has(const Request *request, const char *name, const char *word)
{
    const char *value = request_header(request, name);
    g_auto(GStrv) words = g_strsplit(value ? value : "", ",", -1);
    for (char **one = words; *one; one++) {
        if (g_ascii_strcasecmp(g_strstrip(*one), word) == 0)
            return true;
    }
    return false;
}

static enum MHD_Result collect_header(void *data, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    head_add(data, name, value ? value : "");
    return MHD_YES;
}

GPtrArray *request_headers(const Request *request)
{
    GPtrArray *headers = head_new();
    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, collect_header, headers);
    return headers;
}

/* The address, "" for another family. An IPv4 client of an IPv6 socket has its IPv4 address. */
static char *format_end(const struct sockaddr *end, int *port)
{
    char text[INET6_ADDRSTRLEN] = "";
    *port = 0;
    if (end->sa_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)end;
        inet_ntop(AF_INET, &four->sin_addr, text, sizeof text);
        *port = ntohs(four->sin_port);
    } else if (end->sa_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)end;
        inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text);
        *port = ntohs(six->sin6_port);
    }
    return g_strdup(g_str_has_prefix(text, "::ffff:") ? text + 7 : text);
}

char *request_client(const Request *request, int *port)
{
    static const struct sockaddr unknown = {.sa_family = AF_UNSPEC};
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return format_end(info ? info->client_addr : &unknown, port);
}

char *request_server_address(const Request *request)
{
    struct sockaddr_storage end = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof end;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info)
        getsockname(info->connect_fd, (struct sockaddr *)&end, &length);
    return format_end((const struct sockaddr *)&end, &(int){0});
}

/* --- answers --- */

static void add_common_headers(struct MHD_Response *response)
{
    static const struct {
        const char *name, *value;
    } common[] = {{"X-Content-Type-Options", "nosniff"}, {"Referrer-Policy", "same-origin"}};
    for (size_t i = 0; i < G_N_ELEMENTS(common); i++) {
        if (!MHD_get_response_header(response, common[i].name))
            MHD_add_response_header(response, common[i].name, common[i].value);
    }
}

enum MHD_Result request_reply(Request *request, unsigned status, struct MHD_Response *response)
{
    if (!response)
        return MHD_NO;
    add_common_headers(response);
    request->status = status;
    enum MHD_Result result = MHD_queue_response(request->connection, status, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result request_reply_text(Request *request, unsigned status, const char *sentence, const char *header,
                                   const char *value)
{
    g_autofree char *text = g_strconcat(sentence, "\n", NULL);
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", "text/plain; charset=utf-8");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    if (header)
        MHD_add_response_header(response, header, value);
    return request_reply(request, status, response);
}

static void log_failure(const Request *request, const GError *error)
{
    if (qwd_error_traits(error)->log_level & (G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING))
        server_log("%s: %s", request->path ? request->path : "?", error->message);
}

enum MHD_Result request_reply_error(Request *request, const GError *error)
{
    log_failure(request, error);
    return request_reply_text(request, (unsigned)qwd_error_traits(error)->http_status, error->message, NULL, NULL);
}

enum MHD_Result request_reply_failure(Request *request, const FailureRow *rows, size_t count, const GError *cause)
{
    const FailureRow *row = rows;
    while (row < rows + count - 1 && !g_error_matches(cause, QWD_ERROR, (int)row->kind))
        row++;
    log_failure(request, cause);
    return request_reply_text(request, row->status, row->sentence, NULL, NULL);
}

enum MHD_Result request_redirect(Request *request, const char *path)
{
    g_autofree char *location = link_of_path(server_options(request->server)->settings, path);
    return request_reply_text(request, MHD_HTTP_FOUND, "See there.", "Location", location);
}

void request_log(const Request *request)
{
    int port;
    g_autofree char *client = request_client(request, &port);
    g_autofree char *path = g_uri_escape_string(request->path ? request->path : "?", "/", TRUE);
    g_autofree char *method = g_strescape(request->method ? request->method : "-", NULL);
    server_log("%s %s %s %u %.1f ms", client, method, path, request->status,
               (double)(g_get_monotonic_time() - request->begun_us) / 1000.0);
}
