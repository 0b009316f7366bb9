/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Reading from the web, through libcurl: HTTP and HTTPS only, TLS always verified, redirects from https only to https.
 * Programs that use nothing of this folder do not link libcurl. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct {
    const char *proxy;       /* "" what the environment says */
    const char *authorities; /* file of certificates to trust; "" the system's */
    int patience_s;          /* how long nothing may come */
} WebOptions;

/* Texts are "" when the server has not sent them. */
typedef struct {
    bool is_partial;         /* the server sends what was asked for from `begin` on, else all of it */
    gint64 begin;            /* where it begins */
    gint64 total;            /* size of the whole; -1 unknown */
    const char *etag;        /* a strong one */
    const char *modified_at; /* as it stands in the header */
} WebResponse;

/* Who takes the answer; false with an error set ends the transfer. */
typedef struct {
    bool (*begin)(const WebResponse *response, void *data, GError **error);
    bool (*take)(const char *bytes, size_t length, void *data, GError **error);
    void *data;
} WebSink;

/* What to ask for: from `begin` on as long as it is what `validator` (an ETag or a date) names, else all of it. */
typedef struct {
    const char *url;
    gint64 begin;
    const char *validator;
} WebRequest;

/* Runs to the end of the answer. Errors of the sink are handed on; others are QWD_ERROR_USAGE for what is no address,
 * _NOT_FOUND, _DENIED when the server refuses or cannot be trusted, _TIMEOUT, _UNAVAILABLE when the connection broke
 * or there was none, _CONFLICT when the server's file ends before `begin`. */
bool web_get(const WebOptions *options, const WebRequest *request, const WebSink *sink, GError **error);

/* A small text, at most max_bytes. Free with g_free. */
char *web_get_text(const WebOptions *options, const char *url, size_t max_bytes, GError **error);
