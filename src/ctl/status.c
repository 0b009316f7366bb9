/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl status: sessions, accelerator and machines, as tables or as JSON; names: those of machines and sessions. */
#include <stdio.h>
#include <string.h>

#include "app/app.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "base/units.h"
#include "core/inventory.h"
#include "core/machine.h"
#include "core/store.h"
#include "ctl/commands.h"
#include "ctl/output.h"
#include "vm/accelerator.h"

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
    g_autofree char *owner = text_for_line(session->owner), *machine = text_for_line(session->plan->machine);
    printf("%-8d | %5.1f | %-15s | %4d | %6.1f | %-7s | %-8s | %-9s | %s %s\n", (int)qemu.pid, load, owner,
           (int)session->plan->cpus, (double)session->plan->memory_mib / 1024, gpu_text(session),
           is_kept ? "kept" : session_state_name(session->state), time_left, session->id, machine);
}

static void print_sessions(const GPtrArray *sessions)
{
    g_autofree char *heading =
        g_strdup_printf("%-8s | %5s | %-15s | %4s | %6s | %-7s | %-8s | %-9s | %s", "PID", "CPU/%", "User name", "#CPU",
                        "MEM/GB", "GPU", "State", "Time left", "Session and machine");
    if (sessions->len)
        output_heading(heading);
    else
        output_note("No session runs.");
    for (guint i = 0; i < sessions->len; i++)
        print_row(sessions->pdata[i]);
}

static Colour colour_of(const InventoryItem *item)
{
    if (item->entry == ENTRY_ENABLED)
        return item->has_file ? COLOUR_GOOD : COLOUR_BAD;
    return item->entry == ENTRY_NONE ? COLOUR_WARNING : COLOUR_NONE;
}

static void print_machines(const GPtrArray *inventory)
{
    g_autoptr(Table) table = table_new("Machine is", "Size", "Name", "Description", NULL);
    for (guint i = 0; i < inventory->len; i++) {
        const InventoryItem *item = inventory->pdata[i];
        g_autofree char *size = item->has_file ? output_size(item->size_bytes) : g_strdup("-");
        table_add(table, colour_of(item), inventory_state_name(item), size, item->name, item->description);
    }
    if (!inventory->len)
        output_note("There is no machine yet. Next: qwdctl enable FILE or URL");
    table_print(table);
}

static void print_all(const GPtrArray *sessions, const GPtrArray *inventory, const Accelerator *accelerator)
{
    print_sessions(sessions);
    fflush(stdout);
    output_note("%s", accelerator->note);
    if (inventory)
        print_machines(inventory);
}

static void print_json(const GPtrArray *sessions, const GPtrArray *inventory, const Accelerator *accelerator)
{
    json_t *list = json_array();
    for (guint i = 0; i < sessions->len; i++)
        json_array_append_new(list, session_to_json(sessions->pdata[i]));
    output_json(json_pack("{s:{s:s?, s:s?, s:s?}, s:o, s:o}", "accelerator", "name", accelerator->name, "cpu",
                          accelerator->cpu, "note", accelerator->note, "sessions", list, "machines",
                          inventory ? inventory_to_json(inventory) : json_null()));
}

bool command_status(Arguments *arguments, GError **error)
{
    const Settings *settings = arguments->settings;
    g_autoptr(GPtrArray) sessions = store_list(settings, error);
    if (!sessions)
        return false;
    app_note_states(settings, sessions);
    /* A mistake in the list of machines must not hide the sessions. */
    g_autoptr(GPtrArray) inventory = inventory_load(settings, error);
    g_auto(Accelerator) accelerator = {0};
    accelerator_recall_own(settings, &accelerator);
    if (command_option(arguments, "--json"))
        print_json(sessions, inventory, &accelerator);
    else
        print_all(sessions, inventory, &accelerator);
    return inventory != NULL;
}

/* --- names --- */

static void print_sessions_names(const GPtrArray *sessions)
{
    for (guint i = 0; i < sessions->len; i++)
        printf("%s\n", ((const SessionRecord *)sessions->pdata[i])->id);
}

/* A file may have any name; a machine may not. */
static void print_machines_names(const GPtrArray *inventory)
{
    for (guint i = 0; i < inventory->len; i++) {
        const InventoryItem *item = inventory->pdata[i];
        if (machine_name_is_valid(item->name))
            printf("%s\n", item->name);
    }
}

bool command_names(Arguments *arguments, GError **error)
{
    const Settings *settings = arguments->settings;
    g_auto(GStrv) words = command_words(arguments);
    bool of_sessions = g_str_equal(words[0], "sessions");
    if (!of_sessions && !g_str_equal(words[0], "machines"))
        return qwd_error_fail(error, QWD_ERROR_USAGE, "Usage: qwdctl names machines|sessions");
    g_autoptr(GPtrArray) list = of_sessions ? store_list(settings, error) : inventory_load(settings, error);
    if (list && of_sessions)
        print_sessions_names(list);
    else if (list)
        print_machines_names(list);
    return list != NULL;
}
