/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The page that shows a display (html/viewer.html and html/static/viewer/), on noVNC's core.
 *
 * The owner opens it by the session's id and the login of the service; everybody else by the token of a link, which
 * stands behind the '#' of the address. The page is the same for all tokens: its script reads the token and asks for
 * the link's state with POST, so that the token is in no request line. Who has a token may see what concerns its
 * link, and nothing more; an unknown, a revoked and an expired token get the same answer. */
#pragma once

#include "web/pages.h"

/* viewer.html; `session` is NULL for a link. New reference. */
json_t *page_viewer(const PageContext *context, const SessionRecord *session);

/* What the holder of a link sees of its session, as JSON. New reference. */
json_t *page_link_state(const SessionRecord *session, const SessionLink *link);
