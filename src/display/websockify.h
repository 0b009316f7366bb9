/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The one websockify of the service: TCP and websocket outside, the folder of token sockets (display/gate.h) inside.
 * Whoever needs it ensures it; whoever leaves releases it. A lock and a record (websockify.json: pid and
 * start time) in the state folder make concurrent callers agree on one process. The listening socket is made here
 * and handed over, so that a browser can connect from the moment websockify_ensure returns.
 * websockify takes any socket whose path begins with display_folder: let no sibling's name begin with its name.
 * With the plug-in qwd_viewer.py each viewer's process notes who it is for in state_folder/viewers/PID.
 * Its log is /dev/null, because it would write tokens there. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct {
    const char *program;        /* path, or a name to look up in PATH */
    const char *state_folder;   /* existing folder for the lock and the record */
    const char *display_folder; /* the folder of token sockets */
    const char *address;        /* where to listen: a name or number, as service_address */
    int port;
    const char *plugin_folder; /* holds qwd_viewer.py; NULL: viewers are not noted */
    const char *novnc_folder;  /* serve these files too, without listings of folders; NULL: websockets only */
} WebsockifyOptions;

/* Makes sure that one websockify with these options runs; one with other options is replaced, one that died is
 * followed. Safe to call from any number of processes at once. It lives in a session of its own and survives the
 * caller. Errors: QWD_ERROR_CONFIG when the address cannot be used or a foreign program has the port,
 * QWD_ERROR_UNAVAILABLE when websockify is missing or ends again and again right after its start. */
bool websockify_ensure(const WebsockifyOptions *options, GError **error);

/* Ends it, with its viewers, when no socket is left in the display folder; otherwise does nothing. */
bool websockify_release(const WebsockifyOptions *options, GError **error);

typedef void (*WebsockifyDied)(void *data);

/* Calls back once, from the default main context, when the recorded process has ended (also if there was none to begin
 * with). Answer with websockify_ensure and a new watch. Returns the source's id, for g_source_remove before that. */
guint websockify_watch(const char *state_folder, WebsockifyDied died, void *data);
