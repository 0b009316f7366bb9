/* SPDX-License-Identifier: AGPL-3.0-or-later
 * A day's history of the host: a sample for every five minutes, the newest of them in one small file of dir_cache that
 * is replaced as a whole. Whoever comes by takes the sample of the present five minutes, unless there is one. */
#pragma once

#include "core/session.h"
#include "core/settings.h"

#define SAMPLE_PERIOD_S 300
#define SAMPLES_MAX 288 /* a day */

typedef struct {
    gint64 at; /* UTC seconds */
    double load;
    gint64 cpu_busy, cpu_total; /* clock ticks of all processors since the host was started */
    gint64 memory_used_mib, disk_used_mib;
    gint64 sessions, waiting; /* that hold room; in the queue */
    gint64 gpus;              /* that sessions hold */
} Sample;

/* What the host has in all. */
typedef struct {
    int cpus;
    gint64 memory_mib, disk_mib; /* of the folder of the sessions */
} HostSize;

/* The host as it is now, with these sessions (SessionRecord *). */
void sample_take(const Settings *settings, const GPtrArray *sessions, Sample *sample, HostSize *size);

/* Share of its processors' time that the host was busy between two samples, 0 to 1; negative when that is not known,
 * because it was restarted in between or no time has passed. */
double sample_cpu_share(const Sample *from, const Sample *to);

/* The samples of the day before `now`, oldest first (GArray of Sample). Empty when there are none. */
GArray *samples_load(const Settings *settings, gint64 now);

/* Keeps a sample, unless there is one of the same five minutes. A file that cannot be understood is put aside, under
 * its name with ".broken". */
bool samples_add(const Settings *settings, const Sample *sample, GError **error);
