/* SPDX-License-Identifier: AGPL-3.0-or-later
 * A child with all that it has started, also what has left its process group or whose parent has ended. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/* The children of this process, as pid_t. Free with g_array_unref. */
GArray *process_tree_children(void);

/* From now on (or no longer) whatever loses its parent below this process becomes its child (prctl(2),
 * PR_SET_CHILD_SUBREAPER), so that process_tree_end finds it. */
void process_tree_adopt(bool adopt);

/* Kills everything that descends from this process, but for `spared` (pid_t) and what descends from those, and waits
 * for its end for deadline_ms at most. `child` is one whose exit status somebody else waits for. What this account may
 * not kill stays. */
void process_tree_end(pid_t child, const GArray *spared, int deadline_ms);
