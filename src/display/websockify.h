/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The one websockify of the service: websockets outside, the folder of token sockets (display/gate.h) inside. It
 * listens on a UNIX socket in the state folder that only the service account can use: the web server passes displays on
 * to it. Where browsers connect to websockify itself, there is one for them that listens on a TCP port; both may run.
 * Whoever needs one ensures it; whoever leaves releases it. A lock and a record (websockify-socket.json or
 * websockify.json: pid and start time) in the state folder make concurrent callers agree on one process. The
 * listening socket is made here and handed over, so that a browser can connect from the moment websockify_ensure
 * returns. websockify takes any socket whose path begins with display_folder: let no sibling's name begin with its
 * name. With the plug-in qwd_viewer.py each viewer's process notes who it is for (display/viewer_note.h). Its log
 * is /dev/null, because it would write tokens there. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* In the state folder: the record of the one that listens on a TCP port, its "port" among it. */
#define WEBSOCKIFY_PORT_RECORD "websockify.json"

typedef struct {
    const char *program;        /* path, or a name to look up in PATH */
    const char *state_folder;   /* existing folder for the lock and the record */
    const char *display_folder; /* the folder of token sockets */
    const char *address;        /* where to listen: a name or number, as service_address */
    int port;                   /* 0: the UNIX socket, which needs plugin_folder */
    const char *plugin_folder;  /* holds qwd_viewer.py; NULL: viewers are not noted */
    const char *novnc_folder;   /* serve these files too, without listings of folders; NULL: websockets only */
} WebsockifyOptions;

/* Makes sure that one websockify with these options runs; one with other options is replaced, one that died is
 * followed. Safe to call from any number of processes at once. It lives in a session of its own and survives the
 * caller. Errors: QWD_ERROR_CONFIG when the address cannot be used or a foreign program has the port,
 * QWD_ERROR_UNAVAILABLE when websockify is missing or ends again and again right after its start. */
bool websockify_ensure(const WebsockifyOptions *options, GError **error);

/* Whether there are displays, for which one should run. */
bool websockify_is_needed(const char *display_folder);

/* Ends them, with their viewers, when no socket is left in the display folder; otherwise does nothing. */
bool websockify_release(const char *state_folder, const char *display_folder, GError **error);

/* The path of the UNIX socket. Free with g_free. */
char *websockify_socket_path(const char *state_folder);

/* Whether one could listen on the TCP port, or does. QWD_ERROR_CONFIG as websockify_ensure. */
bool websockify_check_port(const WebsockifyOptions *options, GError **error);

typedef void (*WebsockifyDied)(void *data);

/* Calls back once, from the default main context, when the recorded process has ended (also if there was none to begin
 * with). Answer with websockify_ensure and a new watch. Returns the source's id, for g_source_remove before that. */
guint websockify_watch(const WebsockifyOptions *options, WebsockifyDied died, void *data);
