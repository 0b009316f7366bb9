/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/plan.h"

#include "base/cidr.h"
#include "base/error.h"
#include "base/units.h"
#include "core/session_fields.h"

#define MEMORY_MIN_MIB 32

const Field plan_fields[] = {
    FIELD(Plan, machine, TEXT),
    FIELD(Plan, title, TEXT),
    FIELD(Plan, image, TEXT),
    FIELD(Plan, arch, TEXT),
    FIELD(Plan, firmware, TEXT),
    FIELD(Plan, disk, TEXT),
    FIELD(Plan, display, TEXT),
    FIELD(Plan, accel, TEXT),
    FIELD(Plan, os, TEXT),
    FIELD(Plan, script_method, TEXT),
    FIELD(Plan, network, TEXT),
    FIELD(Plan, network_denied, TEXT),
    FIELD(Plan, network_rules, TEXT),
    FIELD(Plan, cpus, INTEGER),
    FIELD(Plan, memory_mib, INTEGER),
    FIELD(Plan, disk_mib, INTEGER),
    FIELD(Plan, lifetime_s, INTEGER),
    FIELD(Plan, lifetime_max_s, INTEGER),
    FIELD(Plan, sessions_max, INTEGER),
    FIELD(Plan, by_admin, BOOL),
    FIELD(Plan, oneshot, BOOL),
    FIELD(Plan, use_master, BOOL),
    FIELD(Plan, clipboard, BOOL),
    FIELD(Plan, gpu, BOOL),
    FIELD(Plan, gpu_name, TEXT),
    FIELD(Plan, gpu_devices, TEXT),
    FIELD(Plan, gpu_group, TEXT),
    {0},
};

static const char *first_of(const char *a, const char *b)
{
    return a && *a ? a : b;
}

static bool check_cpus(gint64 cpus, const Host *host, gint64 choice_most, GError **error)
{
    int most = (int)MIN(host->cpus, choice_most);
    return (cpus >= 1 && cpus <= most) ||
           qwd_error_fail(error, QWD_ERROR_USAGE,
                          host->cpus <= choice_most ? "cpu: this server has %d. Choose a number from 1 to %d."
                                                    : "cpu: you may choose at most %d. Choose a number from 1 to %d.",
                          most, most);
}

static bool check_memory(gint64 memory_mib, const Host *host, gint64 choice_most, GError **error)
{
    gint64 most_mib = MIN(host->memory_mib, choice_most);
    g_autofree char *most = units_format_size(most_mib);
    return (memory_mib >= MEMORY_MIN_MIB && memory_mib <= most_mib) ||
           qwd_error_fail(error, QWD_ERROR_USAGE,
                          host->memory_mib <= choice_most
                              ? "memory: this server has %s. Choose a size from %d MB to that."
                              : "memory: you may choose at most %s. Choose a size from %d MB to that.",
                          most, MEMORY_MIN_MIB);
}

static bool check_lifetime(gint64 lifetime_s, const Settings *settings, gint64 choice_most, GError **error)
{
    gint64 most_s = MIN(settings->snapshot_lifetime, choice_most);
    g_autofree char *most = units_format_duration(most_s);
    return (lifetime_s >= 60 && lifetime_s <= most_s) ||
           qwd_error_fail(error, QWD_ERROR_USAGE, "snapshot_lifetime: choose a life-time from 1 min to %s.", most);
}

/* What is asked for; else the default, as far as the rest allows it. */
static gint64 asked_or_default(gint64 asked, gint64 by_default, gint64 host_most, gint64 choice_most)
{
    return asked ? asked : MIN(by_default, MIN(host_most, choice_most));
}

/* The machine with an IDE controller has no PCI Express. */
static bool check_gpu(const Plan *plan, const Machine *machine, GError **error)
{
    bool possible = g_str_equal(machine->gpu, "auto") && !g_str_equal(machine->disk, "ide");
    return !plan->gpu || possible ||
           qwd_error_fail(error, QWD_ERROR_USAGE,
                          "gpu: %s does not run with a GPU. Start it without, or choose another.", plan->title);
}

/* Groups and machines that allow less than the form hold for extensions as well; the form's own list is for the
 * beginning only. */
static gint64 extension_max(const Settings *settings, const Choices *choices)
{
    gint64 form_most = 0, seconds;
    for (char **entry = settings->form_lifetime; *entry; entry++) {
        if (units_parse_duration(*entry, &seconds))
            form_most = MAX(form_most, seconds);
    }
    return choices->lifetime_max_s < form_most ? choices->lifetime_max_s : 0;
}

