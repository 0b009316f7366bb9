/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The environment of a CGI program (RFC 3875, section 4.1). */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* All texts are borrowed, and NULL when there is nothing to say. */
typedef struct {
    const char *method;
    const char *script_name;
    const char *path_info;
    const char *query;
    const char *uri; /* as the client sent it */
    const char *protocol;
    const char *host_header; /* a known name: see host_is_known() */
    const char *remote_address;
    int remote_port;
    const char *server_address;
    int server_port;
    const char *content_type;
    gint64 content_length;    /* -1: no body */
    const GPtrArray *headers; /* HeadField */
    const char *config_file;
    const char *const *overrides; /* "key=value" */
} CgiRequest;

/* The whole environment: these variables, PATH, LANG and TZ of ours, and nothing else. QWD_CONFIG is config_file,
 * QWD_OVERRIDES the overrides, one a line. Free with g_strfreev. */
char **cgi_environment(const CgiRequest *request);
