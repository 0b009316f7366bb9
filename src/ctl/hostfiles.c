/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "ctl/hostfiles.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "base/sysroot.h"

#define FILE_MAX_BYTES (1024 * 1024)
#define RECORD "record.json"

/* --- the record --- */

static char *record_path(const HostFiles *files)
{
    return g_build_filename(files->folder, RECORD, NULL);
}

bool hostfiles_open(HostFiles *files, const char *folder, GError **error)
{
    g_autoptr(GError) cause = NULL;
    files->folder = sysroot_path(folder);
    g_autofree char *path = record_path(files);
    files->record = json_object_read(path, FILE_MAX_BYTES, &cause);
    if (!files->record && !g_error_matches(cause, QWD_ERROR, QWD_ERROR_NOT_FOUND)) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    if (!files->record)
        files->record = json_pack("{s:{}}", "files");
    return true;
}

void hostfiles_clear(HostFiles *files)
{
    g_clear_pointer(&files->folder, g_free);
    g_clear_pointer(&files->record, json_decref);
}

bool hostfiles_save(const HostFiles *files, GError **error)
{
    g_autofree char *path = record_path(files);
    if (g_mkdir_with_parents(files->folder, 0755) < 0)
        return qwd_error_errno(error, errno, "Cannot make the folder %s", files->folder);
    return json_object_write(path, files->record, FILE_WRITE_DURABLE, error);
}

static json_t *entry_of(const HostFiles *files, const char *path)
{
    return json_object_get(json_object_get(files->record, "files"), path);
}

/* Where the file's old content is kept: a name made of its path. */
static char *saved_path(const HostFiles *files, const char *path)
{
    g_autofree char *name = g_strdelimit(g_strdup(path + 1), "/", '_');
    return g_build_filename(files->folder, name, NULL);
}

/* --- files --- */

/* NULL: there is none. */
static char *read_file(const char *path)
{
    g_autofree char *place = sysroot_path(path);
    return file_read(place, FILE_MAX_BYTES, NULL, NULL);
}

char *hostfiles_original(const HostFiles *files, const char *path)
{
    const json_t *entry = entry_of(files, path);
    if (!entry)
        return read_file(path);
    if (!json_get_bool(entry, "existed", false))
        return NULL;
    g_autofree char *saved = saved_path(files, path);
    return file_read(saved, FILE_MAX_BYTES, NULL, NULL);
}

static void hostfile_free(void *data)
{
    HostFile *file = data;
    g_free(file->path);
    g_free(file->content);
    g_free(file);
}

GPtrArray *hostfile_list_new(void)
{
    return g_ptr_array_new_with_free_func(hostfile_free);
}

void hostfile_list_add(GPtrArray *list, const char *path, char *content)
{
    HostFile *file = g_new(HostFile, 1);
    *file = (HostFile){.path = g_strdup(path), .content = content};
    g_ptr_array_add(list, file);
}

GPtrArray *hostfiles_originals(const HostFiles *files, GError **error)
{
    g_autoptr(GPtrArray) list = hostfile_list_new();
    const char *path;
    json_t *entry;
    json_object_foreach(json_object_get(files->record, "files"), path, entry)
    {
        char *content = hostfiles_original(files, path);
        if (!content && json_get_bool(entry, "existed", false)) {
            g_autofree char *saved = saved_path(files, path);
            qwd_error_fail(error, QWD_ERROR_CONFIG, "%s, the old copy of %s, cannot be read.", saved, path);
            return NULL;
        }
        hostfile_list_add(list, path, content);
    }
    return g_steal_pointer(&list);
}

void hostfiles_drop_unchanged(GPtrArray *list)
{
    for (guint i = list->len; i-- > 0;) {
        const HostFile *file = list->pdata[i];
        g_autofree char *now = read_file(file->path);
        if (g_strcmp0(now, file->content) == 0)
            g_ptr_array_remove_index(list, i);
    }
}

/* --- changes by others --- */

static char *digest(const char *content)
{
    return g_compute_checksum_for_string(G_CHECKSUM_SHA256, content, -1);
}

static bool was_written(const json_t *entry, const char *content)
{
    g_autofree char *sum = digest(content);
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(entry, "written"), i, item)
    {
        if (g_strcmp0(json_string_value(item), sum) == 0)
            return true;
    }
    return false;
}

/* Neither what it was, nor what we wrote, nor removed. */
static bool is_changed_by_hand(const HostFiles *files, const char *path)
{
    const json_t *entry = entry_of(files, path);
    g_autofree char *now = read_file(path);
    g_autofree char *original = hostfiles_original(files, path);
    return entry && now && g_strcmp0(now, original) != 0 && !was_written(entry, now);
}

bool hostfiles_check(const HostFiles *files, const GPtrArray *list, GError **error)
{
    for (guint i = 0; i < list->len; i++) {
        const HostFile *file = list->pdata[i];
        if (is_changed_by_hand(files, file->path))
            return qwd_error_fail(
                error, QWD_ERROR_CONFLICT,
                "%s was changed by hand since qwdctl wrote it. Undo that, or give --force: it is then "
                "replaced, and kept as %s.by-hand.",
                file->path, file->path);
    }
    return true;
}

/* --- differences --- */

static void print_lines(char sign, char *const *lines, guint begin, guint end)
{
    for (guint i = begin; i < end; i++)
        printf("%c%s\n", sign, lines[i]);
}

