/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Where a browser finds a session's display: our own page (html/viewer.html) or noVNC's, with a token for the
 * websocket. The token is the right to the display; in the address of our page it stands behind the '#', which
 * browsers send to nobody, so that no log and no Referer has it. */
#pragma once

#include "core/session.h"
#include "core/settings.h"

/* Paths of this host as browsers ask for them, with service_prefix in front: of the page with the form, and of anything
 * below it (`name`: "" or "static/style.css"); of the program; of the displays, NULL without service_path. Free with
 * g_free. */
char *link_page(const Settings *settings, const char *name);
char *link_script(const Settings *settings);
char *link_display(const Settings *settings);

/* The same for a path that the web server gave us. */
char *link_of_path(const Settings *settings, const char *path);

/* Checks that service_prefix can be put in front of paths; QWD_ERROR_CONFIG. */
bool link_check_settings(const Settings *settings, GError **error);

/* The display's address. `base` is "scheme://host[:port]" of the web server (see core/origin.h): with service_path the
 * display is on the same server, else on the same host at service_port. Free with g_free. */
char *link_url(const Settings *settings, const char *base, const char *token, SessionRole role);

/* The same as seen from a page of the service: without the server where that is the page's own. Free with g_free. */
char *link_reference(const Settings *settings, const char *base, const char *token, SessionRole role);

/* The path of our own page for whoever has a link, below service_path: the web server may want a login at the program's
 * own path, and must not want one here. NULL without service_path; the page is the program's then. Free with g_free. */
char *link_viewer_path(const Settings *settings);

/* The address of that page for whoever has the token. NULL where that page could not work: one that came by https
 * may not connect to websockify's port, which speaks plain HTTP. Free with g_free. */
char *link_viewer_url(const Settings *settings, const char *base, const char *token);

/* Where our page connects to, as seen from it: a path, or an address beginning with ws:. Free with g_free. */
char *link_socket(const Settings *settings, const char *base);

/* The sources that the page may connect to, for its Content-Security-Policy. Not every browser counts websockets among
 * 'self'. Free with g_free. */
char *link_connect_policy(const Settings *settings, const char *base);
