/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl status: the sessions, as a table or as JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/app.h"
#include "base/account.h"
#include "base/json.h"
#include "base/units.h"
#include "core/host.h"
#include "core/store.h"
#include "ctl/commands.h"
#include "vm/accelerator.h"
#include "vm/qemu.h"

static void recall_accelerator(const Settings *settings, Accelerator *accelerator)
{
    g_auto(Host) host = {0};
    host_read(&host);
    AcceleratorQuery query = {.wish = settings->accel,
                              .guest_arch = host.arch,
                              .host_arch = host.arch,
                              .qemu = *settings->qemu_exec ? settings->qemu_exec : qemu_program(host.arch),
                              .cache_folder = settings->dir_cache};
    if (!accelerator_recall(&query, accelerator))
        accelerator->note = g_strdup("Not known yet: the first session finds out.");
}

/* The address as lspci shows it; the page of the session has its name. */
static const char *gpu_text(const SessionRecord *session)
{
    static char text[64];
    const char *devices = session->plan->gpu_devices;
    const char *start = g_str_has_prefix(devices, "0000:") ? devices + 5 : devices;
    g_snprintf(text, sizeof text, "%.*s", (int)strcspn(start, " "), start);
    return text;
}

static void print_row(const SessionRecord *session)
{
    ProcessId qemu = session_process(session, "qemu");
    double load = process_cpu_load(qemu) * 100;
    bool is_kept = session_is_kept(session, session_now());
    gint64 left = (is_kept ? session->kept_until : session->ends_at) - session_now();
    g_autofree char *time_left = units_format_duration(MAX(left, 0));
    printf("%-8d | %5.1f | %-15s | %4d | %6.1f | %-7s | %-8s | %-9s | %s %s\n", (int)qemu.pid, load, session->owner,
           (int)session->plan->cpus, (double)session->plan->memory_mib / 1024, gpu_text(session),
           is_kept ? "kept" : session_state_name(session->state), time_left, session->id, session->plan->machine);
}

static void print_table(const GPtrArray *sessions, const Accelerator *accelerator)
{
    if (sessions->len)
        printf("%-8s | %5s | %-15s | %4s | %6s | %-7s | %-8s | %-9s | %s\n", "PID", "CPU/%", "User name", "#CPU",
               "MEM/GB", "GPU", "State", "Time left", "Session and machine");
    else
        printf("No session runs.\n");
    for (guint i = 0; i < sessions->len; i++)
        print_row(sessions->pdata[i]);
    printf("%s\n", accelerator->note);
}

static void print_json(const GPtrArray *sessions, const Accelerator *accelerator)
{
    json_t *list = json_array();
    for (guint i = 0; i < sessions->len; i++)
        json_array_append_new(list, session_to_json(sessions->pdata[i]));
    g_autoptr(JsonValue) status = json_pack("{s:{s:s?, s:s?, s:s?}, s:o}", "accelerator", "name", accelerator->name,
                                            "cpu", accelerator->cpu, "note", accelerator->note, "sessions", list);
    char *text = json_dumps(status, JSON_INDENT(2));
    puts(text);
    free(text);
}

bool command_status(Arguments *arguments, GError **error)
{
    if (!account_become(arguments->settings->service_user, error))
        return false;
    g_autoptr(GPtrArray) sessions = store_list(arguments->settings, error);
    if (!sessions)
        return false;
    g_auto(Accelerator) accelerator = {0};
    recall_accelerator(arguments->settings, &accelerator);
    if (command_option(arguments, "--json"))
        print_json(sessions, &accelerator);
    else
        print_table(sessions, &accelerator);
    return true;
}
