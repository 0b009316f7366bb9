/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What is kept of a session, for those who keep it: session_json.c, session_pack.c; the tables stand beside what they
 * describe. */
#pragma once

#include "core/fields.h"
#include "core/session.h"

extern const Field session_fields[]; /* of SessionRecord, without its plan and lists */
extern const Field session_link_fields[];
extern const Field session_viewer_fields[];
extern const Field session_step_fields[];
extern const Field plan_fields[];
extern const Field script_fields[]; /* of BootScript */
extern const Field host_folder_fields[];

/* A record with empty lists, without a plan. */
SessionRecord *session_empty(void);