/* The lines of a text; the empty one behind the last line's end is none. */
static char **lines_of(const char *text)
{
    g_autofree char *copy = g_strdup(text ? text : "");
    size_t length = strlen(copy);
    if (length && copy[length - 1] == '\n')
        copy[length - 1] = '\0';
    return g_strsplit(copy, "\n", -1);
}

/* What is different stands in one place: lines before and after it are the same. */
static void print_difference(const HostFile *file)
{
    g_autofree char *now = read_file(file->path);
    g_auto(GStrv) old = lines_of(now), new = lines_of(file->content);
    guint old_end = g_strv_length(old), new_end = g_strv_length(new), begin = 0;
    while (begin < old_end && begin < new_end && g_str_equal(old[begin], new[begin]))
        begin++;
    while (old_end > begin && new_end > begin && g_str_equal(old[old_end - 1], new[new_end - 1])) {
        old_end--;
        new_end--;
    }
    printf("--- %s\n+++ %s\n@@ line %u @@\n", now ? file->path : "(no file)", file->content ? file->path : "(no file)",
           begin + 1);
    print_lines('-', old, begin, old_end);
    print_lines('+', new, begin, new_end);
}

void hostfiles_print(const GPtrArray *list)
{
    for (guint i = 0; i < list->len; i++)
        print_difference(list->pdata[i]);
}

/* --- writing --- */

static bool save_original(const HostFiles *files, const char *path, const char *now, GError **error)
{
    g_autofree char *saved = saved_path(files, path);
    return !now || file_write_atomic(saved, now, strlen(now), 0600, FILE_WRITE_DURABLE, error);
}

/* The folder of a new file may have to be made; it goes with the file. */
static json_t *new_entry(const char *path, bool existed)
{
    g_autofree char *place = sysroot_path(path), *folder = g_path_get_dirname(place);
    struct stat st = {.st_mode = 0644};
    bool has_folder = g_file_test(folder, G_FILE_TEST_IS_DIR);
    stat(place, &st);
    return json_pack("{s:b, s:i, s:b, s:[]}", "existed", (int)existed, "mode", (int)(st.st_mode & 07777), "made_folder",
                     (int)!has_folder, "written");
}

static bool note_file(const HostFiles *files, const HostFile *file, GError **error)
{
    json_t *entry = entry_of(files, file->path);
    if (!entry) {
        g_autofree char *now = read_file(file->path);
        if (!save_original(files, file->path, now, error))
            return false;
        entry = new_entry(file->path, now != NULL);
        json_object_set_new(json_object_get(files->record, "files"), file->path, entry);
    }
    g_autofree char *sum = file->content ? digest(file->content) : NULL;
    if (sum && !was_written(entry, file->content))
        json_array_append_new(json_object_get(entry, "written"), json_string(sum));
    return true;
}

static bool keep_by_hand(const HostFiles *files, const char *path, GError **error)
{
    g_autofree char *now = is_changed_by_hand(files, path) ? read_file(path) : NULL;
    g_autofree char *place = sysroot_path(path), *beside = g_strconcat(place, ".by-hand", NULL);
    return !now || file_write_atomic(beside, now, strlen(now), 0644, FILE_WRITE_DURABLE, error);
}

static bool write_file(const HostFiles *files, const HostFile *file, GError **error)
{
    g_autofree char *place = sysroot_path(file->path), *folder = g_path_get_dirname(place);
    mode_t mode = (mode_t)json_get_integer(entry_of(files, file->path), "mode", 0644);
    if (!file->content)
        return unlink(place) == 0 || errno == ENOENT || qwd_error_errno(error, errno, "Cannot remove %s", place);
    if (g_mkdir_with_parents(folder, 0755) < 0)
        return qwd_error_errno(error, errno, "Cannot make the folder %s", folder);
    return file_write_atomic(place, file->content, strlen(file->content), mode, FILE_WRITE_DURABLE, error);
}

/* What cannot be kept is not overwritten. */
static bool check_text(const char *path, GError **error)
{
    size_t length = 0;
    g_autoptr(GError) cause = NULL;
    g_autofree char *place = sysroot_path(path);
    g_autofree char *now = file_read(place, FILE_MAX_BYTES, &length, &cause);
    if (now && strlen(now) != length)
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "%s is not a text file.", path);
    if (now || g_error_matches(cause, QWD_ERROR, QWD_ERROR_NOT_FOUND))
        return true;
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

bool hostfiles_write(HostFiles *files, const GPtrArray *list, GError **error)
{
    for (guint i = 0; i < list->len; i++) {
        if (!check_text(((const HostFile *)list->pdata[i])->path, error))
            return false;
    }
    if (g_mkdir_with_parents(files->folder, 0755) < 0)
        return qwd_error_errno(error, errno, "Cannot make the folder %s", files->folder);
    for (guint i = 0; i < list->len; i++) {
        const HostFile *file = list->pdata[i];
        if (!keep_by_hand(files, file->path, error) || !note_file(files, file, error))
            return false;
    }
    if (!hostfiles_save(files, error))
        return false;
    for (guint i = 0; i < list->len; i++) {
        if (!write_file(files, list->pdata[i], error))
            return false;
    }
    return true;
}

bool hostfiles_forget(HostFiles *files, GError **error)
{
    const char *path;
    json_t *entry;
    json_object_foreach(json_object_get(files->record, "files"), path, entry)
    {
        g_autofree char *place = sysroot_path(path), *folder = g_path_get_dirname(place);
        if (json_get_bool(entry, "made_folder", false))
            rmdir(folder); /* not when others have put something there */
    }
    return folder_remove(files->folder, error);
}
