/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What a request asks for. The fields and what each accepts are one table (form.c); the names are those of the
 * original service. Fields come from the body of a POST, from the query otherwise. Fields that are not in the
 * table are ignored, for old clients; an empty field counts as absent, except for switches, whose presence counts.
 *
 * Every refusal is QWD_ERROR_USAGE with "FIELD: write WHAT IS ALLOWED." and repeats nothing of what was sent. Texts
 * are borrowed from the request and end with it. */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "web/request.h"

typedef enum {
    FORM_NOTHING, /* none of the fields below: show the page that the URL names */
    FORM_CREATE,  /* create; or a POST with a machine and none of the others, for scripts */
    FORM_MANAGE,
    FORM_METRICS,
    FORM_MONITOR, /* monitor; or the machine of that name, as the original has it */
    FORM_STOP,
    FORM_EXTEND,
    FORM_STAY,         /* it is in use, although nobody touches it */
    FORM_AGAIN,        /* resume an ended session */
    FORM_DISCARD,      /* give its disk up */
    FORM_SAVE,         /* make a machine of it */
    FORM_REMOVE_SAVED, /* such a machine */
    FORM_PURGE,
    FORM_SHARE,
    FORM_REVOKE,
    FORM_DISCONNECT,
    FORM_VIEWER,        /* the page that shows the display of one's own session ... */
    FORM_SHARED_VIEWER, /* ... or of a link, whose token only the browser knows */
    FORM_LINK_STATE,    /* how the session behind a link is */
    FORM_LOGOUT,
    FORM_STOP_SELECTION,
    FORM_EXTEND_SELECTION,
    FORM_RESUME, /* a later step of a login */
} FormAction;

/* Which action a request asks for; refuses two at once. */
bool form_read_action(const Request *request, FormAction *action, GError **error);

typedef struct {
    const char *user;     /* "" when absent */
    const char *password; /* "" when absent; any characters but control characters, at most 1024 bytes */
} LoginForm;

bool form_read_login(const Request *request, LoginForm *form, GError **error);

typedef struct {
    const char *machine; /* a plain file name; "" : the service's choice */
    gint64 cpus;         /* 1..256; 0: the service's choice, as below */
    gint64 memory_mib;   /* >= 32 */
    gint64 lifetime_s;   /* >= 60 */
    bool gpu;
    bool oneshot;
    const char *fallback_servers; /* "" when absent. Not to be contacted unless configuration names them, too. */
    const char *script;           /* a boot script; "" when absent */
    bool terms;                   /* agrees to the terms of use */
} CreateForm;

/* A later step of a login: a sealed state (auth/seal.h) and, for some, a code. */
typedef struct {
    const char *pending, *code; /* "" when absent */
} ResumeForm;

bool form_read_resume(const Request *request, ResumeForm *form, GError **error);

typedef struct {
    bool view_only;
    const char *label;    /* "" when absent */
    gint64 lifetime_s;    /* 0: as long as the session */
    const char *link;     /* the link to revoke, "" when absent */
    gint64 viewer_serial; /* the viewer to disconnect, 0 when absent */
} ShareForm;

bool form_read_share(const Request *request, ShareForm *form, GError **error);

/* The machine that a session is to become. */
typedef struct {
    const char *name, *title; /* "" when absent */
} SaveForm;

/* The name of a FORM_REMOVE_SAVED. */
bool form_read_remove_saved(const Request *request, const char **name, GError **error);

bool form_read_save(const Request *request, SaveForm *form, GError **error);

/* What has to be sent again with a login form, so that nothing typed is lost: hidden fields as the templates take them,
 * [{name, value}, ...]; only fields of the table that can be read, never user or password. New reference. */
json_t *form_carry(const Request *request);

/* What of the monitor is looked at. */
typedef struct {
    const char *sort;   /* word of a column; "" the service's choice */
    const char *order;  /* "asc", "desc"; "" the column's own */
    const char *find;   /* in the table; "" all */
    const char *state;  /* of sessions; "" all */
    gint64 page;        /* from 1; 0 absent */
    const char *result; /* of the change that led here, as the service wrote it; "" none */
} MonitorForm;

bool form_read_monitor(const Request *request, MonitorForm *form, GError **error);

/* The sessions of a FORM_STOP_SELECTION or FORM_EXTEND_SELECTION (const char *, borrowed): the one that the button
 * names, or all that are selected. QWD_ERROR_USAGE when there are none. Free with g_ptr_array_unref. */
GPtrArray *form_read_selection(const Request *request, GError **error);

bool form_read_create(const Request *request, CreateForm *form, GError **error);

/* The folders of the server that a session is to have (const char *, borrowed): those that are chosen where the form
 * lets one choose, *names NULL otherwise. Free with g_ptr_array_unref. */
bool form_read_folders(const Request *request, GPtrArray **names, GError **error);

typedef struct {
    const char *session; /* token of session_stop, session_extend, share, session_stay, session_resume, session_discard,
                          * session_save, view or session, in this order; "" when absent */
    const char *token;   /* of a link, "" when absent */
    const char *qr;      /* the link whose QR code is asked for, "" when absent */
    gint64 picture_age_s; /* how old the picture of the screen may be that is asked for; 0 when absent */
    gint64 page;          /* of a list, from 1; 0 when absent */
    const char *csrf;     /* "" when absent */
    const char *purge;    /* value of service_purge; "" when absent */
    bool confirm;
} SessionForm;

/* Names what was sent: who sends it (`sender`), the form's idempotency_key, and what it asks for. The same name comes
 * with a form that is sent twice, also when a login came between. NULL without a key. Free with g_free. */
char *form_submission(const Request *request, const char *sender);

/* By how much to extend a session (snapshot_lifetime): 0 when absent. */
bool form_read_extension(const Request *request, gint64 *seconds, GError **error);

bool form_read_session(const Request *request, SessionForm *form, GError **error);
