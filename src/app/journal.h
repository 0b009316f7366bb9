/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The service's log: a line for each start, stop and error, in the format that the original service has. */
#pragma once

#include "core/session.h"
#include "core/settings.h"

/* "[Sat Nov 21 19:13:34 2026] START CPU=1 MEM=1024 GPU=0000:01:00.0 USER=alice VM=tiny.iso NAME=ID", in syslog without
 * the time. Where neither file_log nor syslog (log_to) can be written, the line goes to standard error. `event` is
 * "START", "STOP" or "ERROR"; `text` may be NULL. */
void journal_session(const Settings *settings, const char *event, const SessionRecord *session, const char *text);

/* Who did what, from where, and why: a line for each login, refusal and change. Texts may be ""; none holds a secret.
 */
typedef struct {
    const char *event; /* "LOGIN", "REFUSED", "SHARE", ... */
    const char *user, *address, *what, *why;
} AuditLine;

void journal_audit(const Settings *settings, const AuditLine *line);

/* The end of the log, with the last errors in it; with log_to = syslog, which is not asked, the errors alone: a small
 * file in dir_snapshots has them as well. NULL when there is none. Free with g_free. */
char *journal_errors(const Settings *settings);

/* Where the lines are that were in the log before it was rotated last. Free with g_free. */
char *journal_rotated_path(const char *path);
