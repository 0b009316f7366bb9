/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Users save their sessions as machines of their own (session_save). Nobody waits for it: the record tells how it goes.
 * The supervisor copies the disk of a running session; for that of an ended one, which is kept, a qwd-session is
 * started. */
#pragma once

#include "app/save.h"

typedef struct {
    const char *session_id;
    const char *name;  /* as its owner calls it, see saved_name */
    const char *title; /* for the page; "" one is made */
} SaveOwnRequest;

/* Has a session saved for its owner. Returns its record. QWD_ERROR_DENIED when the service does not have it,
 * QWD_ERROR_LIMIT for too many machines or too little room, else as app_save. */
SessionRecord *app_save_own(const Settings *settings, const Identity *who, const SaveOwnRequest *request,
                            GError **error);

/* Whether the page offers it, or tells how it goes. */
bool app_may_save_own(const Settings *settings, const Identity *who, const SessionRecord *session);

/* save_publish; for an owner's machine with its entry. */
bool save_own_publish(const Settings *settings, const SessionRecord *session, GError **error);

/* For qwd-session: whether the kept disk of this session waits for being saved; saves it. What goes wrong is in the
 * record as well. */
bool save_own_is_asked(const Settings *settings, const char *id);
bool save_own_perform(const Settings *settings, const char *id, GError **error);
