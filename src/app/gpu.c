/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "app/gpu.h"

#include "base/error.h"
#include "base/sysroot.h"
#include "base/text.h"
#include "core/limits.h"
#include "vm/gpu.h"

/* Those that sessions can have; empty when the settings say no. */
static GPtrArray *usable_gpus(const Settings *settings, GError **error)
{
    if (g_str_equal(settings->service_gpu, "no"))
        return g_ptr_array_new_with_free_func((GDestroyNotify)gpu_free);
    GPtrArray *gpus = gpus_read(sysroot(), settings->gpu_blacklist, error);
    for (guint i = gpus ? gpus->len : 0; i-- > 0;) {
        if (((const Gpu *)gpus->pdata[i])->obstacle)
            g_ptr_array_remove_index(gpus, i);
    }
    return gpus;
}

bool gpu_is_offered(const Settings *settings)
{
    g_autoptr(GPtrArray) gpus = usable_gpus(settings, NULL);
    return gpus && gpus->len > 0;
}

static bool check_any(const GPtrArray *gpus, GError **error)
{
    return gpus->len > 0 || qwd_error_fail(error, QWD_ERROR_UNAVAILABLE,
                                           "This service has no GPU for sessions. Create the session without one.");
}

bool gpu_check(const Settings *settings, const Plan *plan, GError **error)
{
    g_autoptr(GPtrArray) gpus = plan->gpu ? usable_gpus(settings, error) : NULL;
    return !plan->gpu || (gpus && check_any(gpus, error));
}

static bool refuse(const GPtrArray *gpus, const GPtrArray *sessions, GError **error)
{
    if (!check_any(gpus, error))
        return false;
    gint64 due = limits_next_gpu_end(sessions, NULL);
    g_autofree char *when = due ? limits_when_text(due) : g_strdup("");
    return qwd_error_fail(error, QWD_ERROR_LIMIT,
                          "No GPU is free: sessions use %s.%s Try again later, or create the session without a GPU.",
                          gpus->len == 1 ? N_("the only one") : N_("all of them"), when);
}

static void take(Plan *plan, Gpu *gpu)
{
    g_autoptr(GPtrArray) alone = g_ptr_array_new();
    g_ptr_array_add(alone, gpu);
    gpus_find_names(alone, sysroot());
    session_set_text(&plan->gpu_name, gpu->self.name);
    session_set_text(&plan->gpu_group, gpu->group);
    g_free(plan->gpu_devices);
    plan->gpu_devices = gpu_devices(gpu);
}

void gpu_copy(Plan *plan, const Plan *from)
{
    session_set_text(&plan->gpu_name, from->gpu_name);
    session_set_text(&plan->gpu_devices, from->gpu_devices);
    session_set_text(&plan->gpu_group, from->gpu_group);
}

void gpu_give_back(Plan *plan)
{
    static const Plan none = {.gpu_name = (char *)"", .gpu_devices = (char *)"", .gpu_group = (char *)""};
    gpu_copy(plan, &none);
}

bool gpu_reserve(const Settings *settings, const GPtrArray *sessions, Plan *plan, GError **error)
{
    if (!plan->gpu)
        return true;
    g_autoptr(GPtrArray) gpus = usable_gpus(settings, error);
    if (!gpus)
        return false;
    for (guint i = 0; i < gpus->len; i++) {
        if (gpu_holder(gpus->pdata[i], sessions))
            continue;
        take(plan, gpus->pdata[i]);
        return true;
    }
    return refuse(gpus, sessions, error);
}
