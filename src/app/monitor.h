/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What an administrator sees of the whole service. */
#pragma once

#include "core/policy.h"
#include "core/samples.h"

/* A line of the log that tells of an error. */
typedef struct {
    char *when, *text; /* as they stand there */
    char *subject;     /* "USER, MACHINE" of the session; "" none */
} TroubleLine;

typedef struct {
    GPtrArray *sessions; /* SessionRecord *, those that live, newest first */
    GArray *samples;     /* of the last day, oldest first */
    Sample now;
    HostSize size;
    GPtrArray *errors; /* TroubleLine *, newest first */
    char *trouble;     /* why no history is kept; NULL: it is */
} MonitorFacts;

/* Gathers them, and adds to the history (core/samples.h). QWD_ERROR_LOGIN, QWD_ERROR_DENIED for those who may not. */
bool app_monitor(const Settings *settings, const Identity *who, MonitorFacts *facts, GError **error);

/* Adds to the history alone, for those who come by every five minutes. */
bool app_monitor_sample(const Settings *settings, const GPtrArray *sessions, GError **error);

/* The last errors that a log tells of, at most `count`, newest first (TroubleLine *). */
GPtrArray *trouble_lines(const char *log, guint count);

void monitor_facts_clear(MonitorFacts *facts);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MonitorFacts, monitor_facts_clear)
