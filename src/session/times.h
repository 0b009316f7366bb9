/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What time brings a running session: warnings, the end of an idle or unused one, the end of its life-time. What is due
 * and when, core/life.h decides; timers are set for the next moment only, and nothing is polled. */
#pragma once

#include "core/life.h"

struct Supervisor;

typedef struct {
    LifeState state;
    gint64 touched_at;      /* of the record, as last seen: a change is a sign of use */
    guint64 newest_control; /* the last controlling viewer's serial, as last seen */
    guint wall_alarm, monotonic_timer;
} Times;

/* Looks what is due, does it, and sets the timers anew. Called whenever record or viewers have changed. */
void times_follow(struct Supervisor *supervisor);

void times_stop(struct Supervisor *supervisor);
