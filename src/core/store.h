/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Sessions on disk: a folder for each in dir_snapshots, its record in session.json. Every change is a read,
 * a change and an atomic write under the folder's lock, so that CGI, supervisor and commands may all write.
 * A broken record concerns its session alone. */
#pragma once

#include "core/session.h"
#include "core/settings.h"

/* Paths of a session: its folder on disk, and the folder of its sockets. Free with g_free. */
char *store_folder(const Settings *settings, const char *id);
char *store_run_folder(const Settings *settings, const char *id);

/* The folder of the token sockets of all sessions. Free with g_free. */
char *store_display_folder(const Settings *settings);

/* The lock for what concerns all sessions, such as reserving; held until the descriptor is closed. -1 on error. */
int store_lock(const Settings *settings, GError **error);

/* Makes the folder and the record of a new session. Nothing is left on error. */
bool store_create(const Settings *settings, const SessionRecord *session, GError **error);

/* QWD_ERROR_NOT_FOUND when there is no such session (any more), QWD_ERROR_UNAVAILABLE when its record is broken or
 * another session's. */
SessionRecord *store_load(const Settings *settings, const char *id, GError **error);

/* Changes a record in place; false with an error set refuses the change. */
typedef bool (*StoreChange)(SessionRecord *session, void *data, GError **error);

/* Reads, changes and writes a record under its lock. Returns the new record, NULL on error. */
SessionRecord *store_change(const Settings *settings, const char *id, StoreChange change, void *data, GError **error);

/* The records of all sessions, newest first (SessionRecord *). Broken ones are left out. An absent folder is an empty
 * list. */
GPtrArray *store_list(const Settings *settings, GError **error);

/* Removes a session's disk. Its room is free at once, although a kernel that keeps QEMU out of other files
 * (base/sandbox.h) holds the file for a moment longer than QEMU lives. */
void store_remove_disk(const Settings *settings, const char *id);

/* Removes a session's folder with all it holds. What cannot be removed is put aside, so that it is no session any more;
 * the error says where. */
bool store_remove(const Settings *settings, const char *id, GError **error);

/* Gives a session's folder a name at which nobody looks but administrators. Returns its path now (g_free), or NULL. */
char *store_put_aside(const Settings *settings, const char *id);

/* Whether a file's name in dir_snapshots is that of a folder that was put aside. */
bool store_is_aside(const char *name);

/* Keeps the record of an ended session as a line of dir_snapshots/history. */
bool store_remember(const Settings *settings, const SessionRecord *session, GError **error);

/* The record of an ended session, as long as it is remembered; QWD_ERROR_NOT_FOUND otherwise. */
SessionRecord *store_recall(const Settings *settings, const char *id, GError **error);

/* The one that was created by this form (form_submission() in web/form.h), NULL when none is remembered. */
SessionRecord *store_recall_created(const Settings *settings, const char *submission);

/* The last ended sessions of a user, or of all (NULL), newest first, at most `count` (SessionRecord *); as many as are
 * remembered. */
GPtrArray *store_recall_last(const Settings *settings, const char *owner, guint count);

/* The session that a link leads to, running or remembered, by the hash of its token; the hash stands in the records
 * only, so they are all looked at. NULL when there is none: the link never was, or has been revoked. */
SessionRecord *store_find_linked(const Settings *settings, const char *hash);

/* store_load, else store_recall. */
SessionRecord *store_find(const Settings *settings, const char *id, GError **error);

/* The id of the session that is there and begins with `word` (core/id_prefix.h); a whole id is taken as it is. g_free.
 */
char *store_find_id(const Settings *settings, const char *word, GError **error);

/* The token of a link: looked for among the names of the sockets, since the record has its hash only. NULL when it is
 * not open (yet, or any more). Free with g_free. */
char *store_find_token(const Settings *settings, const SessionLink *link);

/* The same for the owner's own way to the display (ROLE_CONTROL), or the first link to watch it. */
char *store_find_role_token(const Settings *settings, const SessionRecord *session, SessionRole role);
