/* SPDX-License-Identifier: AGPL-3.0-or-later
 * How far a session is with being saved as a machine, as its record says. */
#pragma once

#include "core/session.h"

/* save_state of a record; "" nobody has asked. */
#define SAVE_ASKED "asked"
#define SAVE_RUNNING "running"
#define SAVE_DONE "done"
#define SAVE_FAILED "failed"

/* The process that copies the disk of an ended session, among those of its record. */
#define SAVE_PROCESS "save"

/* Whether the session is being saved. */
bool save_is_busy(const SessionRecord *session);

/* At a session's end: what was being saved is not. */
void save_note_end(SessionRecord *session);
