/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The server: what all requests share, and its life.
 *
 * Theory of operation. libmicrohttpd gives each connection a thread of its own, so a request simply does its work
 * and may block: on a CGI program, on websockify, and for a display's websocket (tunnel.c) for as long as somebody
 * watches. Nothing that is shared changes after the start, but two things: the count of what is under way, and
 * stop_fd, which becomes readable when the server ends; every wait of a request listens to it. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "core/settings.h"
#include "server/guard.h"

typedef struct {
    const Settings *settings;
    const char *const *overrides; /* settings of the command line, for the CGI program */
    const char *config_file;
    const char *cgi_program;
    int cgi_deadline_ms;
    int request_deadline_ms; /* for a client to send a whole request */
    bool verbose;
    int listen_fd; /* bound and listening; the server closes it */
} ServerOptions;

typedef struct Server Server;

/* Starts serving in threads of its own. The options' texts are borrowed and must outlive the server. */
Server *server_start(const ServerOptions *options, GError **error);

/* Ends the tunnels, gives CGI programs some seconds to end, and frees the server. */
void server_stop(Server *server);

const ServerOptions *server_options(const Server *server);
int server_port(const Server *server);
int server_stop_fd(const Server *server);
Guard *server_guard(const Server *server);

/* Where a family of paths begins. Folders have a slash before and after, the script before it only. NULL: there is no
 * such family (only BASE_DISPLAY, when service_path is empty). */
typedef enum { BASE_ROOT, BASE_PAGE, BASE_DISPLAY, BASE_SCRIPT, BASES } ServerBase;
const char *server_base(const Server *server, ServerBase base);

/* Around work that goes on behind an answer (a tunnel, a program that still runs): server_stop() waits for it. */
void server_work_begin(Server *server);
void server_work_end(Server *server);

/* One line to standard error. */
void server_log(const char *format, ...) G_GNUC_PRINTF(1, 2);
