/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Ended sessions whose disk is kept for a while: which, for how long, and their records' next life. What is
 * done with them: app/keep.h. A kept session is a folder like that of a running one, whose record says ended or failed
 * and kept_until. */
#pragma once

#include "core/session.h"
#include "core/settings.h"

/* Until when the disk of this session, which has just ended, is to be kept: UTC seconds, 0 when it is not. Not after
 * somebody stopped it while it ran, and not when it has no disk of its own, or one that was never used. */
gint64 kept_until(const Settings *settings, const SessionRecord *session, gint64 now);

/* Those of `sessions` that have to go (SessionRecord *, borrowed; free the list): all whose time is over, and the
 * owner's oldest ones until there is room for one more. `owner` NULL: only those whose time is over. None whose disk
 * is being saved. */
GPtrArray *kept_surplus(const Settings *settings, const GPtrArray *sessions, const char *owner, gint64 now);

/* What the session's disk takes on the host's, in bytes; 0 when there is none. */
gint64 kept_bytes(const Settings *settings, const SessionRecord *session);

/* The same as kept_until, and 0 as well when the disk is larger than what may be kept, as it is now. */
gint64 kept_promise(const Settings *settings, const SessionRecord *session, gint64 now);

/* What a kept session takes on the disk, in bytes. */
typedef gint64 (*KeptSize)(const Settings *settings, const SessionRecord *session);

/* Those that have to go for `wanted` bytes more of this owner (NULL: of nobody, for what is there already), in the same
 * way: the oldest ones of the owner until snapshot_keep_size_per_user is kept to, then of all, snapshot_keep_size. */
GPtrArray *kept_over_size(const Settings *settings, const GPtrArray *sessions, KeptSize size, const char *owner,
                          gint64 wanted);

/* Whether a disk of that size may be kept at all. */
bool kept_size_is_allowed(const Settings *settings, gint64 bytes);

/* Makes an ended session's record that of one whose disk is kept. */
void kept_note(SessionRecord *session, const SessionRecord *ended);

/* Makes the record of an ended session that of one that is about to start again, with the life-time it had at first. It
 * is asked for at `now_ms` (UTC milliseconds): its turn and its start are measured from then. */
void kept_revive(SessionRecord *session, gint64 now_ms);
