/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "server/cgi.h"

#include <string.h>

#include "base/error.h"
#include "server/cgi_environment.h"
#include "server/cgi_response.h"
#include "server/head.h"
#include "server/routes.h"

static char **make_environment(const Request *request)
{
    const ServerOptions *options = server_options(request->server);
    int remote_port;
    bool has_body = request->body->len > 0 || routes_method(request->method) == METHOD_POST;
    g_autofree char *client = request_client(request, &remote_port);
    g_autofree char *own = request_server_address(request);
    g_autofree char *script = g_strndup(request->path, request->route_length);
    g_autoptr(GPtrArray) headers = request_headers(request);
    CgiRequest cgi = {
        .method = request->method,
        .script_name = script,
        .path_info = *routes_rest(request) ? routes_rest(request) : NULL,
        .query = request->query,
        .uri = request->uri,
        .protocol = request->protocol,
        .host_header = request_header(request, "Host"),
        .remote_address = client,
        .remote_port = remote_port,
        .server_address = own,
        .server_port = server_port(request->server),
        .content_type = has_body ? request_header(request, "Content-Type") : NULL,
        .content_length = has_body ? (gint64)request->body->len : -1,
        .headers = headers,
        .config_file = options->config_file,
        .overrides = options->overrides,
    };
    return cgi_environment(&cgi);
}

static bool run(Request *request, GByteArray *output, GError **error)
{
    const ServerOptions *options = server_options(request->server);
    g_auto(GStrv) environment = make_environment(request);
    CgiStart start = {
        .program = options->cgi_program,
        .environment = (const char *const *)environment,
        .input = request->body->len > 0 ? request->body : NULL,
        .deadline_ms = options->cgi_deadline_ms,
        .stop_fd = server_stop_fd(request->server),
    };
    return cgi_process_start(&request->cgi, &start, error) &&
           cgi_process_read(&request->cgi, output, cgi_response_is_complete, error);
}

static bool is_head(const Request *request)
{
    return routes_method(request->method) == METHOD_HEAD;
}

/* A body that is shorter than announced is a program that died over it; one that is longer is cut. */
static bool read_answer(const Request *request, const GByteArray *output, CgiResponse *answer, GError **error)
{
    if (!cgi_response_parse((const char *)output->data, output->len, answer, error))
        return false;
    gint64 length = (gint64)(output->len - answer->body_at);
    if (answer->body_length < 0 && !(is_head(request) && length == 0))
        answer->body_length = length;
    if (length < answer->body_length && !is_head(request))
        return qwd_error_fail(error, QWD_ERROR_INTERNAL, "The answer is shorter than it says.");
    return true;
}

static void free_output(void *output)
{
    g_byte_array_unref(output);
}

static ssize_t read_nothing(void *data, uint64_t position, char *buffer, size_t length)
{
    (void)data, (void)position, (void)buffer, (void)length;
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* Takes the output. The answer to HEAD tells the length of a body that nobody has (RFC 9110, 8.6). */
static struct MHD_Response *make_response(const Request *request, GByteArray *output, const CgiResponse *answer)
{
    struct MHD_Response *response;
    if (is_head(request))
        response = MHD_create_response_from_callback(answer->body_length < 0 ? MHD_SIZE_UNKNOWN
                                                                             : (uint64_t)answer->body_length,
                                                     1024, read_nothing, output, free_output);
    else
        response = MHD_create_response_from_buffer_with_free_callback_cls(
            (size_t)answer->body_length, output->data + answer->body_at, free_output, output);
    if (!response)
        free_output(output);
    return response;
}

static enum MHD_Result send_answer(Request *request, struct MHD_Response *response, const CgiResponse *answer)
{
    for (guint i = 0; response && i < answer->fields->len; i++) {
        const HeadField *field = g_ptr_array_index(answer->fields, i);
        MHD_add_response_header(response, field->name, field->value);
    }
    return request_reply(request, answer->status, response);
}

static const FailureRow failures[] = {
    {QWD_ERROR_TIMEOUT, MHD_HTTP_GATEWAY_TIMEOUT, "The service took too long to answer. Please try again."},
    {QWD_ERROR_UNAVAILABLE, MHD_HTTP_SERVICE_UNAVAILABLE,
     "The service is not installed completely. Please tell its administrator."},
    {QWD_ERROR_INTERNAL, MHD_HTTP_BAD_GATEWAY, "The service failed to answer. Please tell its administrator."},
};

enum MHD_Result cgi_handle(Request *request)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) output = g_byte_array_new();
    g_auto(CgiResponse) answer = {0};
    if (run(request, output, &error) && read_answer(request, output, &answer, &error))
        return send_answer(request, make_response(request, g_steal_pointer(&output), &answer), &answer);
    if (g_error_matches(error, QWD_ERROR, QWD_ERROR_TIMEOUT))
        cgi_process_end(&request->cgi);
    return request_reply_failure(request, failures, G_N_ELEMENTS(failures), error);
}

/* --- after the answer --- */

typedef struct {
    Server *server;
    CgiProcess process;
} Straggler;

static gpointer wait_for_straggler(gpointer data)
{
    Straggler *straggler = data;
    cgi_process_end(&straggler->process);
    server_work_end(straggler->server);
    g_free(straggler);
    return NULL;
}

void cgi_finish(Request *request)
{
    if (cgi_process_try_end(&request->cgi))
        return;
    Straggler *straggler = g_new(Straggler, 1);
    *straggler = (Straggler){request->server, request->cgi};
    request->cgi.pid = 0;
    server_work_begin(request->server);
    GThread *thread = g_thread_try_new("cgi-end", wait_for_straggler, straggler, NULL);
    if (thread)
        g_thread_unref(thread);
    else
        wait_for_straggler(straggler);
}
