/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Forms that are sent twice, by a double click or a browser that asks again: what a form asks for is done once. A
 * session remembers the form that has made it (app/create.c) and the last ones that have changed it; both go with its
 * record. A submission is the name that form_submission() (web/form.h) gives to what was sent. */
#pragma once

#include "core/settings.h"

/* Waits until nobody else is at a change of this session that a form has asked for. Returns a lock for autofd, -1 when
 * there is no such session (any more). *is_done: this submission has changed it already. */
int app_submission_begin(const Settings *settings, const char *id, const char *submission, bool *is_done);

/* Remembers that it has changed the session; to be called under that lock. */
void app_submission_note(const Settings *settings, const char *id, const char *submission);
