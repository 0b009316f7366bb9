/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/folder.h"

#include <string.h>

#include "base/error.h"
#include "core/session_fields.h"

#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
#define NAME_MAX_BYTES 26       /* a mount tag has 31 (QEMU, hw/9pfs), of which host_ takes 5 */
#define USER_NAME_MAX_BYTES 255 /* NAME_MAX */

const Field host_folder_fields[] = {
    FIELD(HostFolder, name, TEXT),
    FIELD(HostFolder, path, TEXT),
    FIELD(HostFolder, writable, BOOL),
    FIELD(HostFolder, is_personal, BOOL),
    {0},
};

void host_folder_free(void *folder)
{
    if (folder)
        fields_clear(host_folder_fields, folder);
    g_free(folder);
}

HostFolder *host_folder_from_json(const json_t *object)
{
    HostFolder *folder = g_new0(HostFolder, 1);
    fields_from_json(host_folder_fields, folder, object);
    return folder;
}

/* --- adding --- */

static bool is_listed(const GPtrArray *folders, const char *name)
{
    for (guint i = 0; i < folders->len; i++) {
        if (g_str_equal(((const HostFolder *)folders->pdata[i])->name, name))
            return true;
    }
    return false;
}

bool folder_name_is_well_formed(const char *name)
{
    size_t length = strlen(name);
    return length > 0 && length <= NAME_MAX_BYTES && strspn(name, NAME_LETTERS) == length;
}

/* Takes the folder. */
static bool add(GPtrArray *folders, HostFolder *folder, GError **error)
{
    bool good = folder_name_is_well_formed(folder->name);
    if (!good)
        qwd_error_fail(error, QWD_ERROR_CONFIG,
                       "\"%s\" is not the name of a folder: write 1 to %d letters, digits and characters _ and -.",
                       folder->name, NAME_MAX_BYTES);
    else if (!g_path_is_absolute(folder->path))
        good = qwd_error_fail(error, QWD_ERROR_CONFIG, "The folder %s needs a path that begins with /.", folder->name);
    else if (is_listed(folders, folder->name))
        good = qwd_error_fail(error, QWD_ERROR_CONFIG, "Two folders have the name %s.", folder->name);
    else if (folders->len >= FOLDERS_MAX)
        good = qwd_error_fail(error, QWD_ERROR_CONFIG, "A machine can have %d folders at most.", FOLDERS_MAX);
    if (good)
        g_ptr_array_add(folders, folder);
    else
        host_folder_free(folder);
    return good;
}

/* --- dir_mounts: [NAME=]PATH[:rw] --- */

static bool add_word(GPtrArray *folders, const char *word, GError **error)
{
    bool writable = g_str_has_suffix(word, ":rw");
    const char *equals = *word == '/' ? NULL : strchr(word, '=');
    const char *path = equals ? equals + 1 : word;
    HostFolder *folder = g_new0(HostFolder, 1);
    folder->writable = writable;
    folder->path = g_strndup(path, strlen(path) - (writable ? strlen(":rw") : 0));
    folder->name = equals ? g_strndup(word, (gsize)(equals - word)) : g_path_get_basename(folder->path);
    return add(folders, folder, error);
}

static bool add_list(const Settings *settings, GPtrArray *folders, GError **error)
{
    for (char **word = settings->dir_mounts; *word; word++) {
        if (!add_word(folders, *word, error)) {
            g_prefix_error(error, "dir_mounts: ");
            return false;
        }
    }
    return true;
}

/* --- folders.conf --- */

static bool read_switch(GKeyFile *table, const char *section, bool *value, GError **error)
{
    g_autofree char *text = scope_value(table, section, "write");
    *value = g_str_equal(text, "yes");
    return *value || !*text || g_str_equal(text, "no") ||
           qwd_error_fail(error, QWD_ERROR_CONFIG, "[%s] write = %s is not accepted. Write yes or no.", section, text);
}

static bool add_entry(GKeyFile *table, const char *section, bool writable, GPtrArray *folders, GError **error)
{
    HostFolder *folder = g_new0(HostFolder, 1);
    *folder =
        (HostFolder){.name = g_strdup(section), .path = scope_value(table, section, "path"), .writable = writable};
    return add(folders, folder, error);
}

static bool add_section(GKeyFile *table, const char *section, const Subject *subject, GPtrArray *folders,
                        GError **error)
{
    bool writable;
    if (!scope_check_keys(table, section, "path write", error) || !read_switch(table, section, &writable, error))
        return false;
    return !scope_matches(table, section, subject) || add_entry(table, section, writable, folders, error);
}

