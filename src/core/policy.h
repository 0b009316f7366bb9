/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Who may what: the one place where it is decided. */
#pragma once

#include "core/session.h"
#include "core/settings.h"

typedef enum {
    ACTION_FORM, /* see the form */
    ACTION_CREATE,
    ACTION_LIST,
    ACTION_SEE,
    ACTION_STOP,
    ACTION_EXTEND,   /* and say that it is still in use */
    ACTION_RESUME,   /* an ended session whose disk is kept; and give that disk up */
    ACTION_SAVE_OWN, /* make a machine of it that is its owner's alone */
    ACTION_SHARE,    /* make and revoke links, disconnect viewers */
    ACTION_PURGE,
    ACTION_METRICS, /* see figures of the whole service */
    ACTION_SAVE,    /* make a machine of it */
    ACTION_MONITOR, /* see the host and all sessions */
    ACTION_COUNT
} Action;

/* Who asks. */
typedef struct Identity {
    const char *user;          /* "" unknown */
    const char *const *groups; /* proven as well; NULL: none */
    bool is_authenticated;     /* the name is proven, not claimed */
    bool is_admin;             /* proven as well */
    bool is_local;             /* the request comes from a browser or a program on this machine, and through no proxy */
    bool has_metrics_token;    /* the request carries the token of metrics_token_file */
    bool is_guest_by_mail;     /* known by a mail address alone: sessions are one-shot */
    const char *email;         /* where mail reaches them; NULL or "" unknown */
} Identity;

/* Whether any way to log in is on. */
bool policy_login_is_configured(const Settings *settings);

/* Whether this may be done to this session (NULL for actions that concern none). Errors: QWD_ERROR_LOGIN when one has
 * to log in first, QWD_ERROR_DENIED, and QWD_ERROR_NOT_FOUND for somebody else's session, in the words of one that does
 * not exist. As long as no way to log in is on, the unguessable id of a session is what gives access to it. */
bool policy_allows(const Settings *settings, const Identity *who, Action action, const SessionRecord *session,
                   GError **error);

/* Whether requests are served without a login, and only from this machine: to be said on the page. */
bool policy_is_local_only(const Settings *settings);
