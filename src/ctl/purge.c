/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl purge: files that nobody needs any more. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/save.h"
#include "app/usage.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/trusted_path.h"
#include "core/entries.h"
#include "core/inventory.h"
#include "core/saved.h"
#include "core/store.h"
#include "ctl/commands.h"
#include "ctl/consent.h"
#include "ctl/output.h"

typedef struct {
    char *path;
    const char *why;
    gint64 size_bytes;
} Rubbish;

static void rubbish_free(Rubbish *rubbish)
{
    g_free(rubbish->path);
    g_free(rubbish);
}

/* What a file or a folder with all it holds takes on the disk. Symbolic links are not followed. */
static gint64 size_of(const char *path)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return 0;
    gint64 size = (gint64)st.st_blocks * 512;
    g_autoptr(GDir) dir = S_ISDIR(st.st_mode) ? g_dir_open(path, 0, NULL) : NULL;
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *child = g_build_filename(path, name, NULL);
        size += size_of(child);
    }
    return size;
}

static void add(GPtrArray *list, const char *folder, const char *name, const char *why)
{
    Rubbish *rubbish = g_new0(Rubbish, 1);
    rubbish->path = g_build_filename(folder, name, NULL);
    rubbish->why = why;
    rubbish->size_bytes = size_of(rubbish->path);
    g_ptr_array_add(list, rubbish);
}

/* --- what there is --- */

/* A download under way holds a lock on its part. */
static bool is_being_downloaded(const char *path)
{
    size_t stem = strlen(path) - (g_str_has_suffix(path, ".json") ? strlen(".json") : 0);
    g_autofree char *part = g_strndup(path, stem);
    if (!g_file_test(part, G_FILE_TEST_EXISTS))
        return false;
    g_autoptr(GError) error = NULL;
    autofd int lock = file_try_lock(part, &error);
    return lock < 0 && g_error_matches(error, QWD_ERROR, QWD_ERROR_CONFLICT);
}

/* The record of the session says so before there is a part. What cannot be known counts as being saved. */
static bool is_being_saved(const Settings *settings, const char *path)
{
    g_autoptr(GPtrArray) sessions = store_list(settings, NULL);
    for (guint i = 0; sessions && i < sessions->len; i++) {
        const SessionRecord *session = sessions->pdata[i];
        g_autofree char *part = save_part_path(settings, session->save_name);
        if (save_is_busy(session) && g_str_equal(part, path))
            return true;
    }
    return !sessions;
}

/* Whether it is a part that somebody is still at. */
static bool is_under_way(const Settings *settings, const char *path)
{
    return entry_is_partial(path) && (is_being_downloaded(path) || is_being_saved(settings, path));
}

/* The parts of saved machines are hidden. */
static void add_partial(GPtrArray *list, const Settings *settings)
{
    g_autoptr(GDir) dir = g_dir_open(settings->dir_machines, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *path = g_build_filename(settings->dir_machines, name, NULL);
        if (entry_is_partial(name) && !is_under_way(settings, path))
            add(list, settings->dir_machines, name,
                *name == '.' ? "a saved machine that broke off" : "a download that broke off");
    }
}

static void add_broken(GPtrArray *list, const Settings *settings)
{
    g_autoptr(GDir) dir = g_dir_open(settings->dir_snapshots, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        if (store_is_aside(name))
            add(list, settings->dir_snapshots, name, "what is left of a session");
    }
}

static bool add_orphans(GPtrArray *list, const Settings *settings, GError **error)
{
    g_autoptr(GPtrArray) inventory = inventory_load(settings, error);
    g_autoptr(GPtrArray) machines = inventory ? usage_of_machines(settings, error) : NULL;
    g_autoptr(GPtrArray) sessions = machines ? usage_of_sessions(settings, error) : NULL;
    for (guint i = 0; sessions && i < inventory->len; i++) {
        const InventoryItem *item = inventory->pdata[i];
        bool is_saved = saved_has_entry(settings, item->name); /* then its entry is broken */
        if (item->entry == ENTRY_NONE && !is_saved && !usage_find(machines, item->path, NULL) &&
            !usage_find(sessions, item->path, NULL))
            add(list, settings->dir_machines, item->name, "an image that no entry names");
    }
    return sessions != NULL;
}

static bool collect(GPtrArray *list, const Settings *settings, GError **error)
{
    if (!add_orphans(list, settings, error))
        return false;
    add_partial(list, settings);
    add_broken(list, settings);
    return true;
}

