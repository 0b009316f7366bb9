/* SPDX-License-Identifier: AGPL-3.0-or-later
 * A process between ours and a program that we run, which ends the program together with all that it has started: also
 * processes in a session of their own, which no signal to a process group reaches. It is the subreaper of the program
 * (prctl(2), PR_SET_CHILD_SUBREAPER), so that none of these becomes a child of init.
 *
 * Both ends of a socket pair are the control. When the program exits and others still run, the subreaper writes the
 * program's wait status (an int). Then, or at any time before, the other end decides: a byte lets the others run on;
 * the end of the connection, also by our death, kills them all. Without others the subreaper exits as the program did.
 */
#pragma once

#include <stdbool.h>

/* Called between fork and exec (async-signal-safe). Returns in the child, which goes on to become the program; its
 * parent is the subreaper, which never returns. `control_fd` must be close-on-exec. */
void subreaper_split(int control_fd);
