/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "server/cgi_response.h"

#include <string.h>

#include "base/error.h"
#include "base/units.h"
#include "server/head.h"

void cgi_response_clear(CgiResponse *response)
{
    g_clear_pointer(&response->fields, g_ptr_array_unref);
}

/* Fields that are for us, or that the connection to the browser has of its own. */
static bool is_sent_on(const char *name)
{
    static const char *const kept[] = {"Status",
                                       "Content-Length",
                                       "Connection",
                                       "Keep-Alive",
                                       "Date",
                                       "Proxy-Authenticate",
                                       "Proxy-Connection",
                                       "Server",
                                       "TE",
                                       "Trailer",
                                       "Transfer-Encoding",
                                       "Upgrade"};
    for (size_t i = 0; i < G_N_ELEMENTS(kept); i++) {
        if (g_ascii_strcasecmp(kept[i], name) == 0)
            return false;
    }
    return true;
}

/* "404 Not Found": three digits, and words that HTTP/1.1 does not need. */
static bool parse_status(const char *text, unsigned *status)
{
    g_autofree char *digits = g_strndup(text, 3);
    gint64 value;
    if (!units_parse_integer(digits, 200, 599, &value) || (text[3] != '\0' && text[3] != ' '))
        return false;
    *status = (unsigned)value;
    return true;
}

static bool read_status(const GPtrArray *fields, unsigned *status)
{
    const char *text = head_get(fields, "Status");
    *status = head_get(fields, "Location") ? 302 : 200;
    return !text || parse_status(text, status);
}

static bool read_body_length(const GPtrArray *fields, gint64 *length)
{
    const char *text = head_get(fields, "Content-Length");
    *length = -1;
    return !text || units_parse_integer(text, 0, G_MAXINT32, length);
}

/* RFC 3875, 6.3: at least one of these makes it an answer; a stray "Error: ..." line alone does not. */
static bool has_needed_field(const GPtrArray *fields)
{
    return head_get(fields, "Content-Type") || head_get(fields, "Location") || head_get(fields, "Status");
}

static GPtrArray *keep_sent_on(const GPtrArray *fields)
{
    GPtrArray *kept = head_new();
    for (guint i = 0; i < fields->len; i++) {
        const HeadField *field = g_ptr_array_index(fields, i);
        if (is_sent_on(field->name))
            head_add(kept, field->name, field->value);
    }
    return kept;
}

bool cgi_response_parse(const char *output, size_t length, CgiResponse *response, GError **error)
{
    *response = (CgiResponse){.body_at = head_length(output, length)};
    if (response->body_at == 0)
        return qwd_error_fail(error, QWD_ERROR_INTERNAL, "The answer has no header.");
    g_autoptr(GPtrArray) fields = head_parse(output, response->body_at, error);
    if (!fields)
        return false;
    if (!has_needed_field(fields) || !read_status(fields, &response->status) ||
        !read_body_length(fields, &response->body_length))
        return qwd_error_fail(error, QWD_ERROR_INTERNAL, "The answer's header is not one of a CGI program.");
    response->fields = keep_sent_on(fields);
    return true;
}

bool cgi_response_is_complete(const char *output, size_t length)
{
    g_auto(CgiResponse) response = {0};
    if (head_length(output, length) == 0)
        return length > HEAD_MAX_BYTES;
    if (!cgi_response_parse(output, length, &response, NULL))
        return true;
    return response.body_length >= 0 && length - response.body_at >= (size_t)response.body_length;
}
