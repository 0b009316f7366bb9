/* SPDX-License-Identifier: AGPL-3.0-or-later
 * How much may run: decided by pure functions from the settings, the records and what the host has left. */
#pragma once

#include "core/session.h"
#include "core/settings.h"

/* What the host has left. */
typedef struct {
    int cpus;
    gint64 memory_mib, memory_free_mib; /* in all; what new programs can have (MemAvailable of proc(5)) */
    gint64 disk_free_mib;               /* in the folder of the sessions */
    double load;                        /* of the last minute, in processors */
} HostUse;

void host_use_read(HostUse *use, const char *folder);

/* Whether one more session may run beside those in `sessions` (SessionRecord *; only living ones count, and not
 * `wanted` itself). QWD_ERROR_LIMIT says which limit is reached, the figures, what would help, and when room is due. To
 * be called under the lock of the store, so that nobody reserves in between. */
bool limits_allow(const Settings *settings, const HostUse *use, const GPtrArray *sessions, const SessionRecord *wanted,
                  GError **error);

/* When the first living session (of this owner; NULL: of all) is due to end, UTC seconds; 0 when there is none. */
gint64 limits_next_end(const GPtrArray *sessions, const char *owner);
