/* SPDX-License-Identifier: AGPL-3.0-or-later
 * How much may run: decided by pure functions from the settings, the records and what the host has left. */
#pragma once

#include "core/session.h"
#include "core/settings.h"

/* What the host has left. */
typedef struct {
    int cpus;
    gint64 memory_mib, memory_free_mib; /* in all; what new programs can have (MemAvailable of proc(5)) */
    gint64 memory_touched_mib;          /* what living sessions have taken of the memory that they were granted */
    gint64 disk_free_mib;               /* in the folder of the sessions */
    double load;                        /* of the last minute, in processors */
} HostUse;

/* All but what sessions have taken of it: host_use_read_sessions. */
void host_use_read(HostUse *use, const char *folder);

/* What these sessions (SessionRecord *) have taken of the host; looked up only when a limit of `settings` asks for it.
 */
void host_use_read_sessions(HostUse *use, const Settings *settings, const GPtrArray *sessions);

/* Whether one more session may run beside those in `sessions` (SessionRecord *; only those count that live
 * and do not wait, and not `wanted` itself). QWD_ERROR_LIMIT says which limit is reached, the figures, what would help,
 * and when room is due. To be called under the lock of the store, so that nobody reserves in between. */
bool limits_allow(const Settings *settings, const HostUse *use, const GPtrArray *sessions, const SessionRecord *wanted,
                  GError **error);

/* A limit, for those who want to know which one it is. Static storage. */
typedef struct LimitRule LimitRule;

/* The first limit that a session would break, NULL for none: as limits_allow. */
const LimitRule *limits_broken(const Settings *settings, const HostUse *use, const GPtrArray *sessions,
                               const SessionRecord *wanted);

/* The key of its setting. */
const char *limit_rule_setting(const LimitRule *rule);

/* Whether it is about the user's own sessions, so that it holds up nobody else. */
bool limit_rule_is_own(const LimitRule *rule);

/* The limit that limits_broken finds in words, a sentence with the figures; NULL for none. Free with g_free. */
char *limits_reason(const Settings *settings, const HostUse *use, const GPtrArray *sessions,
                    const SessionRecord *wanted);

/* Whether it is about what the host has, not about places. */
bool limit_rule_is_physical(const LimitRule *rule);

/* How much one user, who is no administrator, may have at once of a host with so much; G_MAXINT64: no limit. */
gint64 limits_own_cpus_max(const Settings *settings, gint64 host_cpus);
gint64 limits_own_memory_max_mib(const Settings *settings, gint64 host_mib);

/* Whether waiting can help: there would be room if none of `sessions` ran. Of the disk, nobody knows what they would
 * give back: then waiting can help as long as any runs. */
bool limits_can_wait(const Settings *settings, const HostUse *use, const GPtrArray *sessions,
                     const SessionRecord *wanted);

/* When there is likely to be room for `wanted`, behind those that wait before it, if everybody stays to the end as it
 * is now: UTC seconds; 0 when there is room, and when nobody can tell, as of load, memory and disk. */
gint64 limits_expected_at(const Settings *settings, const HostUse *use, const GPtrArray *sessions,
                          const SessionRecord *wanted);

/* How many sessions there are, and how many there may be. */
typedef struct {
    gint64 most, taken;         /* places in all; most 0: no limit */
    gint64 own_most, own_taken; /* of this user */
} Capacity;

/* For the user of `wanted`. */
Capacity limits_capacity(const Settings *settings, const GPtrArray *sessions, const SessionRecord *wanted);

/* When the first session that holds room (of the user of this one; NULL: of all) is due to end, UTC seconds; 0 when
 * there is none. */
gint64 limits_next_end(const GPtrArray *sessions, const SessionRecord *of_user);

/* The same among those with a GPU. */
gint64 limits_next_gpu_end(const GPtrArray *sessions, const SessionRecord *of_user);

/* A sentence about that time, with a space in front, for refusals. Free with g_free. */
char *limits_when_text(gint64 unix_s);
