/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "app/journal.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

#define ERRORS_MAX_BYTES (64 * 1024)
#define SYSLOG_NAME "qemu-web-desktop"

static char *timestamp(void)
{
    char text[64];
    time_t now = time(NULL);
    struct tm parts;
    strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", localtime_r(&now, &parts));
    return g_strdup(text);
}

/* log rotation (logrotate) renames the file before it makes the new one: in a folder that is not ours, what is
 * written in between belongs to the file that has just got the other name. */
static bool append(const char *path, const char *line)
{
    g_autofree char *rotated = journal_rotated_path(path);
    return file_append(path, line, 0640, NULL) ||
           (access(rotated, W_OK) == 0 && file_append(rotated, line, 0640, NULL));
}

static void write_to_file(const Settings *settings, const char *text)
{
    g_autofree char *when = timestamp();
    g_autofree char *line = g_strdup_printf("[%s] %s\n", when, text);
    if (!append(settings->file_log, line))
        fputs(line, stderr);
}

/* syslog(3) does not tell when nobody listens. */
static void write_to_syslog(int level, const char *text)
{
    if (access("/dev/log", W_OK) < 0) {
        fprintf(stderr, "%s\n", text);
        return;
    }
    openlog(SYSLOG_NAME, LOG_PID, LOG_DAEMON);
    syslog(level, "%s", text);
    closelog();
}

static char *errors_path(const Settings *settings)
{
    return g_build_filename(settings->dir_snapshots, ".qemu-web-desktop.errors", NULL);
}

/* Two writers at once may both find it long: the second rename does nothing worse than the first. */
static void keep_error(const Settings *settings, const char *text)
{
    struct stat st;
    g_autofree char *path = errors_path(settings), *older = journal_rotated_path(path);
    if (lstat(path, &st) == 0 && st.st_size >= ERRORS_MAX_BYTES)
        rename(path, older);
    g_autofree char *when = timestamp();
    g_autofree char *line = g_strdup_printf("[%s] %s\n", when, text);
    file_append(path, line, 0600, NULL);
}

/* One event is one line, whatever the text holds. */
static void write_line(const Settings *settings, int level, const char *text)
{
    g_autofree char *line = g_strdup(text);
    text_flatten(line);
    bool to_syslog = g_str_equal(settings->log_to, "syslog");
    if (to_syslog && level == LOG_ERR)
        keep_error(settings, line);
    if (to_syslog)
        write_to_syslog(level, line);
    else
        write_to_file(settings, line);
}

char *journal_errors(const Settings *settings)
{
    if (!g_str_equal(settings->log_to, "syslog"))
        return file_read_end(settings->file_log, ERRORS_MAX_BYTES, NULL);
    g_autofree char *path = errors_path(settings), *older = journal_rotated_path(path);
    g_autofree char *before = file_read_end(older, ERRORS_MAX_BYTES, NULL);
    g_autofree char *last = file_read_end(path, ERRORS_MAX_BYTES, NULL);
    return g_strconcat(before ? before : "", last ? last : "", NULL);
}

char *journal_rotated_path(const char *path)
{
    return g_strconcat(path, ".1", NULL);
}

void journal_session(const Settings *settings, const char *event, const SessionRecord *session, const char *text)
{
    const Plan *plan = session->plan;
    int gpu_chars = plan->gpu_devices ? (int)strcspn(plan->gpu_devices, " ") : 0; /* the first address is its own */
    g_autofree char *line =
        g_strdup_printf("%-5s CPU=%d MEM=%" G_GINT64_FORMAT " GPU=%.*s USER=%s VM=%s NAME=%s%s%s", event,
                        (int)plan->cpus, plan->memory_mib, gpu_chars, plan->gpu_devices, session->owner, plan->machine,
                        session->id, text ? " " : "", text ? text : "");
    write_line(settings, g_str_equal(event, "ERROR") ? LOG_ERR : LOG_INFO, line);
}

void journal_audit(const Settings *settings, const AuditLine *line)
{
    g_autofree char *text = g_strdup_printf("%s USER=%s FROM=%s WHAT=%s%s%s", line->event, line->user, line->address,
                                            line->what, *line->why ? " " : "", line->why);
    write_line(settings, g_str_equal(line->event, "REFUSED") ? LOG_NOTICE : LOG_INFO, text);
}
