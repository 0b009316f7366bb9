/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Sweeping up: what a supervisor that was killed, a reboot or a full disk has left. Called by cron or a timer, and by
 * hand; may run beside everything else, and twice. */
#pragma once

#include "core/session.h"
#include "core/settings.h"

/* Ends sessions whose supervisor is gone, with their processes, sockets, folders and half saved images, and the saving
 * of kept disks whose process is gone; removes kept disks and logs whose time is over, and sockets and folders of no
 * session; puts records that cannot be read aside. `report` collects a line (char *) for each thing done. False only
 * when the folders cannot be read. */
bool app_clean(const Settings *settings, GPtrArray *report, GError **error);

/* Whether the disk of an ended session was being saved, and the process that copied has died. */
bool clean_save_is_broken_off(const SessionRecord *session);

/* Says so of all such sessions, and removes the parts. Not to be called under the lock of the store. */
void clean_end_broken_saves(const Settings *settings, GPtrArray *report);
