/* SPDX-License-Identifier: AGPL-3.0-or-later
 * A program that may be installed setuid root forgets what its caller left it. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Call it first in main(): clears the environment, closes descriptors above 2, sets signals, their mask, timers, umask
 * and working folder to what a new process has, gives up supplementary groups of root, and refuses to go on as a setuid
 * program that every account may start (the mode must be 4750, so that the kernel keeps everybody else away). The real
 * user id stays the caller's, who may thus end the program at a deadline. */
bool privileged_begin(GError **error);
