/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/backup.h"

#include <errno.h>
#include <fcntl.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/process.h"

#define CREATE_DEADLINE_MS 120000 /* a busy host is no fault: only a hang counts */
#define COMMAND_DEADLINE_MS 120000
#define COPY_DEADLINE_MS (6 * 3600 * 1000)
#define TARGET_NODE "save0"
#define TARGET_SET 2 /* the first is for the serial console's log (vm/qemu.c) */
#define TARGET_FILE "/dev/fdset/" G_STRINGIFY(TARGET_SET)

static bool create_target(const BackupTarget *target, GError **error)
{
    g_autofree char *size = g_strdup_printf("%" G_GINT64_FORMAT, target->size_bytes);
    g_auto(ProcessResult) result = {0};
    const char *alone[] = {"qemu-img", "create", "-q", "-f", "qcow2", target->path, size, NULL};
    const char *based[] = {
        "qemu-img",   "create", "-q", "-f", "qcow2", "-b", target->master, "-F", target->master_format,
        target->path, size,     NULL};
    return process_run_checked(target->master ? based : alone, CREATE_DEADLINE_MS, &result, error);
}

static bool execute(Qmp *qmp, const char *command, json_t *arguments, GError **error)
{
    g_autoptr(JsonValue) answer = qmp_execute(qmp, command, arguments, COMMAND_DEADLINE_MS, error);
    return answer != NULL;
}

/* QEMU gets the file open: it is kept out of the folder of machines (helpers/confine.c). */
static bool hand_over_target(Qmp *qmp, const BackupTarget *target, GError **error)
{
    autofd int fd = open(target->path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return qwd_error_errno(error, errno, "%s", target->path);
    return qmp_add_fd(qmp, fd, TARGET_SET, COMMAND_DEADLINE_MS, error);
}

static void take_back_target(Qmp *qmp)
{
    execute(qmp, "remove-fd", json_pack("{s:i}", "fdset-id", TARGET_SET), NULL);
}

/* What the target is based on is written in it, and need not be opened to write to it. */
static bool open_target(Qmp *qmp, GError **error)
{
    json_t *node = json_pack("{s:s, s:s, s:n, s:{s:s, s:s}}", "driver", "qcow2", "node-name", TARGET_NODE, "backing",
                             "file", "driver", "file", "filename", TARGET_FILE);
    if (execute(qmp, "blockdev-add", node, error))
        return true;
    take_back_target(qmp);
    return false;
}

bool backup_start(Qmp *qmp, const BackupTarget *target, GError **error)
{
    if (!create_target(target, error) || !hand_over_target(qmp, target, error) || !open_target(qmp, error))
        return false;
    json_t *job = json_pack("{s:s, s:s, s:s, s:s}", "job-id", BACKUP_JOB, "device", "disk0", "target", TARGET_NODE,
                            "sync", target->master ? "top" : "full");
    if (execute(qmp, "blockdev-backup", job, error))
        return true;
    backup_close(qmp, NULL);
    return false;
}

int backup_percent(Qmp *qmp)
{
    g_autoptr(JsonValue) jobs = qmp_execute(qmp, "query-block-jobs", NULL, COMMAND_DEADLINE_MS, NULL);
    const json_t *job = json_array_get(jobs, 0);
    gint64 length = json_get_integer(job, "len", 0);
    return length > 0 ? (int)(100 * json_get_integer(job, "offset", 0) / length) : 0;
}

bool backup_close(Qmp *qmp, GError **error)
{
    bool good = execute(qmp, "blockdev-del", json_pack("{s:s}", "node-name", TARGET_NODE), error);
    take_back_target(qmp);
    return good;
}

bool backup_offline(const char *disk, const BackupTarget *target, GError **error)
{
    g_auto(ProcessResult) result = {0};
    const char *alone[] = {"qemu-img", "convert", "-q", "-f", "qcow2", "-O", "qcow2", disk, target->path, NULL};
    const char *based[] = {
        "qemu-img", "convert",    "-q", "-f", "qcow2", "-O", "qcow2", "-B", target->master, "-F", target->master_format,
        disk,       target->path, NULL};
    return process_run_checked(target->master ? based : alone, COPY_DEADLINE_MS, &result, error);
}
