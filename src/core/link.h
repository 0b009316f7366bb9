/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Where a browser finds a session's display: noVNC's page, with a token for the websocket. */
#pragma once

#include "core/session.h"
#include "core/settings.h"

/* The display's address. `base` is "scheme://host[:port]" of the web server (see core/origin.h): with service_path the
 * display is on the same server, else on the same host at service_port. Free with g_free. */
char *link_url(const Settings *settings, const char *base, const char *token, SessionRole role);

/* The same as seen from a page of the service: without the server where that is the page's own. Free with g_free. */
char *link_reference(const Settings *settings, const char *base, const char *token, SessionRole role);
