/* SPDX-License-Identifier: AGPL-3.0-or-later
 * A machine's disk as an image of its own. QEMU copies the disk of a running machine as it is at one moment, while the
 * guest goes on (blockdev-backup, QEMU docs/interop/live-block-operations). */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "vm/qmp.h"

#define BACKUP_JOB "save" /* the job's name in QEMU's events */

/* What is copied to `path`: all of the disk, or what differs from the image it is based on (`master`, NULL: nothing).
 */
typedef struct {
    const char *path;
    const char *master, *master_format;
    gint64 size_bytes; /* of the disk, as the guest sees it */
} BackupTarget;

/* Makes the target and begins; the event BLOCK_JOB_COMPLETED with the device BACKUP_JOB tells the end. */
bool backup_start(Qmp *qmp, const BackupTarget *target, GError **error);

/* How much is copied, 0 to 100. */
int backup_percent(Qmp *qmp);

/* Has QEMU close the target, after the end. */
bool backup_close(Qmp *qmp, GError **error);

/* The same for the disk of a machine that does not run. Serves the main context meanwhile. */
bool backup_offline(const char *disk, const BackupTarget *target, GError **error);
