/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Sessions whose supervisor was killed. Nobody is told of that: whoever looks at such a session finds it out, by pid
 * and start time, and ends it at once. One whose supervisor is not in its record yet is being started: only qwdctl
 * clean ends it, after a while (app/clean.c).
 *
 * Not to be called under the lock of the store. */
#pragma once

#include "core/session.h"
#include "core/settings.h"

typedef bool (*AbandonedCheck)(const Settings *settings, const SessionRecord *session);

/* Whether the supervisor that it had is gone for certain. */
bool abandoned_is(const Settings *settings, const SessionRecord *session);

/* Ends one that the check finds abandoned: its processes, links and folder go, or its disk is kept, and the history has
 * a reason. Of several who notice at the same moment, one does it and the others wait. *session becomes what is known
 * of it then: it has ended also when its record could not be put away (a full disk). Lines for `report` (NULL: none).
 */
void abandoned_end(const Settings *settings, SessionRecord **session, AbandonedCheck check, GPtrArray *report);

/* The same for a list (SessionRecord *, owned by it), of which those that have ended and left nothing go. The queue
 * moves on when some have. True when some have. */
bool abandoned_end_all(const Settings *settings, GPtrArray *sessions);

/* Removes the part of an image that the session was being saved to, unless another one of `sessions` is being saved
 * under the same name. */
void abandoned_discard_part(const Settings *settings, const GPtrArray *sessions, const SessionRecord *session);
