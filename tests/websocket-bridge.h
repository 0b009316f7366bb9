/* SPDX-License-Identifier: AGPL-3.0-or-later
 * A websocket as a plain socket, for libraries that do not speak websocket. */
#pragma once

#include <glib.h>

/* Connects to ws://host:port/path, upgrades (RFC 6455, subprotocol "binary") with these further headers (each ending in
 * "\r\n"; may be ""), and serves the connection from a thread of its own. Returns our end of a socket pair; -1 on
 * error, which holds the server's status line when it refused. */
int websocket_bridge(const char *url, const char *headers, GError **error);

/* A connected TCP socket; -1 on error. */
int tcp_connect(const char *host, const char *port, GError **error);
