/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "app/usage.h"

#include <stdlib.h>

#include "base/error.h"
#include "core/inventory.h"
#include "core/store.h"
#include "vm/image.h"

static void need_free(Need *need)
{
    g_free(need->path);
    g_free(need->machine);
    g_free(need->whom);
    g_free(need->remedy);
    g_free(need);
}

/* The path itself when nothing is there. */
static char *real_path_of(const char *path)
{
    char *resolved = realpath(path, NULL);
    char *copy = g_strdup(resolved ? resolved : path);
    free(resolved);
    return copy;
}

static void add(GPtrArray *needs, const char *path, const Need *by)
{
    Need *need = g_new0(Need, 1);
    need->path = real_path_of(path);
    need->machine = g_strdup(by->machine);
    need->whom = g_strdup(by->whom);
    need->remedy = g_strdup(by->remedy);
    g_ptr_array_add(needs, need);
}

static void add_with_references(GPtrArray *needs, const char *path, const GPtrArray *references, const Need *by)
{
    add(needs, path, by);
    for (guint i = 0; i < references->len; i++)
        add(needs, references->pdata[i], by);
}

static void add_session(GPtrArray *needs, const SessionRecord *session, const GPtrArray *references)
{
    bool runs = session_state_is_alive(session->state);
    g_autofree char *whom = g_strdup_printf(
        "%s%s of %s", runs ? "the session " : "the disk that is kept of the session ", session->id, session->owner);
    g_autofree char *remedy = runs ? g_strdup_printf("First: qwdctl stop %s", session->id)
                                   : g_strdup("First discard that disk, on the page of its session.");
    add_with_references(needs, session->plan->image, references, &(Need){.whom = whom, .remedy = remedy});
}

/* Many sessions stand on few images: each is looked at once. */
GPtrArray *usage_of_sessions(const Settings *settings, GError **error)
{
    GPtrArray *needs = g_ptr_array_new_with_free_func((GDestroyNotify)need_free);
    g_autoptr(GHashTable) known =
        g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)g_ptr_array_unref);
    g_autoptr(GPtrArray) sessions = store_list(settings, error);
    for (guint i = 0; sessions && i < sessions->len; i++) {
        const SessionRecord *session = sessions->pdata[i];
        char *image = session->plan->image;
        if (!g_hash_table_contains(known, image))
            g_hash_table_insert(known, image, image_references(image));
        add_session(needs, session, g_hash_table_lookup(known, image));
    }
    if (!sessions)
        g_clear_pointer(&needs, g_ptr_array_unref);
    return needs;
}

GPtrArray *usage_of_machines(const Settings *settings, GError **error)
{
    g_autoptr(GPtrArray) inventory = inventory_load(settings, error);
    GPtrArray *needs = inventory ? g_ptr_array_new_with_free_func((GDestroyNotify)need_free) : NULL;
    for (guint i = 0; inventory && i < inventory->len; i++) {
        const InventoryItem *item = inventory->pdata[i];
        if (item->entry == ENTRY_NONE || !item->has_file)
            continue;
        g_autoptr(GPtrArray) references = image_references(item->path);
        g_autofree char *whom = g_strdup_printf("the machine %s", item->name);
        char remedy[] = "First remove that machine (qwdctl disable, qwdctl purge).";
        add_with_references(needs, item->path, references,
                            &(Need){.machine = item->name, .whom = whom, .remedy = remedy});
    }
    return needs;
}

const Need *usage_find(const GPtrArray *needs, const char *path, const char *except)
{
    g_autofree char *real_path = real_path_of(path);
    for (guint i = 0; i < needs->len; i++) {
        const Need *need = needs->pdata[i];
        bool is_excepted = except && g_strcmp0(need->machine, except) == 0;
        if (!is_excepted && g_str_equal(need->path, real_path))
            return need;
    }
    return NULL;
}

static bool refuse(const GPtrArray *needs, const char *path, const char *except, GError **error)
{
    const Need *need = usage_find(needs, path, except);
    return !need || qwd_error_fail(error, QWD_ERROR_CONFLICT, "%s is in use by %s. %s", path, need->whom, need->remedy);
}

bool usage_refuse_sessions(const Settings *settings, const char *path, GError **error)
{
    g_autoptr(GPtrArray) needs = usage_of_sessions(settings, error);
    return needs && refuse(needs, path, NULL, error);
}

bool usage_refuse_machines(const Settings *settings, const char *path, const char *except, GError **error)
{
    g_autoptr(GPtrArray) needs = usage_of_machines(settings, error);
    return needs && refuse(needs, path, except, error);
}
