/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "app/saved.h"

#include "base/error.h"
#include "base/fd.h"
#include "core/inventory.h"
#include "core/saved.h"
#include "core/saving.h"
#include "core/store.h"
#include "vm/image.h"

/* Names are given to those alone who have proven theirs. */
static bool is_known(const Settings *settings, const Identity *who)
{
    return policy_login_is_configured(settings) && who->is_authenticated && *who->user;
}

GPtrArray *app_saved_list(const Settings *settings, const Identity *who)
{
    GPtrArray *own = g_ptr_array_new_with_free_func((GDestroyNotify)machine_free);
    g_autoptr(GPtrArray) machines = is_known(settings, who) ? machines_load(settings, NULL) : NULL;
    for (guint i = machines ? machines->len : 0; i-- > 0;) {
        if (saved_is_of(settings, ((const Machine *)machines->pdata[i])->name, who->user))
            g_ptr_array_insert(own, 0, g_ptr_array_steal_index(machines, i));
    }
    return own;
}

/* --- giving one up --- */

static bool refuse(const char *name, const char *whom, GError **error)
{
    return qwd_error_fail(error, QWD_ERROR_CONFLICT, "%s is in use by %s, so it cannot be removed now.", name, whom);
}

/* Under the lock of the store: who wants to start it waits. */
static bool check_sessions(const Settings *settings, const char *name, const char *image, GError **error)
{
    g_autoptr(GPtrArray) sessions = store_list(settings, error);
    for (guint i = 0; sessions && i < sessions->len; i++) {
        const SessionRecord *session = sessions->pdata[i];
        bool is_saved_as = save_is_busy(session) && g_str_equal(session->save_name, name);
        if (!is_saved_as && !g_str_equal(session->plan->image, image))
            continue;
        g_autofree char *whom = g_strdup_printf("a session of %s", session->owner);
        return refuse(name, session_state_is_alive(session->state) ? whom : "a kept disk of an ended session", error);
    }
    return sessions != NULL;
}

/* Somebody may have saved a session of this machine. */
static bool check_images(const Settings *settings, const char *name, const char *image, GError **error)
{
    g_autoptr(GPtrArray) inventory = inventory_load(settings, error);
    for (guint i = 0; inventory && i < inventory->len; i++) {
        const InventoryItem *item = inventory->pdata[i];
        g_autoptr(GPtrArray) files = item->has_file ? image_references(item->path) : g_ptr_array_new();
        if (g_ptr_array_find_with_equal_func(files, image, g_str_equal, NULL))
            return refuse(name, "another machine", error);
    }
    return inventory != NULL;
}

bool app_saved_remove(const Settings *settings, const Identity *who, const char *name, GError **error)
{
    autofd int lock = -1;
    g_autofree char *image = g_build_filename(settings->dir_machines, name, NULL);
    if (!policy_allows(settings, who, ACTION_LIST, NULL, error))
        return false;
    if (!is_known(settings, who) || !saved_is_of(settings, name, who->user))
        return machine_not_found(name, error);
    return check_images(settings, name, image, error) && (lock = store_lock(settings, error)) >= 0 &&
           check_sessions(settings, name, image, error) && saved_remove(settings, name, error);
}
