/* SPDX-License-Identifier: AGPL-3.0-or-later
 * A session's disk as a new machine: an image in dir_machines, on the image that the session's machine has, or
 * standing alone. It has a hidden name with .part until it is whole. */
#pragma once

#include "app/app.h"

/* save_state of a record; "" nobody has asked. */
#define SAVE_ASKED "asked"
#define SAVE_RUNNING "running"
#define SAVE_DONE "done"
#define SAVE_FAILED "failed"

typedef struct {
    const char *session_id;
    const char *name; /* of the new machine, and its image */
    bool standalone;
    void (*on_percent)(int percent); /* told whenever that changes */
} SaveRequest;

/* Has the disk of a running session copied, by its supervisor, or copies that of an ended one that was kept; waits for
 * the end. Returns the session's record. QWD_ERROR_USAGE for a bad name, QWD_ERROR_CONFLICT when it exists,
 * QWD_ERROR_LIMIT when there is no room, QWD_ERROR_UNAVAILABLE with what went wrong. */
SessionRecord *app_save(const Settings *settings, const Identity *who, const SaveRequest *request, GError **error);

/* The section of the new machine, for a file of config.d: what it is like, as the session's machine is. Free with
 * g_free. */
char *save_entry(const Settings *settings, const SessionRecord *session, const char *name, const char *description);

/* For the supervisor: where the image is written, and its two ends. Publishing checks that the image refers to nothing
 * outside dir_machines, and never replaces another one. */
char *save_part_path(const Settings *settings, const char *name);
bool save_publish(const Settings *settings, const char *name, GError **error);
void save_discard(const Settings *settings, const char *name);
