/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/saved.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/account.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/trusted_path.h"
#include "core/folder.h"

#define ENTRIES "saved.d"
#define SUFFIX ".qcow2"
#define NAME_MAX_BYTES 60
#define ENTRY_MAX_BYTES 65536
#define ENTRY_MODE 0600
#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

/* As the name of the personal folder; but % cannot stand in the name of a machine, so + is what begins a code. No user
 * has a colon in it, so that the first one ends it. */
char *saved_prefix(const char *user, GError **error)
{
    g_autofree char *folder = folder_name_of_user(user, error);
    if (!folder)
        return NULL;
    GString *prefix = g_string_new(NULL);
    for (const char *c = folder; *c; c++) {
        if (*c == '+' || (*c == '-' && c == folder)) /* a machine's name does not begin with - */
            g_string_append_printf(prefix, "+%02X", (unsigned char)*c);
        else
            g_string_append_c(prefix, *c == '%' ? '+' : *c);
    }
    g_string_append_c(prefix, ':');
    return g_string_free(prefix, FALSE);
}

char *saved_name(const char *user, const char *name, GError **error)
{
    size_t length = strlen(name);
    g_autofree char *prefix = saved_prefix(user, error);
    if (!prefix)
        return NULL;
    if (length > 0 && length <= NAME_MAX_BYTES && strspn(name, NAME_LETTERS) == length)
        return g_strconcat(prefix, name, g_str_has_suffix(name, SUFFIX) ? "" : SUFFIX, NULL);
    qwd_error_fail(error, QWD_ERROR_USAGE,
                   "This is no name for a machine. Write 1 to %d letters, digits and characters _ . - only.",
                   NAME_MAX_BYTES);
    return NULL;
}

static char *entries_folder(const Settings *settings)
{
    return g_build_filename(settings->dir_machines, ENTRIES, NULL);
}

char *saved_path(const Settings *settings, const char *machine)
{
    g_autofree char *file = g_strconcat(machine, ".ini", NULL);
    return g_build_filename(settings->dir_machines, ENTRIES, file, NULL);
}

bool saved_holds(const Settings *settings, const char *path)
{
    g_autofree char *folder = entries_folder(settings), *parent = g_path_get_dirname(path);
    return g_str_equal(folder, parent);
}

/* --- the files, which are the account's --- */

static void saved_file_free(SavedFile *file)
{
    g_free(file->path);
    g_free(file->text);
    g_free(file);
}

static void add_file(GPtrArray *files, const char *path, const char *text)
{
    SavedFile *file = g_new(SavedFile, 1);
    *file = (SavedFile){g_strdup(path), g_strdup(text)};
    g_ptr_array_add(files, file);
}

static GPtrArray *load(const Settings *settings)
{
    GPtrArray *files = g_ptr_array_new_with_free_func((GDestroyNotify)saved_file_free);
    g_autofree char *folder = entries_folder(settings);
    g_auto(GStrv) paths = folder_files(folder, ".ini");
    for (char **path = paths; *path; path++) {
        g_autofree char *text = file_read_text(*path, ENTRY_MAX_BYTES, NULL);
        if (text && g_utf8_validate(text, -1, NULL))
            add_file(files, *path, text);
    }
    return files;
}

static char *load_work(void *data, GError **error)
{
    (void)error;
    g_autoptr(GPtrArray) files = load(data);
    g_autoptr(JsonValue) list = json_array();
    for (guint i = 0; i < files->len; i++) {
        const SavedFile *file = files->pdata[i];
        json_array_append_new(list, json_pack("{s:s, s:s}", "path", file->path, "text", file->text));
    }
    return json_dumps(list, JSON_COMPACT);
}

GPtrArray *saved_load(const Settings *settings)
{
    g_autofree char *folder = entries_folder(settings);
    if (!account_is_root() || path_is_of_root(folder))
        return load(settings);
    GPtrArray *files = g_ptr_array_new_with_free_func((GDestroyNotify)saved_file_free);
    AccountWork work = {.run = load_work, .data = (void *)settings};
    g_autofree char *text = account_run(settings->service_user, &work, NULL);
    g_autoptr(JsonValue) list = text ? json_loads(text, 0, NULL) : NULL;
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) add_file(files, json_get_text(item, "path", ""), json_get_text(item, "text", ""));
    return files;
}

/* --- those of a user --- */

guint saved_count(const Settings *settings, const char *user)
{
    g_autofree char *prefix = saved_prefix(user, NULL);
    g_autofree char *folder = entries_folder(settings);
    g_auto(GStrv) files = folder_files(folder, ".ini");
    guint count = 0;
    for (char **file = files; prefix && *file; file++) {
        g_autofree char *name = g_path_get_basename(*file);
        count += g_str_has_prefix(name, prefix);
    }
    return count;
}

/* An image may be a link of the administrator's: what it leads to stays as it is. */
static bool close_to_others(const char *path)
{
    struct stat st;
    autofd int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 077) &&
           fchmod(fd, st.st_mode & 0700) == 0;
}

guint saved_close(const Settings *settings)
{
    g_autofree char *folder = entries_folder(settings);
    g_auto(GStrv) entries = folder_files(folder, ".ini");
    guint count = close_to_others(folder);
    for (char **entry = entries; *entry; entry++) {
        g_autofree char *file = g_path_get_basename(*entry);
        g_autofree char *machine = g_strndup(file, strlen(file) - strlen(".ini"));
        g_autofree char *image = g_build_filename(settings->dir_machines, machine, NULL);
        count += close_to_others(*entry);
        count += close_to_others(image);
    }
    return count;
}

bool saved_write(const Settings *settings, const char *machine, const char *text, GError **error)
{
    g_autofree char *folder = entries_folder(settings), *path = saved_path(settings, machine);
    if (g_mkdir_with_parents(folder, 0700) < 0)
        return qwd_error_errno(error, errno, "Cannot make the folder %s", folder);
    close_to_others(folder);
    return file_write_atomic(path, text, strlen(text), ENTRY_MODE, FILE_WRITE_DURABLE, error);
}

bool saved_has_entry(const Settings *settings, const char *machine)
{
    g_autofree char *entry = saved_path(settings, machine);
    return !strchr(machine, '/') && g_file_test(entry, G_FILE_TEST_IS_REGULAR);
}

bool saved_is_of(const Settings *settings, const char *machine, const char *user)
{
    g_autofree char *prefix = saved_prefix(user, NULL);
    return prefix && g_str_has_prefix(machine, prefix) && saved_has_entry(settings, machine);
}

bool saved_remove(const Settings *settings, const char *machine, GError **error)
{
    g_autofree char *entry = saved_path(settings, machine);
    g_autofree char *image = g_build_filename(settings->dir_machines, machine, NULL);
    if (unlink(entry) < 0 && errno != ENOENT)
        return qwd_error_errno(error, errno, "Cannot remove %s", entry);
    return unlink(image) == 0 || errno == ENOENT || qwd_error_errno(error, errno, "Cannot remove %s", image);
}
