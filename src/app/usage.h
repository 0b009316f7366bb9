/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Which files are needed: by sessions, and by machines, with all that their images are based on. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "core/settings.h"

typedef struct {
    char *path;    /* the real path of a file */
    char *machine; /* the machine that needs it; NULL: a session does */
    char *whom;    /* who needs it, in words */
    char *remedy;  /* what to do about that, in words */
} Need;

/* What sessions need, running ones and those whose disk is kept; what enabled and disabled machines need (Need *).
 * Free with g_ptr_array_unref. NULL on error. */
GPtrArray *usage_of_sessions(const Settings *settings, GError **error);
GPtrArray *usage_of_machines(const Settings *settings, GError **error);

/* The first need of a file by anybody but the machine `except` (NULL: by anybody); NULL when there is none. Borrowed.
 */
const Need *usage_find(const GPtrArray *needs, const char *path, const char *except);

/* QWD_ERROR_CONFLICT, with what to do, when a session needs a file; when a machine other than `except` does. */
bool usage_refuse_sessions(const Settings *settings, const char *path, GError **error);
bool usage_refuse_machines(const Settings *settings, const char *path, const char *except, GError **error);