static void take_machine(Plan *plan, const Settings *settings, const Machine *machine, const Host *host)
{
    plan->machine = g_strdup(machine->name);
    plan->title = g_strdup(first_of(machine->description, machine->name));
    plan->image = g_strdup(machine->path);
    plan->arch = g_strdup(first_of(machine->arch, host->arch));
    bool is_arm = g_str_equal(plan->arch, "aarch64");
    plan->firmware = g_strdup(is_arm ? "uefi" : first_of(machine->firmware, "bios"));
    plan->disk = g_strdup(machine->disk);
    plan->display = g_strdup(first_of(machine->display, is_arm ? "virtio-gpu-pci" : settings->qemu_video));
    plan->accel = g_strdup(first_of(machine->accel, settings->accel));
    plan->os = g_strdup(machine->os);
    plan->script_method = g_strdup(machine->script_method);
}

static bool add_rules(GString *rules, char sign, const char *networks, GError **error)
{
    g_autoptr(GArray) list = cidr_list_parse(networks, error);
    for (guint i = 0; list && i < list->len; i++) {
        g_autofree char *network = cidr_format(&g_array_index(list, Cidr, i));
        g_string_append_printf(rules, "%s%c%s", rules->len ? " " : "", sign, network);
    }
    return list != NULL;
}

static char *make_network_rules(const Settings *settings, const Machine *machine, GError **error)
{
    g_autoptr(GString) rules = g_string_new(NULL);
    if (add_rules(rules, '-', settings->network_deny, error) && add_rules(rules, '+', settings->network_allow, error) &&
        add_rules(rules, '-', machine->network_deny, error) && add_rules(rules, '+', machine->network_allow, error))
        return g_string_free(g_steal_pointer(&rules), FALSE);
    return NULL;
}

Plan *plan_make(const Settings *settings, const Machine *machine, const PlanRequest *request, const Host *host,
                GError **error)
{
    static const Choices open = {G_MAXINT64, G_MAXINT64, G_MAXINT64, 0};
    const Choices *choices = request->choices ? request->choices : &open;
    g_autoptr(Plan) plan = g_new0(Plan, 1);
    take_machine(plan, settings, machine, host);
    plan->network = g_strdup(settings->network);
    plan->network_rules = make_network_rules(settings, machine, error);
    if (!plan->network_rules)
        return NULL;
    const char *comma = *settings->network_deny && *machine->network_deny ? ", " : "";
    plan->network_denied = g_strconcat(settings->network_deny, comma, machine->network_deny, NULL);
    plan->cpus = asked_or_default(request->cpus, settings->snapshot_alloc_cpu, host->cpus, choices->cpus_max);
    plan->memory_mib =
        asked_or_default(request->memory_mib, settings->snapshot_alloc_mem, host->memory_mib, choices->memory_max_mib);
    plan->lifetime_s =
        asked_or_default(request->lifetime_s, settings->snapshot_lifetime, G_MAXINT64, choices->lifetime_max_s);
    plan->lifetime_max_s = extension_max(settings, choices);
    plan->sessions_max = choices->sessions_max;
    plan->by_admin = request->by_admin;
    plan->disk_mib = settings->snapshot_alloc_disk;
    plan->oneshot = request->oneshot;
    plan->use_master = settings->snapshot_use_master;
    plan->clipboard = settings->display_clipboard;
    plan->gpu = request->gpu;
    plan->gpu_name = g_strdup("");
    plan->gpu_devices = g_strdup("");
    plan->gpu_group = g_strdup("");
    if (!check_cpus(plan->cpus, host, choices->cpus_max, error) ||
        !check_memory(plan->memory_mib, host, choices->memory_max_mib, error) ||
        !check_lifetime(plan->lifetime_s, settings, choices->lifetime_max_s, error) || !check_gpu(plan, machine, error))
        return NULL;
    return g_steal_pointer(&plan);
}

void plan_free(Plan *plan)
{
    if (!plan)
        return;
    fields_clear(plan_fields, plan);
    g_free(plan);
}

json_t *plan_to_json(const Plan *plan)
{
    return fields_to_json(plan_fields, plan);
}

Plan *plan_from_json(const json_t *object)
{
    Plan *plan = g_new0(Plan, 1);
    fields_from_json(plan_fields, plan, object);
    return plan;
}
