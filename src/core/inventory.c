/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/inventory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/entries.h"
#include "core/machine.h"
#include "core/machines_edit.h"
#include "core/saved.h"

static void item_free(InventoryItem *item)
{
    g_free(item->name);
    g_free(item->path);
    g_free(item->description);
    g_free(item->url);
    g_free(item->sha256);
    g_free(item->sha256_url);
    g_free(item);
}

static InventoryItem *add_item(GPtrArray *inventory, const Settings *settings, const char *name, EntryState entry)
{
    struct stat st;
    InventoryItem *item = g_new0(InventoryItem, 1);
    item->name = g_strdup(name);
    item->path = g_build_filename(settings->dir_machines, name, NULL);
    item->entry = entry;
    item->has_file = stat(item->path, &st) == 0 && S_ISREG(st.st_mode);
    item->size_bytes = item->has_file ? (gint64)st.st_blocks * 512 : 0;
    g_ptr_array_add(inventory, item);
    return item;
}

static bool add_enabled(GPtrArray *inventory, const Settings *settings, GError **error)
{
    g_autoptr(GPtrArray) machines = machines_load(settings, error);
    for (guint i = 0; machines && i < machines->len; i++) {
        const Machine *machine = machines->pdata[i];
        InventoryItem *item = add_item(inventory, settings, machine->name, ENTRY_ENABLED);
        item->description = g_strdup(machine->description);
        item->url = g_strdup(machine->url);
        item->sha256 = g_strdup(machine->sha256);
        item->sha256_url = g_strdup(machine->sha256_url);
    }
    return machines != NULL;
}

static char *value_or_empty(const char *text, const char *name, const char *key)
{
    char *value = machines_text_value(text, name, key);
    return value ? value : g_strdup("");
}

static void add_disabled_item(GPtrArray *inventory, const Settings *settings, const char *text, const char *name)
{
    if (inventory_find(inventory, name))
        return;
    InventoryItem *item = add_item(inventory, settings, name, ENTRY_DISABLED);
    item->description = value_or_empty(text, name, "description");
    item->url = value_or_empty(text, name, "url");
    item->sha256 = value_or_empty(text, name, "sha256");
    item->sha256_url = value_or_empty(text, name, "sha256_url");
}

static void add_disabled(GPtrArray *inventory, const Settings *settings)
{
    g_auto(GStrv) files = entries_files(settings);
    for (char **file = files; *file; file++) {
        g_autofree char *text = entries_read(settings, *file, NULL);
        g_auto(GStrv) names = machines_text_disabled(text ? text : "");
        for (char **name = names; *name; name++)
            add_disabled_item(inventory, settings, text, *name);
    }
}

/* A file of saved.d is about the machine that it is called after. */
static void add_disabled_saved(GPtrArray *inventory, const Settings *settings)
{
    g_autoptr(GPtrArray) files = saved_load(settings);
    for (guint i = 0; i < files->len; i++) {
        const SavedFile *file = files->pdata[i];
        g_autofree char *name = g_path_get_basename(file->path);
        *strrchr(name, '.') = '\0';
        g_auto(GStrv) names = machines_text_disabled(file->text);
        if (g_strv_contains((const char *const *)names, name))
            add_disabled_item(inventory, settings, file->text, name);
    }
}

static int compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp((*(const InventoryItem *const *)a)->name, (*(const InventoryItem *const *)b)->name);
}

static void add_files(GPtrArray *inventory, const Settings *settings)
{
    guint before = inventory->len;
    g_autoptr(GDir) dir = g_dir_open(settings->dir_machines, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *path = g_build_filename(settings->dir_machines, name, NULL);
        bool is_folder = g_file_test(path, G_FILE_TEST_IS_DIR);
        if (*name == '.' || is_folder || entry_is_partial(name) || inventory_find(inventory, name))
            continue;
        InventoryItem *item = add_item(inventory, settings, name, ENTRY_NONE);
        item->description = g_strdup("");
        item->url = g_strdup("");
        item->sha256 = g_strdup("");
        item->sha256_url = g_strdup("");
    }
    if (inventory->len > before)
        qsort(inventory->pdata + before, inventory->len - before, sizeof *inventory->pdata, compare_names);
}

GPtrArray *inventory_load(const Settings *settings, GError **error)
{
    g_autoptr(GPtrArray) inventory = g_ptr_array_new_with_free_func((GDestroyNotify)item_free);
    if (!add_enabled(inventory, settings, error))
        return NULL;
    add_disabled(inventory, settings);
    add_disabled_saved(inventory, settings);
    add_files(inventory, settings);
    return g_steal_pointer(&inventory);
}

const InventoryItem *inventory_find(const GPtrArray *inventory, const char *name)
{
    for (guint i = 0; i < inventory->len; i++) {
        const InventoryItem *item = inventory->pdata[i];
        if (g_str_equal(item->name, name))
            return item;
    }
    return NULL;
}

const char *inventory_state_name(const InventoryItem *item)
{
    if (item->entry == ENTRY_NONE)
        return "orphan";
    if (item->entry == ENTRY_DISABLED)
        return "disabled";
    return item->has_file ? "enabled" : "missing";
}

json_t *inventory_to_json(const GPtrArray *inventory)
{
    json_t *list = json_array();
    for (guint i = 0; i < inventory->len; i++) {
        const InventoryItem *item = inventory->pdata[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:I, s:s, s:s}", "name", item->name, "state",
                                              inventory_state_name(item), "file", (int)item->has_file, "size",
                                              (json_int_t)item->size_bytes, "description", item->description, "url",
                                              item->url));
    }
    return list;
}
