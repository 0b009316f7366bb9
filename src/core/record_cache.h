/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Records that need not be parsed again: a file in dir_cfg has them packed, each with the stamp that its own file had.
 * The files of the records decide: one with another stamp is read. Without the cache everything works, more slowly. */
#pragma once

#include <sys/stat.h>

#include "core/session.h"
#include "core/settings.h"

typedef struct RecordCache RecordCache;

/* What others have left, or an empty one. */
RecordCache *record_cache_open(const Settings *settings);

/* The record of that session if its file (`st`) is the one that was packed. NULL otherwise. */
SessionRecord *record_cache_get(RecordCache *cache, const char *id, const struct stat *st);

/* Notes a record that was read from its file after `st` was taken. One that has only just been written is not noted: it
 * might be written again within the same tick of the file system's clock. */
void record_cache_put(RecordCache *cache, const SessionRecord *session, const struct stat *st);

/* Leaves to others those that were got or put, if they are not what is there already. Frees the cache. */
void record_cache_close(RecordCache *cache);
