/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The order of those who wait for room (SESSION_QUEUED). */
#pragma once

#include "core/session.h"

/* The waiting ones among `sessions` (SessionRecord *), the next one first: whose user has the fewest sessions running
 * or waiting before, then who came first. So nobody's tenth session goes before another's first. Borrowed from
 * `sessions`; free with g_ptr_array_unref. */
GPtrArray *queue_order(const GPtrArray *sessions);

/* A session's place in the queue, from 1; 0 when it does not wait. */
guint queue_position(const GPtrArray *sessions, const char *id);
