/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/text.h"
#include "base/token.h"
#include "core/id_prefix.h"
#include "core/record_cache.h"

#define RECORD_MAX_BYTES (256 * 1024) /* boot scripts and their output take most of it: core/script.h */
#define ASIDE "broken-"

char *store_folder(const Settings *settings, const char *id)
{
    return g_build_filename(settings->dir_snapshots, id, NULL);
}

char *store_run_folder(const Settings *settings, const char *id)
{
    return g_build_filename(settings->dir_cfg, id, NULL);
}

char *store_display_folder(const Settings *settings)
{
    return g_build_filename(settings->dir_cfg, "display", NULL);
}

static char *record_path(const Settings *settings, const char *id)
{
    return g_build_filename(settings->dir_snapshots, id, "session.json", NULL);
}

/* dir_snapshots may be shared (/tmp): the files in it that are ours alone have a name of their own. */
int store_lock(const Settings *settings, GError **error)
{
    if (g_mkdir_with_parents(settings->dir_snapshots, 0711) < 0) {
        qwd_error_errno(error, errno, "Cannot make the folder %s", settings->dir_snapshots);
        return -1;
    }
    g_autofree char *path = g_build_filename(settings->dir_snapshots, ".qemu-web-desktop.lock", NULL);
    return file_lock(path, error);
}

static bool write_record(const Settings *settings, const SessionRecord *session, FileDurability durability,
                         GError **error)
{
    g_autofree char *path = record_path(settings, session->id);
    g_autoptr(JsonValue) object = session_to_json(session);
    return json_object_write(path, object, durability, error);
}

bool store_create(const Settings *settings, const SessionRecord *session, GError **error)
{
    g_autofree char *folder = store_folder(settings, session->id);
    if (folder_make_private(folder, error) && write_record(settings, session, FILE_WRITE_DURABLE, error))
        return true;
    folder_remove(folder, NULL);
    g_prefix_error(error, N_("The server's disk does not take a new session. "));
    return false;
}

/* Somebody else has written it, or the disk is at fault: nobody's request is wrong, and no setting is. */
static bool fail_broken(const char *path, const char *why, GError **error)
{
    return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "The record of this session cannot be read. %s%s%s",
                          strstr(why, path) ? "" : path, strstr(why, path) ? "" : ": ", why);
}

SessionRecord *store_load(const Settings *settings, const char *id, GError **error)
{
    if (!token_is_well_formed(id)) {
        g_propagate_error(error, session_not_found());
        return NULL;
    }
    g_autofree char *path = record_path(settings, id);
    g_autoptr(GError) cause = NULL;
    g_autoptr(JsonValue) object = json_object_read(path, RECORD_MAX_BYTES, &cause);
    if (!object && g_error_matches(cause, QWD_ERROR, QWD_ERROR_NOT_FOUND)) {
        g_propagate_error(error, session_not_found());
        return NULL;
    }
    if (!object) {
        fail_broken(path, cause->message, error);
        return NULL;
    }
    g_autoptr(SessionRecord) session = session_from_json(object, &cause);
    if (session && g_str_equal(session->id, id))
        return g_steal_pointer(&session);
    /* What is done to the record of another session would be done to that session. */
    fail_broken(path, session ? "This is the record of another session." : cause->message, error);
    return NULL;
}

SessionRecord *store_change(const Settings *settings, const char *id, StoreChange change, void *data, GError **error)
{
    g_autoptr(SessionRecord) known = store_load(settings, id, error);
    if (!known)
        return NULL;
    g_autofree char *lock_path = g_build_filename(settings->dir_snapshots, id, "lock", NULL);
    autofd int lock = file_lock(lock_path, error);
    if (lock < 0)
        return NULL;
    g_autoptr(SessionRecord) session = store_load(settings, id, error);
    if (!session || !change(session, data, error) || !write_record(settings, session, FILE_WRITE_FAST, error))
        return NULL;
    return g_steal_pointer(&session);
}

static int compare_newest_first(gconstpointer a, gconstpointer b)
{
    const SessionRecord *first = *(SessionRecord *const *)a, *second = *(SessionRecord *const *)b;
    if (first->created_at != second->created_at)
        return first->created_at < second->created_at ? 1 : -1;
    return strcmp(first->id, second->id);
}

