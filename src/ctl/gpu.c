/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl gpu: the server's GPUs. */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/sysroot.h"
#include "core/store.h"
#include "ctl/commands.h"
#include "ctl/output.h"
#include "vm/gpu.h"

/* What there is to say about a GPU. */
typedef struct {
    const Gpu *gpu;
    const SessionRecord *holder; /* borrowed; NULL: nobody */
    char *obstacle;              /* NULL: a session can have it */
    GPtrArray *profiles;
} Finding;

static Finding find(const Settings *settings, const Gpu *gpu, const GPtrArray *sessions)
{
    Finding finding = {.gpu = gpu,
                       .holder = gpu_holder(gpu, sessions),
                       .obstacle = g_strdup(gpu->obstacle),
                       .profiles = gpu_profiles_read(sysroot(), gpu)};
    g_autoptr(GError) cause = NULL;
    if (!finding.obstacle && g_str_equal(settings->service_gpu, "no"))
        finding.obstacle = g_strdup("The setting service_gpu is no.");
    if (!finding.obstacle && !finding.holder && !gpu_check_devices(sysroot(), gpu->group, &cause))
        finding.obstacle = g_strdup(cause->message);
    return finding;
}

static void finding_clear(Finding *finding)
{
    g_free(finding->obstacle);
    g_ptr_array_unref(finding->profiles);
}

static const char *kind_of(const Gpu *gpu)
{
    if (gpu->is_mediated)
        return "mediated device";
    return gpu->is_virtual ? "virtual function" : "card";
}

/* --- for people --- */

static void print_origin(const Gpu *gpu)
{
    printf("    %s", kind_of(gpu));
    if (*gpu->parent)
        printf(" of %s", gpu->parent);
    printf(", driver %s, IOMMU group %s%s\n", *gpu->self.driver ? gpu->self.driver : "none",
           *gpu->group ? gpu->group : "none", gpu->is_boot_display ? ", shows the server's own console" : "");
}

static void print_members(const Gpu *gpu)
{
    for (guint i = 0; i < gpu->members->len; i++) {
        const PciFunction *member = gpu->members->pdata[i];
        if (!g_str_equal(member->address, gpu->self.address))
            printf("    with %s  %s  %s, driver %s\n", member->address, member->model, member->name,
                   *member->driver ? member->driver : "none");
    }
}

static void print_profiles(const GPtrArray *profiles)
{
    for (guint i = 0; i < profiles->len; i++) {
        const GpuProfile *profile = profiles->pdata[i];
        printf("    can be divided: %s%s%s, %d more\n", profile->id, *profile->name ? " " : "", profile->name,
               (int)profile->available);
    }
}

static void print_use(const Finding *finding)
{
    if (finding->holder)
        printf("    in use by %s, session %s\n", finding->holder->owner, finding->holder->id);
    else if (finding->obstacle)
        printf("    not for sessions: %s\n", finding->obstacle);
    else
        printf("    free\n");
}

static void print_finding(const Finding *finding)
{
    const Gpu *gpu = finding->gpu;
    printf("%s  %s  %s\n", gpu->self.address, gpu->self.model, gpu->self.name);
    print_origin(gpu);
    print_members(gpu);
    print_profiles(finding->profiles);
    print_use(finding);
}

/* --- for programs --- */

static json_t *function_value(const PciFunction *function)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "address", function->address, "model", function->model, "name",
                     function->name, "driver", function->driver);
}

static json_t *members_value(const GPtrArray *members)
{
    json_t *list = json_array();
    for (guint i = 0; i < members->len; i++)
        json_array_append_new(list, function_value(members->pdata[i]));
    return list;
}

static json_t *profiles_value(const GPtrArray *profiles)
{
    json_t *list = json_array();
    for (guint i = 0; i < profiles->len; i++) {
        const GpuProfile *profile = profiles->pdata[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "id", profile->id, "name", profile->name, "available",
                                              (json_int_t)profile->available));
    }
    return list;
}

static json_t *finding_value(const Finding *finding)
{
    const Gpu *gpu = finding->gpu;
    json_t *value = function_value(&gpu->self);
    json_t *holder = finding->holder
                         ? json_pack("{s:s, s:s}", "id", finding->holder->id, "owner", finding->holder->owner)
                         : json_null();
    json_object_set_new(value, "kind", json_string(kind_of(gpu)));
    json_object_set_new(value, "parent", json_string(gpu->parent));
    json_object_set_new(value, "group", json_string(gpu->group));
    json_object_set_new(value, "members", members_value(gpu->members));
    json_object_set_new(value, "profiles", profiles_value(finding->profiles));
    json_object_set_new(value, "boot_display", json_boolean(gpu->is_boot_display));
    json_object_set_new(value, "obstacle", finding->obstacle ? json_string(finding->obstacle) : json_null());
    json_object_set_new(value, "session", holder);
    return value;
}

/* --- the command --- */

static void print_all(const Arguments *arguments, const GPtrArray *gpus, const GPtrArray *sessions)
{
    bool as_json = command_option(arguments, "--json");
    g_autoptr(JsonValue) list = json_array();
    for (guint i = 0; i < gpus->len; i++) {
        Finding finding = find(arguments->settings, gpus->pdata[i], sessions);
        if (as_json)
            json_array_append_new(list, finding_value(&finding));
        else
            print_finding(&finding);
        finding_clear(&finding);
    }
    if (as_json) {
        output_json(json_incref(list));
    } else if (!gpus->len) {
        printf("This server has no GPU.\n");
    }
}

static bool list(Arguments *arguments, GError **error)
{
    g_autoptr(GPtrArray) sessions = store_list(arguments->settings, error);
    g_autoptr(GPtrArray) gpus = sessions ? gpus_read(sysroot(), arguments->settings->gpu_blacklist, error) : NULL;
    if (!gpus)
        return false;
    gpus_find_names(gpus, sysroot());
    print_all(arguments, gpus, sessions);
    return true;
}

bool command_gpu(Arguments *arguments, GError **error)
{
    g_auto(GStrv) words = command_words(arguments);
    return *words ? gpu_prepare(arguments, *words, error) : command_run_by_account(arguments, list, error);
}
