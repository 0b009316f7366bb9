/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The values of the pages' templates, from records: what each takes stands at the top of its template in html/.
 * A page function is tested without HTML, a template without a server. */
#pragma once

#include <jansson.h>

#include "core/machine.h"
#include "core/policy.h"
#include "core/session.h"
#include "web/request.h"

/* What every page function needs to know. */
typedef struct {
    const Settings *settings;
    const Request *request; /* NULL: the page is made by a command */
    const char *base;       /* "scheme://host[:port]" for links that leave the page */
    const Identity *who;
    const char *csrf; /* the token of the login's forms; NULL without login */
} PageContext;

/* response_page_values with what is known of the login: user, csrf, and where "home" is. New reference. */
json_t *page_common_values(const PageContext *context, const char *title);

/* session.html, and the JSON state of a session. New reference. */
json_t *page_session(const PageContext *context, const SessionRecord *session);

/* What error.html shows beside the error: the sessions that the asker could stop to make room. */
json_t *page_error_sessions(const PageContext *context, const GPtrArray *sessions);

/* sessions.html: a page of those that live, from 1; beside the first, those whose disk is kept, and the history. */
json_t *page_sessions(const PageContext *context, const GPtrArray *sessions, const GPtrArray *history, gint64 page);

/* What of it can change: what the page's script asks for. */
json_t *page_sessions_state(const json_t *values);

/* All of them for programs, with the links that need no login: {"sessions", "kept"}. */
json_t *page_sessions_list(const PageContext *context, const GPtrArray *sessions);

/* The file that the start page is kept in, for one of the languages: file_page for the first of them, index.LANG.html
 * beside it for others. Free with g_free. */
char *page_landing_file(const Settings *settings, const char *language);

/* landing.html for who asks, from all machines and all sessions (SessionRecord *). A context without `base` makes the
 * page that is a file, which knows of no sessions (NULL). */
json_t *page_landing(const PageContext *context, const GPtrArray *machines, const GPtrArray *sessions);

/* A state for people. */
const char *page_state_text(SessionState state);

/* URL path of a session's page, and of the page that shows its display. Free with g_free. */
char *page_session_path(const PageContext *context, const char *id);
char *page_viewer_path(const PageContext *context, const char *id);