/* Without its image, the entry of a machine that a user has saved is of no use. */
static void add_saved_entry(GPtrArray *list, const Settings *settings, const char *name)
{
    g_autofree char *path = saved_path(settings, name);
    g_autofree char *folder = g_path_get_dirname(path), *file = g_path_get_basename(path);
    add(list, folder, file, "the entry of a machine that a user has saved");
}

/* One machine's image: when it is named, one that is disabled may go as well. */
static bool collect_named(GPtrArray *list, const Settings *settings, const char *name, GError **error)
{
    g_autoptr(GPtrArray) inventory = inventory_load(settings, error);
    const InventoryItem *item = inventory ? inventory_find(inventory, name) : NULL;
    if (!inventory)
        return false;
    bool is_saved = saved_has_entry(settings, name);
    if (!item || (!item->has_file && !is_saved))
        return qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "There is no image %s in %s.", name, settings->dir_machines);
    if (item->entry == ENTRY_ENABLED)
        return qwd_error_fail(error, QWD_ERROR_CONFLICT, "%s is on offer. First: qwdctl disable %s", name, name);
    if (!usage_refuse_machines(settings, item->path, name, error) ||
        !usage_refuse_sessions(settings, item->path, error))
        return false;
    if (is_saved)
        add_saved_entry(list, settings, name);
    if (item->has_file)
        add(list, settings->dir_machines, name, "an image that is not on offer");
    return true;
}

/* --- asking and removing --- */

static void print_list(const GPtrArray *list)
{
    g_autoptr(Table) table = table_new("Size", "What it is", "Path", NULL);
    gint64 total = 0;
    for (guint i = 0; i < list->len; i++) {
        const Rubbish *rubbish = list->pdata[i];
        g_autofree char *size = output_size(rubbish->size_bytes);
        table_add(table, COLOUR_NONE, size, rubbish->why, rubbish->path);
        total += rubbish->size_bytes;
    }
    table_print(table);
    g_autofree char *total_text = output_size(total);
    output_note("%u in all, %s.", list->len, total_text);
}

static void print_json(const GPtrArray *list)
{
    json_t *array = json_array();
    for (guint i = 0; i < list->len; i++) {
        const Rubbish *rubbish = list->pdata[i];
        json_array_append_new(array, json_pack("{s:s, s:s, s:I}", "path", rubbish->path, "why", rubbish->why, "size",
                                               (json_int_t)rubbish->size_bytes));
    }
    output_json(array);
}

/* Root is told to remove what nobody else could put a link in the place of. */
static void add_left(const char *path, GString *left, bool *is_for_root)
{
    g_autofree char *quoted = g_shell_quote(path);
    g_string_append_printf(left, " %s", quoted);
    *is_for_root = *is_for_root && path_is_placed_by_root(path);
}

/* What the service itself may not remove, as files that root has put there, is named; the rest goes. A part may have
 * been taken up again since it was listed. */
static bool remove_all(const Settings *settings, const GPtrArray *list, GError **error)
{
    g_autoptr(GString) left = g_string_new(NULL);
    g_autoptr(GError) first = NULL;
    bool is_for_root = true;
    for (guint i = 0; i < list->len; i++) {
        const char *path = ((const Rubbish *)list->pdata[i])->path;
        if (!is_under_way(settings, path) && !folder_remove(path, first ? NULL : &first))
            add_left(path, left, &is_for_root);
    }
    if (first)
        return qwd_error_fail(error, first->code,
                              is_for_root ? "%s. As root: rm -r%s" : "%s. Left are these files of other accounts:%s",
                              first->message, left->str);
    output_note("Removed.");
    return true;
}

bool command_purge(Arguments *arguments, GError **error)
{
    const Settings *settings = arguments->settings;
    g_auto(GStrv) words = command_words(arguments);
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)rubbish_free);
    if (!(*words ? collect_named(list, settings, *words, error) : collect(list, settings, error)))
        return false;
    if (command_option(arguments, "--json"))
        print_json(list);
    else if (list->len)
        print_list(list);
    else
        output_note("There is nothing to remove.");
    g_autofree char *name = *words ? g_shell_quote(*words) : g_strdup("");
    g_autofree char *refusal =
        g_strdup_printf("Nothing was removed. To remove them: qwdctl purge %s%s--yes", name, *name ? " " : "");
    Consent consent = {
        .question = "Remove them for good?", .refusal = refusal, .given = command_option(arguments, "--yes")};
    bool lists_only = command_option(arguments, "--json") && !consent.given;
    return !list->len || lists_only || (consent_ask(&consent, error) && remove_all(settings, list, error));
}
