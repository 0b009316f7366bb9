/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Attempts to log in that are being checked, or wait until they may be: each is a file that its process keeps locked,
 * so that one that was killed is found. Its name has a mark (hexadecimal digits) of each thing that it counts for. The
 * caller holds a lock of its own around all calls but running_watch (auth/backoff.c). */
#pragma once

#include <jansson.h>

#include "base/event.h"
#include "core/settings.h"

#define RUNNING_MARKS 2

typedef struct {
    char *path;
    int fd;
} RunningAttempt;

typedef struct {
    int running[RUNNING_MARKS]; /* with the same mark */
    int waiting;                /* with the same first mark */
} RunningCounts;

/* Makes one that waits. A mark may be NULL. `what` comes back from running_take_abandoned. */
bool running_register(const Settings *settings, char *const marks[RUNNING_MARKS], const json_t *what,
                      RunningAttempt *attempt, GError **error);

/* It is checked from now on. */
bool running_start(RunningAttempt *attempt, GError **error);

/* It has ended. Nothing happens to one that never began (without a path). */
void running_finish(RunningAttempt *attempt);

/* Leaves it to running_take_abandoned. */
void running_abandon(RunningAttempt *attempt);

RunningCounts running_count(const Settings *settings, char *const marks[RUNNING_MARKS]);

/* Removes those whose process is gone. Returns the `what` of those that were being checked: new reference. */
json_t *running_take_abandoned(const Settings *settings);

/* Calls back whenever one has begun or ended. Returns the id for g_source_remove, 0 on error. */
guint running_watch(const Settings *settings, EventCallback callback, void *data, GError **error);
