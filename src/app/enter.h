/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The way in: from what somebody claims to a login, over a second factor where one is asked for. What has been proven
 * so far travels with the browser as a seal (auth/seal.h), so that no server state waits for people who never come
 * back. */
#pragma once

#include "auth/backends.h"
#include "auth/login.h"

typedef struct {
    const Settings *settings;
    const char *address;  /* where the request comes from */
    const char *browser;  /* the cookie of a browser in which somebody has logged in before, or NULL */
    const char *link;     /* absolute URL to which a seal can be appended: for links in mail */
    const char *language; /* of mails; NULL: English */
    bool is_page;         /* the answer can be a page, and ask for one more step */
    GPtrArray *troubles;  /* collects lines (char *) for the log */
} EnterContext;

typedef enum {
    ENTER_LOGIN,   /* done */
    ENTER_CODE,    /* a code of the authenticator app is wanted */
    ENTER_ENROL,   /* an authenticator app has to be set up first */
    ENTER_MAILED,  /* a link has been sent */
    ENTER_BROWSER, /* a second factor is wanted, for which there has to be a page: nothing has been begun */
    ENTER_LINK,    /* the link of a mail was opened, and waits to be confirmed */
} EnterStage;

typedef struct {
    EnterStage stage;
    Login login;        /* ENTER_LOGIN */
    char *pending;      /* ENTER_CODE, ENTER_ENROL, ENTER_LINK: the seal to come back with */
    char *user;         /* who it is about */
    char *claimed;      /* the name that was given at first, which may be another one of the same user */
    char *secret;       /* ENTER_ENROL: to be set up */
    char *email;        /* ENTER_MAILED: where the link went */
    bool is_mail_alone; /* an address was all that was claimed */
    bool is_unknown;    /* refused, but a way to log in could not answer, and might have said yes */
    char **recovery;    /* ENTER_LOGIN after ENTER_ENROL: codes to be shown once */
    json_t *carry;      /* ENTER_LINK: what was asked for at first, as form_carry gives it */
} Entrance;

void entrance_clear(Entrance *entrance);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Entrance, entrance_clear)

/* A user with a password; or, where logging in by mail is on, an address without one. Attempts are counted
 * (auth/backoff.h). `carry` goes with a mailed link. QWD_ERROR_LOGIN, QWD_ERROR_ATTEMPTS, QWD_ERROR_BUSY;
 * QWD_ERROR_UNAVAILABLE when mail cannot be sent. */
bool enter_claim(const EnterContext *context, const Claim *claim, const json_t *carry, Entrance *entrance,
                 GError **error);

/* A user whom the web server has proven (REMOTE_USER). `carry` as above. */
bool enter_header(const EnterContext *context, const char *user, const json_t *carry, Entrance *entrance,
                  GError **error);

/* A later step, which may lead to one more. With a wrong code the error is QWD_ERROR_LOGIN, and the entrance has the
 * stage to ask again; so it has with QWD_ERROR_ATTEMPTS and QWD_ERROR_BUSY. */
bool enter_resume(const EnterContext *context, const char *pending, const char *code, Entrance *entrance,
                  GError **error);

/* What a mailed link holds, when it is opened: nothing is used up by looking. */
bool enter_look(const EnterContext *context, const char *pending, Entrance *entrance, GError **error);
