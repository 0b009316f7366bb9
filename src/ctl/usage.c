/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "ctl/usage.h"

#include <stdlib.h>

#include "base/error.h"
#include "core/inventory.h"
#include "core/store.h"
#include "vm/image.h"

char *usage_real_path(const char *path)
{
    char *resolved = realpath(path, NULL);
    char *copy = g_strdup(resolved ? resolved : path);
    free(resolved);
    return copy;
}

/* The one that is known first is the one that is named. */
static void add(GHashTable *used, const char *path, const char *whom)
{
    g_autofree char *real_path = usage_real_path(path);
    if (!g_hash_table_contains(used, real_path))
        g_hash_table_insert(used, g_steal_pointer(&real_path), g_strdup(whom));
}

static void add_with_references(GHashTable *used, const char *path, const char *whom)
{
    g_autoptr(GPtrArray) files = image_references(path);
    add(used, path, whom);
    for (guint i = 0; i < files->len; i++)
        add(used, files->pdata[i], whom);
}

static bool add_sessions(GHashTable *used, const Settings *settings, GError **error)
{
    g_autoptr(GPtrArray) sessions = store_list(settings, error);
    for (guint i = 0; sessions && i < sessions->len; i++) {
        const SessionRecord *session = sessions->pdata[i];
        g_autofree char *whom = g_strdup_printf("the session %s of %s", session->id, session->owner);
        add_with_references(used, session->plan->image, whom);
    }
    return sessions != NULL;
}

GHashTable *usage_load(const Settings *settings, GError **error)
{
    g_autoptr(GHashTable) used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr(GPtrArray) inventory = inventory_load(settings, error);
    if (!inventory || !add_sessions(used, settings, error))
        return NULL;
    for (guint i = 0; i < inventory->len; i++) {
        const InventoryItem *item = inventory->pdata[i];
        g_autofree char *whom = g_strdup_printf("the machine %s", item->name);
        if (item->entry != ENTRY_NONE && item->has_file)
            add_with_references(used, item->path, whom);
    }
    return g_steal_pointer(&used);
}

bool usage_refuse(const Settings *settings, const char *path, GError **error)
{
    g_autofree char *wanted = usage_real_path(path);
    g_autoptr(GPtrArray) sessions = store_list(settings, error);
    for (guint i = 0; sessions && i < sessions->len; i++) {
        const SessionRecord *session = sessions->pdata[i];
        g_autofree char *image = usage_real_path(session->plan->image);
        if (g_str_equal(image, wanted))
            return qwd_error_fail(error, QWD_ERROR_CONFLICT, "%s is in use by the session %s of %s.", path, session->id,
                                  session->owner);
    }
    return sessions != NULL;
}
