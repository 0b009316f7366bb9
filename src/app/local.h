/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Running without the service: an ordinary user, or a command on the server itself. */
#pragma once

#include "core/arguments.h"
#include "core/policy.h"

/* arguments_read for commands: where the service's folders cannot be written by this account (and it is not root, who
 * becomes the service account), the user's own folders take their place, unless they are named on the command line
 * or in the settings file. */
bool local_arguments_read(Arguments *arguments, int argc, char **argv, GError **error);

/* Who runs a command acts with all rights on the sessions in these folders: the files belong to them. The name is
 * the one the command was started under, also where the service account works for root. */
Identity local_identity(void);

/* Starts a machine, one-shot: the name of an image in dir_machines, or a path. Its display is reached on this host
 * without a web server: websockify serves noVNC as well, at a free port, or at the first one that is free from
 * --service_port on. Root has the service account call it (base/account.h). Returns the session's id (g_free). */
char *local_start(Arguments *arguments, const char *machine, GError **error);

/* Waits until the display of a session is ready. Returns its address (g_free); *note is something its user should know,
 * "" nothing (g_free). A session that failed is an error with its reason. */
char *local_wait_address(const Settings *settings, const char *id, char **note, GError **error);
