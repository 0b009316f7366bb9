/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What the pages of one session and of many have in common. New references. */
#pragma once

#include "web/pages.h"

/* null for "", else a message that a floor below has made, in English; translated. */
json_t *page_message_or_null(const char *message);

/* What session.html and sessions.html both take. */
json_t *page_session_value(const PageContext *context, const SessionRecord *session);

/* The display in noVNC's own page; null when the link is not open. */
json_t *page_link_value(const PageContext *context, const SessionRecord *session, SessionRole role);

/* Where Connect leads; null before the display is ready. */
json_t *page_connect_value(const PageContext *context, const SessionRecord *session);

/* "picture" of session.html, for a page that asks for a new one every period_s; null while the machine has no screen.
 */
#define PICTURE_PERIOD_S 10
json_t *page_picture_value(const PageContext *context, const SessionRecord *session, int period_s);

/* Whether links can be made, by whoever sees the page. */
bool page_may_share(const PageContext *context, const SessionRecord *session);

/* By which link somebody is connected, for people. Borrowed. */
const char *page_viewer_label(const SessionRecord *session, const SessionViewer *viewer);

/* "steps" of session.html, and "advice": what one can do when the step it is at takes long, else null. (page_steps.c)
 */
json_t *steps_value(const SessionRecord *session);
json_t *step_advice(const SessionRecord *session, gint64 now);
