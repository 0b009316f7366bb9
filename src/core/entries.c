/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/entries.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/owned_file.h"
#include "base/text.h"
#include "core/machine.h"
#include "core/machines_edit.h"
#include "core/saved.h"

#define FILE_MAX_BYTES (1024 * 1024)
#define FILE_MODE 0644

char **entries_files(const Settings *settings)
{
    g_autoptr(GStrvBuilder) files = g_strv_builder_new();
    g_auto(GStrv) more = files_beside(settings->file_machines, ".ini");
    g_strv_builder_add(files, settings->file_machines);
    g_strv_builder_addv(files, (const char **)more);
    return g_strv_builder_end(files);
}

char *entries_read(const Settings *settings, const char *path, GError **error)
{
    return owned_file_read_text(settings->service_user, path, FILE_MAX_BYTES, error);
}

/* Those that may have an entry of this name, in the same order: what administrators write goes before what a user has
 * saved, so that comes first. */
static char **files_of(const Settings *settings, const char *name)
{
    g_autoptr(GStrvBuilder) files = g_strv_builder_new();
    g_auto(GStrv) more = entries_files(settings);
    g_autofree char *saved = machine_name_is_valid(name) ? saved_path(settings, name) : NULL;
    if (saved)
        g_strv_builder_add(files, saved);
    g_strv_builder_addv(files, (const char **)more);
    return g_strv_builder_end(files);
}

/* The last file with an entry in this state: what is read later counts. NULL when there is none. */
static char *last_file_with(const Settings *settings, const char *name, SectionState wanted)
{
    g_auto(GStrv) files = files_of(settings, name);
    for (guint i = g_strv_length(files); i-- > 0;) {
        g_autofree char *text = entries_read(settings, files[i], NULL);
        if (text && machines_text_state(text, name) == wanted)
            return g_strdup(files[i]);
    }
    return NULL;
}

static char *own_file(const Settings *settings, const char *name)
{
    g_autofree char *folder = g_path_get_dirname(settings->file_machines);
    g_autofree char *file = g_strconcat(name, ".ini", NULL);
    return g_build_filename(folder, "config.d", file, NULL);
}

bool entry_is_partial(const char *name)
{
    return g_str_has_suffix(name, ".part") || g_str_has_suffix(name, ".part.json");
}

static bool check_name(const char *name, GError **error)
{
    return (machine_name_is_valid(name) && !entry_is_partial(name)) ||
           qwd_error_fail(error, QWD_ERROR_USAGE,
                          "\"%s\" cannot be the name of a machine: write a plain file name of letters, digits and "
                          "_.-@:+ or spaces, not ending in .part.",
                          name);
}

/* A new entry would go before this one, and be for everybody. */
static bool check_no_saved(const Settings *settings, const char *name, GError **error)
{
    g_autofree char *saved = saved_path(settings, name);
    return !saved_has_entry(settings, name) ||
           qwd_error_fail(
               error, QWD_ERROR_CONFIG,
               "%s is the file of a machine that a user has saved, and has no entry for it. Mend it, or move "
               "it away.",
               saved);
}

char *machines_file_of(const Settings *settings, const char *name, GError **error)
{
    if (!check_name(name, error))
        return NULL;
    char *file = last_file_with(settings, name, SECTION_ENABLED);
    if (!file)
        file = last_file_with(settings, name, SECTION_DISABLED);
    if (file)
        return file;
    return check_no_saved(settings, name, error) ? own_file(settings, name) : NULL;
}

bool entries_write(const Settings *settings, const char *path, const char *text, GError **error)
{
    return owned_file_replace(settings->service_user, path, text, FILE_MODE, error);
}

static bool check_value(const char *value, GError **error)
{
    bool good = !value || (g_utf8_validate(value, -1, NULL) && !text_has_controls(value));
    return good || qwd_error_fail(error, QWD_ERROR_USAGE, "A description is one line of text.");
}

static char *with_value(char *text, const char *name, const char *key, const char *value)
{
    if (!value)
        return text;
    char *changed = machines_text_set(text, name, key, value);
    g_free(text);
    return changed;
}

/* What would not be accepted when it is read is not written. */
static bool check_text(const Settings *settings, const char *path, const char *text, GError **error)
{
    return machines_check_text(text, strlen(text), path, settings->dir_machines, error);
}

/* The text with the entry enabled, whatever there was of it. */
static char *enabled_text(const char *text, const MachineEntry *entry)
{
    SectionState state = machines_text_state(text, entry->name);
    char *changed = state == SECTION_ABSENT     ? machines_text_add(text, entry->name)
                    : state == SECTION_DISABLED ? machines_text_enable(text, entry->name)
                                                : g_strdup(text);
    changed = with_value(changed, entry->name, "sha256_url", entry->sha256_url);
    changed = with_value(changed, entry->name, "sha256", entry->sha256);
    changed = with_value(changed, entry->name, "url", entry->url);
    return with_value(changed, entry->name, "description", entry->description);
}

/* The file that has the entry, as it is and as it will be. */
typedef struct {
    char *path, *text, *changed;
} Change;

static void change_clear(Change *change)
{
    g_free(change->path);
    g_free(change->text);
    g_free(change->changed);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Change, change_clear)

static bool plan_change(const Settings *settings, const MachineEntry *entry, Change *change, GError **error)
{
    if (!check_value(entry->description, error) || !check_value(entry->url, error) ||
        !check_value(entry->sha256, error) || !check_value(entry->sha256_url, error))
        return false;
    change->path = machines_file_of(settings, entry->name, error);
    change->text = change->path ? entries_read(settings, change->path, error) : NULL;
    change->changed = change->text ? enabled_text(change->text, entry) : NULL;
    return change->changed && check_text(settings, change->path, change->changed, error);
}

bool machines_check_entry(const Settings *settings, const MachineEntry *entry, GError **error)
{
    g_auto(Change) change = {0};
    g_autoptr(GPtrArray) machines = NULL;
    return plan_change(settings, entry, &change, error) && (machines = machines_load(settings, error)) != NULL;
}

bool machines_enable(const Settings *settings, const MachineEntry *entry, char **file, GError **error)
{
    g_auto(Change) change = {0};
    if (!plan_change(settings, entry, &change, error) ||
        (!g_str_equal(change.changed, change.text) && !entries_write(settings, change.path, change.changed, error)))
        return false;
    *file = g_steal_pointer(&change.path);
    return true;
}

bool machine_is_disabled(const Settings *settings, const char *name)
{
    g_autofree char *enabled = last_file_with(settings, name, SECTION_ENABLED);
    g_autofree char *disabled = last_file_with(settings, name, SECTION_DISABLED);
    return disabled && !enabled;
}

static bool disable_in(const Settings *settings, const char *path, const char *name, GError **error)
{
    g_autofree char *text = entries_read(settings, path, error);
    g_autofree char *changed = text ? machines_text_disable(text, name) : NULL;
    return changed && check_text(settings, path, changed, error) && entries_write(settings, path, changed, error);
}

bool machines_disable(const Settings *settings, const char *name, char **file, GError **error)
{
    g_autofree char *known = last_file_with(settings, name, SECTION_DISABLED);
    *file = NULL;
    for (char *next; (next = last_file_with(settings, name, SECTION_ENABLED));) {
        g_free(*file);
        *file = next;
        if (!disable_in(settings, next, name, error))
            return false;
    }
    if (!*file)
        *file = g_steal_pointer(&known);
    return *file || qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "There is no entry for %s. See: qwdctl status", name);
}
