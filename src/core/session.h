/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The record of one session: who, what, since when, in which state, with which processes and links. */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "base/packed.h"
#include "base/process.h"
#include "core/folder.h"
#include "core/plan.h"
#include "core/script.h"

#define SESSION_SCHEMA 1

typedef enum {
    SESSION_QUEUED,   /* waits for room: nothing of it runs */
    SESSION_STARTING, /* reserved; its supervisor is at the start steps, or about to be */
    SESSION_RUNNING,  /* the display can be used */
    SESSION_STOPPING,
    SESSION_ENDED,  /* regular end */
    SESSION_FAILED, /* ended by trouble: see reason */
    SESSION_STATES
} SessionState;

const char *session_state_name(SessionState state);

/* Whether the session holds resources, or is about to. */
bool session_state_is_alive(SessionState state);

typedef enum { ROLE_CONTROL, ROLE_VIEW, ROLE_COUNT } SessionRole;

const char *session_role_name(SessionRole role);

/* A way in. The token itself is nowhere but in the name of its socket. Faces add links without a hash and remove
 * links; the supervisor opens and closes sockets until they correspond. */
typedef struct {
    char *id;   /* names the link in forms */
    char *hash; /* token_hash(); "" not open yet */
    char *label;
    SessionRole role;
    gint64 created_at, expires_at; /* UTC seconds; expires_at 0: with the session */
    bool is_own;                   /* the owner's own way to the display: made anew when it is revoked */
} SessionLink;

/* Somebody who looks at the display. */
typedef struct {
    gint64 serial; /* names the viewer in forms */
    char *link_id, *address;
    SessionRole role;
    gint64 since;
    bool disconnect_requested; /* stays until the gate has none of that serial */
} SessionViewer;

typedef struct {
    char *name; /* "supervisor", "qemu", "passt" */
    ProcessId id;
} SessionProcess;

/* A start step that is behind us, for the page. */
typedef struct {
    char *name;
    gint64 duration_ms;
} SessionStep;

typedef struct {
    char *id;          /* token_new() */
    char *owner;       /* the user's name */
    char *email;       /* the user's mail address; "" unknown */
    char *base;        /* "scheme://host[:port]" where the user's browser found the service; "" unknown */
    char *language;    /* of the user, for mails, such as "fr"; "" unknown */
    char *remote_host; /* address the request came from */
    SessionState state;
    char *step;        /* the start step it is at */
    char *reason;      /* why it ended or failed, for its user */
    char *note;        /* something its user should know, such as a missing network */
    char *accelerator; /* what it runs with: "kvm", "tcg", ... */
    char *stop_by;     /* who asked for the end; "" nobody */
    char *overrides;   /* settings it was created with, as in $QWD_OVERRIDES */
    char *submission;  /* the form that it was created by, as form_submission() names it; "" none */
    char *submissions; /* the last forms that have changed it, between spaces */
    gint64 created_at, started_at, ready_at, ends_at, ended_at; /* UTC seconds, 0 not yet */
    gint64 admitted_ms; /* UTC milliseconds when its present life was asked for, or taken out of the queue: its start is
                           measured from then */
    gint64 stop_requested_at, last_input_at;
    gint64 touched_at;     /* when somebody last said by a form that it is in use */
    gint64 extensions;     /* by its users, in this life */
    gint64 idle_stop_at;   /* UTC: nobody uses it, so it ends then; 0 it is in use */
    gint64 unused_stop_at; /* UTC: it ends then unless somebody connects; 0 it does not */
    gint64 kept_until;     /* UTC: it has ended, and its disk is kept until then; 0 it is not */
    gint64 resumed_at;     /* UTC: when its present life began, with a kept disk; 0 it is the first */
    char *image_version;   /* what the master was like when the disk was made (vm/image.h) */
    Plan *plan;
    GPtrArray *links;     /* SessionLink * */
    GPtrArray *viewers;   /* SessionViewer *, as the gate saw them last */
    GPtrArray *processes; /* SessionProcess * */
    GPtrArray *steps;     /* SessionStep * */
    GPtrArray *scripts;   /* BootScript * */
    GPtrArray *folders;   /* HostFolder * */

    /* Its disk as a new machine (app/save.h). */
    char *save_name, *save_state, *save_reason;
    gint64 save_percent;
    bool save_standalone;
    char *save_owner, *save_title; /* whose alone it is, "" as administrators say; what it is called on the page */
} SessionRecord;

/* A queued session with a new id. Takes the plan. */
SessionRecord *session_new(const char *owner, const char *remote_host, Plan *plan);

void session_free(SessionRecord *session);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SessionRecord, session_free)

/* A link that is not open yet. Borrowed from the session. */
SessionLink *session_add_link(SessionRecord *session, SessionRole role, const char *label, gint64 expires_at);
SessionLink *session_find_link(const SessionRecord *session, const char *link_id);
SessionLink *session_find_link_by_hash(const SessionRecord *session, const char *hash);
void session_remove_link(SessionRecord *session, const SessionLink *link);
SessionViewer *session_find_viewer(const SessionRecord *session, gint64 serial);
void session_add_viewer(SessionRecord *session, const SessionViewer *viewer); /* copies its texts */
void session_set_process(SessionRecord *session, const char *name, ProcessId id);
void session_add_step(SessionRecord *session, const char *name, gint64 duration_ms);

/* The recorded process of that name; a ProcessId of zeros when there is none. */
ProcessId session_process(const SessionRecord *session, const char *name);

/* Replaces a text field. */
void session_set_text(char **field, const char *text);

/* Whether a form that comes again has changed it already (form_submission() in web/form.h); that it has. */
bool session_has_submission(const SessionRecord *session, const char *submission);
void session_add_submission(SessionRecord *session, const char *submission);

/* Whether it has been let in, and is not over: it counts in limits. */
bool session_holds_room(const SessionRecord *session);

/* Whether it has ended, and its disk is kept for another life (core/kept.h). */
bool session_is_kept(const SessionRecord *session, gint64 now);

json_t *session_to_json(const SessionRecord *session);

/* NULL with QWD_ERROR_CONFIG for another schema, a malformed id or an unknown state. */
SessionRecord *session_from_json(const json_t *object, GError **error);

/* The same packed (base/packed.h). NULL when that is not exactly one record. */
void session_pack(const SessionRecord *session, GByteArray *out);
SessionRecord *session_unpack(Unpacker *in);

/* Adds to `layout` what tells packed records of this program from those of another version. */
void session_pack_describe(GString *layout);

/* The one error for a session that does not exist, that ended long ago, or that is somebody else's: nobody can tell
 * which. */
GError *session_not_found(void);

/* Whether two sessions are of one user: those who have no name are told apart by the computer they sit at. */
bool session_is_same_user(const SessionRecord *a, const SessionRecord *b);

/* The machine's name for people. Borrowed from the session. */
const char *session_title(const SessionRecord *session);

/* Since when nobody has used it, UTC seconds: at first since the display was ready; 0 when it is not yet. */
gint64 session_active_at(const SessionRecord *session);

/* Current time in UTC seconds. */
gint64 session_now(void);