/* The stamp is taken before the file is read: a record that is written meanwhile has another one. */
static SessionRecord *load_cached(const Settings *settings, RecordCache *cache, const char *id)
{
    struct stat st;
    g_autofree char *path = record_path(settings, id);
    if (stat(path, &st) < 0)
        return NULL;
    SessionRecord *session = record_cache_get(cache, id, &st);
    if (!session && (session = store_load(settings, id, NULL)))
        record_cache_put(cache, session, &st);
    return session;
}

GPtrArray *store_list(const Settings *settings, GError **error)
{
    GPtrArray *sessions = g_ptr_array_new_with_free_func((GDestroyNotify)session_free);
    g_autoptr(GError) cause = NULL;
    g_autoptr(GDir) folder = g_dir_open(settings->dir_snapshots, 0, &cause);
    if (!folder && !g_error_matches(cause, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
        g_propagate_error(error, g_steal_pointer(&cause));
        g_ptr_array_unref(sessions);
        return NULL;
    }
    RecordCache *cache = record_cache_open(settings);
    for (const char *name; folder && (name = g_dir_read_name(folder));) {
        SessionRecord *session = token_is_well_formed(name) ? load_cached(settings, cache, name) : NULL;
        if (session)
            g_ptr_array_add(sessions, session);
    }
    record_cache_close(cache);
    g_ptr_array_sort(sessions, compare_newest_first);
    return sessions;
}

void store_remove_disk(const Settings *settings, const char *id)
{
    struct stat st;
    g_autofree char *folder = store_folder(settings, id);
    g_autofree char *disk = g_build_filename(folder, "disk.qcow2", NULL);
    autofd int fd = open(disk, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 && ftruncate(fd, 0) < 0)
        g_debug("%s: %s", disk, g_strerror(errno));
    unlink(disk);
}

bool store_remove(const Settings *settings, const char *id, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autofree char *folder = store_folder(settings, id);
    store_remove_disk(settings, id);
    if (folder_remove(folder, &cause))
        return true;
    g_autofree char *aside = store_put_aside(settings, id);
    return qwd_error_fail(error, cause->code, "%s%s%s%s", cause->message,
                          aside ? " What is left was put aside as " : "", aside ? aside : "", aside ? "." : "");
}

char *store_put_aside(const Settings *settings, const char *id)
{
    g_autofree char *folder = store_folder(settings, id), *name = g_strconcat(ASIDE, id, NULL);
    g_autofree char *aside = g_build_filename(settings->dir_snapshots, name, NULL);
    return rename(folder, aside) == 0 ? g_steal_pointer(&aside) : NULL;
}

bool store_is_aside(const char *name)
{
    return g_str_has_prefix(name, ASIDE);
}

char *store_find_id(const Settings *settings, const char *word, GError **error)
{
    if (token_is_well_formed(word)) /* also of a session that has ended: whoever looks for it says so */
        return g_strdup(word);
    g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) folder = g_dir_open(settings->dir_snapshots, 0, NULL);
    for (const char *name; folder && (name = g_dir_read_name(folder));) {
        if (token_is_well_formed(name))
            g_ptr_array_add(ids, g_strdup(name));
    }
    return id_prefix_check(word, error) ? id_prefix_choose(ids, word, error) : NULL;
}

/* --- tokens --- */

char *store_find_token(const Settings *settings, const SessionLink *link)
{
    g_autofree char *path = store_display_folder(settings);
    g_autoptr(GDir) folder = *link->hash ? g_dir_open(path, 0, NULL) : NULL;
    for (const char *name; folder && (name = g_dir_read_name(folder));) {
        g_autofree char *hash = token_hash(name);
        if (token_equal(hash, link->hash))
            return g_strdup(name);
    }
    return NULL;
}

char *store_find_role_token(const Settings *settings, const SessionRecord *session, SessionRole role)
{
    for (guint i = 0; i < session->links->len; i++) {
        const SessionLink *link = session->links->pdata[i];
        if (link->role == role && (role == ROLE_VIEW || link->is_own))
            return store_find_token(settings, link);
    }
    return NULL;
}
