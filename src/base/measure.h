/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What a folder with all it holds takes on its disk. It is somebody else's, who may have filled it with anything: no
 * link is followed, no other disk looked at, and the walk ends after a number of entries and a time. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct {
    gint64 max_bytes; /* more need not be known: the walk ends */
    guint max_entries;
    int deadline_ms;
} MeasureLimits;

/* Measures the open folder `fd`, which stays open. Returns the bytes that were found; *is_whole (may be NULL) tells
 * whether that is all. */
gint64 folder_measure(int fd, const MeasureLimits *limits, bool *is_whole);
