/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What a user or an administrator can ask for, whatever the face: each function asks the policy first. */
#pragma once

#include "core/machine.h"
#include "core/policy.h"
#include "core/session.h"
#include "core/settings.h"

typedef struct {
    const char *machine; /* name from the list, or the path of an image (commands only); "" the setting's */
    bool may_be_path;
    const char *remote_host; /* where the request came from */
    const char *base;        /* where its browser found the service, as PageContext has it; NULL: no browser */
    const char *language;    /* the user's, for mails ("fr"); NULL: English */
    const char *script;      /* of the form, "" or NULL: none */
    const GPtrArray
        *folders;           /* names of those of the server that are wanted (const char *); NULL: all that are theirs */
    const char *password;   /* the user's, for the scripts' @PW@; NULL: unknown. It goes to the supervisor alone. */
    const char *submission; /* the form that asks for it (web/form.h); NULL: none */
    PlanRequest plan;
} CreateRequest;

/* Reserves a session and has it started; answers without waiting for the machine. Returns its id (g_free). A
 * submission that comes again leads to the session that it has made, also when that has ended. */
char *app_create(const Settings *settings, const Identity *who, const CreateRequest *request, GError **error);

/* A session that runs, or is remembered. */
SessionRecord *app_see(const Settings *settings, const Identity *who, const char *id, GError **error);

/* A record tells what its supervisor has written last. A session whose end has been asked for is stopping, though its
 * supervisor may not have noticed yet: a page that shows it as running would not look again. One whose supervisor is
 * gone has ended (app/abandoned.h); *session is NULL when nothing is known of it any more. Not to be called under the
 * lock of the store. */
void app_note_state(const Settings *settings, SessionRecord **session);

/* The same for a list (SessionRecord *, owned by it), of which those that have ended go unless their disk is kept. */
void app_note_states(const Settings *settings, GPtrArray *sessions);

/* The sessions this person may see: their own, or all for an administrator (SessionRecord *, newest first). */
GPtrArray *app_list(const Settings *settings, const Identity *who, GError **error);

/* The last ended sessions of this person, or of all for an administrator (SessionRecord *, newest first), but for those
 * that app_list has given. */
GPtrArray *app_history(const Settings *settings, const Identity *who, const GPtrArray *sessions);

/* Asks a session's supervisor to end it; returns its record. A session that has ended already is fine. */
SessionRecord *app_stop(const Settings *settings, const Identity *who, const char *id, GError **error);

/* Moves the end of a session by `seconds` (0: as much as the settings say), for users within limits: see life_extend in
 * core/life.h for the errors. */
SessionRecord *app_extend(const Settings *settings, const Identity *who, const char *id, gint64 seconds,
                          GError **error);

/* Says that a session is in use although nobody touches it: it is not idle from now on. */
SessionRecord *app_stay(const Settings *settings, const Identity *who, const char *id, GError **error);

/* Starts an ended session again with the disk that was kept of it, under the same limits as a new one; answers without
 * waiting for the machine. QWD_ERROR_CONFLICT when there is no disk (any more). One that runs already is fine. */
SessionRecord *app_resume(const Settings *settings, const Identity *who, const char *id, GError **error);

/* Gives the kept disk of an ended session up; returns what is remembered of it. QWD_ERROR_CONFLICT as above. */
SessionRecord *app_discard(const Settings *settings, const Identity *who, const char *id, GError **error);

typedef struct {
    const char *session_id;
    SessionRole role;
    const char *label; /* for the owner: whom it is for */
    gint64 lifetime_s; /* 0: as long as the session */
} ShareRequest;

/* Makes a link into a running session, and waits until it is open. QWD_ERROR_LIMIT when there are too many. */
SessionRecord *app_share(const Settings *settings, const Identity *who, const ShareRequest *request, GError **error);

/* What the holder of a link's token may see of its session, also when that is over. Nobody is asked who they are: the
 * token is the right. *link is borrowed from the session. QWD_ERROR_NOT_FOUND: there is no such link (any more). */
SessionRecord *app_see_link(const Settings *settings, const char *token, const SessionLink **link, GError **error);

/* Revokes a link: its open connections close. The owner's own is made anew. QWD_ERROR_NOT_FOUND. */
SessionRecord *app_revoke(const Settings *settings, const Identity *who, const char *id, const char *link_id,
                          GError **error);

/* Closes the connection of one viewer; the link stays. */
SessionRecord *app_disconnect(const Settings *settings, const Identity *who, const char *id, gint64 serial,
                              GError **error);

/* Asks all sessions to end; *count is how many. */
bool app_purge(const Settings *settings, const Identity *who, int *count, GError **error);

/* How long a session may take to end once it was asked to: its guest's grace, and some for what follows. */
int app_end_deadline_ms(const Settings *settings);

/* Waits until a session has ended (its folder is gone, or its disk kept). QWD_ERROR_TIMEOUT after deadline_ms. */
bool app_wait_ended(const Settings *settings, const char *id, int deadline_ms, GError **error);

/* Waits until a session is usable, has failed or has ended; its record then. */
SessionRecord *app_wait_ready(const Settings *settings, const char *id, int deadline_ms, GError **error);
