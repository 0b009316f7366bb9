/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "app/troubles.h"

#include <stdbool.h>

#include "auth/backoff.h"
#include "base/cidr.h"
#include "core/choices.h"
#include "core/folder.h"
#include "core/link.h"
#include "core/script.h"
#include "vm/gpu.h"
#include "vm/name_servers.h"
#include "vm/options.h"

static bool check_options(const Settings *settings, GError **error)
{
    g_auto(GStrv) options = qemu_options_parse(settings->qemu_exec_options, error);
    return options != NULL;
}

static bool check_gpus(const Settings *settings, GError **error)
{
    return gpu_check_blacklist(settings->gpu_blacklist, error);
}

static bool check_network(const Settings *settings, GError **error)
{
    g_autoptr(GArray) allow = cidr_list_parse(settings->network_allow, error);
    g_autoptr(GArray) deny = allow ? cidr_list_parse(settings->network_deny, error) : NULL;
    return deny && name_servers_check(settings->network_dns, error);
}

typedef bool Check(const Settings *settings, GError **error);

static const struct {
    Check *settings, *table; /* NULL: there is no table */
    const char *key;         /* of the table's path */
} checks[] = {
    {check_options, NULL, NULL},
    {check_gpus, NULL, NULL},
    {check_network, NULL, NULL},
    {link_check_settings, NULL, NULL},
    {backoff_check_settings, NULL, NULL},
    {choices_check_settings, choices_check_table, "file_groups"},
    {scripts_check_settings, scripts_check_table, "file_scripts"},
    {folders_check_settings, folders_check_table, "file_folders"},
};

static void trouble_free(void *trouble)
{
    g_free(((Trouble *)trouble)->text);
    g_free(trouble);
}

static bool look(Check *check, const char *table, const Settings *settings, GPtrArray *troubles)
{
    g_autoptr(GError) error = NULL;
    if (check(settings, &error))
        return true;
    Trouble *trouble = g_new0(Trouble, 1);
    *trouble = (Trouble){table, g_strdup(error->message)};
    g_ptr_array_add(troubles, trouble);
    return false;
}

GPtrArray *troubles_find(const Settings *settings)
{
    GPtrArray *troubles = g_ptr_array_new_with_free_func(trouble_free);
    for (size_t i = 0; i < G_N_ELEMENTS(checks); i++) {
        if (look(checks[i].settings, NULL, settings, troubles) && checks[i].table)
            look(checks[i].table, checks[i].key, settings, troubles);
    }
    return troubles;
}
