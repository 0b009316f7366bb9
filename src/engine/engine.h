/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Where sessions run. An engine starts the supervisor of a session and does not wait for it: from then on the
 * session's record tells how it goes. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct {
    const char *supervisor; /* the program qwd-session */
    const char *log_path;   /* for what it writes to standard error */
    const char *id;         /* of the session */
    const char *overrides;  /* settings that it was created with: the value of $QWD_OVERRIDES */
    const char *secret;     /* for the supervisor's standard input, at most SECRET_MAX_BYTES; NULL: none */
} EngineJob;

typedef struct {
    const char *name;
    bool (*start)(const EngineJob *job, GError **error);
} Engine;

/* The engine of that name, NULL when there is none. */
const Engine *engine_find(const char *name);
