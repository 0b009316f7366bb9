/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What is counted over the life of the service, by processes that live for one request or one session: a small file in
 * dir_snapshots, changed under a lock of its own. A file that cannot be read is put aside, and counting begins anew. */
#pragma once

#include <jansson.h>

#include "core/settings.h"

typedef struct {
    const char *name;
    gint64 by;
} Count;

/* Adds to several counters in one step. Names are ours: there are few. */
bool counters_add(const Settings *settings, const Count *counts, size_t length, GError **error);

/* All counters: an object of integers. New reference. */
json_t *counters_read(const Settings *settings);
