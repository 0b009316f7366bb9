/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "app/journal.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/file.h"

static char *timestamp(void)
{
    char text[64];
    time_t now = time(NULL);
    struct tm parts;
    strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", localtime_r(&now, &parts));
    return g_strdup(text);
}

/* One event is one line, whatever the text holds. */
static char *one_line(const char *text)
{
    char *line = g_strdup(text);
    for (char *c = line; *c; c++) {
        if (g_ascii_iscntrl(*c))
            *c = ' ';
    }
    return line;
}

static void write_line(const Settings *settings, const char *text)
{
    g_autofree char *when = timestamp();
    g_autofree char *body = one_line(text);
    g_autofree char *line = g_strdup_printf("[%s] %s\n", when, body);
    if (!file_append(settings->file_log, line, 0640, NULL))
        fputs(line, stderr);
}

void journal_session(const Settings *settings, const char *event, const SessionRecord *session, const char *text)
{
    const Plan *plan = session->plan;
    int gpu_chars = plan->gpu_devices ? (int)strcspn(plan->gpu_devices, " ") : 0; /* the first address is its own */
    g_autofree char *line =
        g_strdup_printf("%-5s CPU=%d MEM=%" G_GINT64_FORMAT " GPU=%.*s USER=%s VM=%s NAME=%s%s%s", event,
                        (int)plan->cpus, plan->memory_mib, gpu_chars, plan->gpu_devices, session->owner, plan->machine,
                        session->id, text ? " " : "", text ? text : "");
    write_line(settings, line);
}

void journal_audit(const Settings *settings, const AuditLine *line)
{
    g_autofree char *text = g_strdup_printf("%s USER=%s FROM=%s WHAT=%s%s%s", line->event, line->user, line->address,
                                            line->what, *line->why ? " " : "", line->why);
    write_line(settings, text);
}
