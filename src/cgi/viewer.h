/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The requests of the page that shows a display; see web/viewer.h for who may make them. */
#pragma once

#include "cgi/call.h"

/* The page for a session of one's own, and the one for all links. */
Response *viewer_page(Call *call, GError **error);
Response *viewer_shared_page(Call *call, GError **error);

/* The JSON state of a link, by its token. */
Response *viewer_link_state(Call *call, GError **error);

/* The QR code of one of a session's links, as JSON for a script; see qr-code.svg. */
Response *viewer_qr(const Call *call, const SessionRecord *session, GError **error);
