/* SPDX-License-Identifier: AGPL-3.0-or-later
 * A session's disk as a new machine: an image in dir_machines, on the image that the session's machine has, or
 * standing alone. It has a hidden name with .part until it is whole. */
#pragma once

#include "app/app.h"
#include "core/saving.h"

typedef struct {
    const char *session_id;
    const char *name; /* of the new machine, and its image */
    bool standalone;
    const char *owner, *title;                   /* as save_owner and save_title of the record; NULL: "" */
    void (*on_percent)(int percent, void *data); /* told whenever that changes; NULL: nobody */
    void *data;
} SaveRequest;

/* Has the disk of a running session copied, by its supervisor, or copies that of an ended one that was kept; waits for
 * the end. Returns the session's record, whose save_reason may say what to know of the new machine. QWD_ERROR_USAGE for
 * a bad name, QWD_ERROR_CONFLICT when it exists, QWD_ERROR_LIMIT when there is no room, QWD_ERROR_UNAVAILABLE with what
 * went wrong. */
SessionRecord *app_save(const Settings *settings, const Identity *who, const SaveRequest *request, GError **error);

/* Whether a new machine may have this name: QWD_ERROR_USAGE, QWD_ERROR_CONFLICT for one that is taken. */
bool save_check_name(const Settings *settings, const char *name, GError **error);

/* The section of the new machine, `name`, `owner` and `title` of the request, for a file of config.d or saved.d: what
 * it is like, whom it is for and what may be chosen for it are as of the session's machine; an owner's one is for that
 * user alone. Free with g_free. NULL with QWD_ERROR_CONFLICT when that machine is not on offer any more,
 * QWD_ERROR_CONFIG for what would not be accepted when it is read. */
char *save_entry(const Settings *settings, const SessionRecord *session, const SaveRequest *request, GError **error);

/* Whether a text is such a section: of the machine `name` and of no other one. It is made of texts of the session's
 * record, which the service account writes. QWD_ERROR_CONFIG. */
bool save_check_entry(const Settings *settings, const char *name, const char *text, GError **error);

/* For the supervisor: where the image is written, its beginning, and its two ends. No other account of the host can
 * read the part. A copy of the disk of the session `id` needs room, also for the image below when it gets into the copy
 * (`master_bytes` on the disk; QWD_ERROR_LIMIT). Publishing checks that the image refers to nothing outside
 * dir_machines, and never replaces another one; an administrator's machine is for all accounts (mode 0644), a user's
 * for none (0600). */
char *save_part_path(const Settings *settings, const char *name);
bool save_part_create(const char *path, GError **error);
bool save_check_room(const Settings *settings, const char *id, gint64 master_bytes, GError **error);
bool save_publish(const Settings *settings, const char *name, mode_t mode, GError **error);
void save_discard(const Settings *settings, const char *name);

/* Parts of app_save, for app/save_own.c: what is checked first; what the record says when it is asked for (StoreChange,
 * `data` is the SaveRequest); the copy of an ended session's disk into the part; what the record says at the end, good
 * when there is no `cause`. */
bool save_check(const Settings *settings, const SessionRecord *session, const SaveRequest *request, GError **error);
bool save_note_asked(SessionRecord *session, void *data, GError **error);
bool save_copy(const Settings *settings, const SessionRecord *session, const SaveRequest *request, GError **error);
void save_note_outcome(const Settings *settings, const char *id, const GError *cause);