static bool add_table(const Settings *settings, const Subject *subject, GPtrArray *folders, GError **error)
{
    g_autoptr(GKeyFile) table = scope_table_load(settings->file_folders, error);
    if (!table)
        return false;
    g_auto(GStrv) sections = g_key_file_get_groups(table, NULL);
    for (char **section = sections; *section; section++) {
        if (!add_section(table, *section, subject, folders, error)) {
            g_prefix_error(error, "%s: ", settings->file_folders);
            return false;
        }
    }
    return true;
}

char **folders_of_table(const Settings *settings)
{
    g_autoptr(GKeyFile) table = scope_table_load(settings->file_folders, NULL);
    g_auto(GStrv) sections = table ? g_key_file_get_groups(table, NULL) : g_new0(char *, 1);
    GPtrArray *paths = g_ptr_array_new();
    for (char **section = sections; *section; section++)
        g_ptr_array_add(paths, scope_value(table, *section, "path"));
    g_ptr_array_add(paths, NULL);
    return (char **)g_ptr_array_free(paths, FALSE);
}

/* --- personal folders --- */

char *folder_name_of_user(const char *user, GError **error)
{
    static const char kept[] = NAME_LETTERS "@+.";
    GString *name = g_string_new(NULL);
    for (const char *c = user; *c; c++) {
        if (strchr(kept, *c) && (c > user || *c != '.'))
            g_string_append_c(name, *c);
        else
            g_string_append_printf(name, "%%%02X", (unsigned char)*c);
    }
    if (name->len > 0 && name->len <= USER_NAME_MAX_BYTES)
        return g_string_free(name, FALSE);
    g_string_free(name, TRUE);
    qwd_error_fail(error, QWD_ERROR_USAGE, "This user name cannot be the name of a folder.");
    return NULL;
}

static bool add_personal(const Settings *settings, const char *user, GPtrArray *folders, GError **error)
{
    g_autofree char *name = folder_name_of_user(user, error);
    if (!name)
        return false;
    HostFolder *folder = g_new0(HostFolder, 1);
    *folder = (HostFolder){.name = g_strdup(FOLDER_PERSONAL),
                           .path = g_build_filename(settings->dir_users, name, NULL),
                           .writable = true,
                           .is_personal = true};
    return add(folders, folder, error);
}

bool folders_choose(const Settings *settings, const Subject *subject, bool is_proven, GPtrArray *folders,
                    GError **error)
{
    bool personal = *settings->dir_users && is_proven && *subject->user;
    return (!personal || add_personal(settings, subject->user, folders, error)) && add_list(settings, folders, error) &&
           add_table(settings, subject, folders, error);
}

void folders_keep(GPtrArray *folders, const GPtrArray *names)
{
    for (guint i = folders->len; i-- > 0;) {
        const HostFolder *folder = folders->pdata[i];
        if (!g_ptr_array_find_with_equal_func((GPtrArray *)names, folder->name, g_str_equal, NULL))
            g_ptr_array_remove_index(folders, i);
    }
}

/* --- what administrators have written --- */

/* With the folder of somebody's own. */
static bool add_settings(const Settings *settings, GPtrArray *folders, GError **error)
{
    return (!*settings->dir_users || add_personal(settings, "user", folders, error)) &&
           add_list(settings, folders, error);
}

bool folders_check_settings(const Settings *settings, GError **error)
{
    g_autoptr(GPtrArray) folders = g_ptr_array_new_with_free_func(host_folder_free);
    return add_settings(settings, folders, error);
}

/* An entry for some comes to what everybody has. */
static bool check_section(GKeyFile *table, const char *section, GPtrArray *folders, GError **error)
{
    guint before = folders->len;
    bool is_for_all = scope_matches(table, section, &scope_anybody);
    bool good = is_for_all || add_entry(table, section, false, folders, error);
    g_ptr_array_set_size(folders, (int)before);
    return good;
}

bool folders_check_table(const Settings *settings, GError **error)
{
    g_autoptr(GPtrArray) folders = g_ptr_array_new_with_free_func(host_folder_free);
    if (!add_settings(settings, folders, error) || !add_table(settings, &scope_anybody, folders, error))
        return false;
    g_autoptr(GKeyFile) table = scope_table_load(settings->file_folders, error);
    g_auto(GStrv) sections = table ? g_key_file_get_groups(table, NULL) : NULL;
    bool good = table != NULL;
    for (char **section = sections; good && *section; section++)
        good = check_section(table, *section, folders, error);
    if (!good)
        g_prefix_error(error, "%s: ", settings->file_folders);
    return good;
}
