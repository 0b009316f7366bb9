/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What a CGI program answers (RFC 3875, section 6). */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct {
    unsigned status;
    GPtrArray *fields;  /* HeadField: those to be sent on, Content-Type and Location among them */
    size_t body_at;     /* the body begins here */
    gint64 body_length; /* as the program said; -1: it ends with the output */
} CgiResponse;

void cgi_response_clear(CgiResponse *response);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CgiResponse, cgi_response_clear)

/* Reads the head of the output. QWD_ERROR_INTERNAL when it is not a CGI answer; *response is then empty. */
bool cgi_response_parse(const char *output, size_t length, CgiResponse *response, GError **error);

/* Whether nothing more is to be read: as much has come as the program announced, or what came is no CGI answer. */
bool cgi_response_is_complete(const char *output, size_t length);
