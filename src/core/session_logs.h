/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The logs of one session: files in its folder as long as it runs; after that in a folder of dir_logs, for as long as
 * session_log_keep says. */
#pragma once

#include "core/settings.h"

#define SESSION_LOG_SUPERVISOR "supervisor.log"
#define SESSION_LOG_QEMU "qemu.log"     /* base/bounded_log.h */
#define SESSION_LOG_SERIAL "serial.log" /* base/bounded_log.h */

/* Where a session's logs are: of one that runs, else of one that has ended. Free with g_free. */
char *session_logs_folder(const Settings *settings, const char *id);

/* Moves the logs of a session that ends to where they are kept; does nothing when they are not. To be called before the
 * session's folder is removed. */
bool session_logs_keep(const Settings *settings, const char *id, GError **error);

/* Removes kept logs that are too old, and the oldest of those that need too much room. Returns of how many sessions. */
int session_logs_sweep(const Settings *settings);
