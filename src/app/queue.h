/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Who may start now, and who waits for room. A waiting session is a record in the state SESSION_QUEUED without a
 * supervisor; it is started by whoever sees that there is room: a session at its end, the page of one that waits, and
 * qwdctl clean. */
#pragma once

#include "core/session.h"
#include "core/settings.h"

/* Admits a new session under the lock of the store and starts its supervisor, which alone gets the `secret` (NULL:
 * none); where there is no room and service_queue is on, it waits if `may_wait`, and the secret is forgotten.
 * A session whose submission has made another one before becomes that one: its id is the other's, and nothing starts.
 * QWD_ERROR_LIMIT, QWD_ERROR_CONFLICT (its image is taken); nothing is left then. */
bool app_queue_enter(const Settings *settings, SessionRecord *session, const char *secret, bool may_wait,
                     GError **error);

/* What makes an admission hold: writes the record. Called under the lock of the store. */
typedef bool (*QueueCommit)(const Settings *settings, const SessionRecord *session, GError **error);

/* The same for a session that is known already and starts once more; what `commit` has written stays on error. */
bool app_queue_reenter(const Settings *settings, SessionRecord *session, QueueCommit commit, GError **error);

/* Starts those at the head of the queue for whom there is room. One that cannot be started has failed; its user is
 * told.
 */
bool app_queue_advance(const Settings *settings, GError **error);

/* Ends a waiting session. False without an error: it waits no longer, so its supervisor must be asked. */
bool app_queue_leave(const Settings *settings, const char *id, const char *reason, GError **error);

/* Why a session waits, for its user. */
typedef struct {
    guint position;     /* from 1; 0 when it does not wait */
    char *reason;       /* what there is not, a sentence; NULL: there is room, and others go before */
    bool is_own;        /* ... because of the user's own sessions */
    gint64 expected_at; /* when there is likely to be room, UTC seconds; 0 when nobody can tell */
} QueueWait;

void queue_wait_clear(QueueWait *wait);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(QueueWait, queue_wait_clear)

/* What app_queue_enter would do with a new session of the form, which is not among `sessions` (SessionRecord *, all
 * there are): false with the same error; else wait->position is 0 when it would start, and `wait` says why it would
 * wait otherwise. Reserves and counts nothing; `wanted` is of no use afterwards. */
bool app_queue_preview(const Settings *settings, const GPtrArray *sessions, SessionRecord *wanted, QueueWait *wait,
                       GError **error);

/* Looks at a session, whose record stays as it is. */
bool app_queue_describe(const Settings *settings, const SessionRecord *session, QueueWait *wait, GError **error);
