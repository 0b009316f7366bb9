/* SPDX-License-Identifier: AGPL-3.0-or-later
 * One request being answered: who asks, what for, and what goes with the answer. */
#pragma once

#include "app/enter.h"
#include "web/form.h"
#include "web/pages.h"
#include "web/response.h"

typedef struct {
    PageContext page;
    bool is_https; /* at the browser's end: server_name knows of a proxy that has the certificate */
    Identity who;
    SessionForm form;
    LoginForm login_form;
    FormAction action;
    Login login; /* of a browser that is logged in */
    bool has_login;
    bool has_credentials; /* the request itself proved who sends it: no form token is needed */
    bool by_web_server;   /* the web server says who sends it */
    char *csrf;           /* the token of this login's forms; NULL without login */
    char *cookie;         /* a cookie to set, or NULL */
    char *plain_cookie;   /* the same, of http beside that of https */
    char *browser_cookie; /* the same, after a login (auth/browser.h) */
    char *submission;     /* what names a form that is sent twice (web/form.h), or NULL */
    char *subject;        /* the session that was changed, or NULL */
    bool chose_language;  /* on a page: the browser is to remember it */
    GPtrArray *troubles;  /* lines for the log */
} Call;

/* Finds out who asks: by cookie, web server, user and password of the request, or a later step of a login, after which
 * `action` is what was asked for at first. Returns false with *early set to a page that has to come first (a code, a
 * mailed link), or with an error. */
bool call_authenticate(Call *call, Response **early, GError **error);

/* Whether the request is a mailed link: opened (GET), or its seal sent by the page that it opens (POST). */
bool call_has_link(const Call *call);

/* The pages that a mailed link leads to: the first one sends the seal, the button of the second is the next step. */
Response *call_open_link(Call *call, GError **error);

Response *call_logout(Call *call, GError **error);

/* Whether an error of a login leaves the same form to be sent again: now, or after a while. */
bool call_may_try_again(const GError *reason);

/* The page that asks who one is, as the answer to such an error. NULL when it cannot be made. */
Response *call_login_page(Call *call, const GError *reason);

/* What changes something comes by POST (else QWD_ERROR_METHOD), and from no other site's page (QWD_ERROR_DENIED). */
bool call_check_post(const Call *call, GError **error);

/* The administrator's monitor, and what is done there with a selection of sessions. */
Response *call_monitor(Call *call, GError **error);
Response *call_stop_selection(Call *call, GError **error);
Response *call_extend_selection(Call *call, GError **error);

/* What can be asked for by somebody who is known: NULL with an error for what is refused. */
Response *call_perform(Call *call, GError **error);

/* Values of a page with what all pages know of the login. New reference. */
json_t *call_page_values(const Call *call, const char *title);
