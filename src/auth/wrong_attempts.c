/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "auth/wrong_attempts.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/token.h"

#define FORGET_AFTER_S 3600
#define ENTRY_MAX_BYTES 8192
#define DOUBLINGS_MAX 20
#define PRUNE_EVERY_S 600

static gint64 now_s(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

static char *folder_path(const Settings *settings)
{
    return g_build_filename(settings->dir_login, "backoff", NULL);
}

Counter counter_of(const char *kind, const char *key, char *name, char *address)
{
    g_autofree char *both = g_strdup_printf("%s:%s", kind, key);
    return (Counter){.kind = kind, .hash = token_hash(both), .name = name, .address = address};
}

void counter_clear(Counter *counter)
{
    g_free(counter->hash);
    g_free(counter->name);
    g_free(counter->address);
}

char *counter_path(const Settings *settings, const Counter *counter)
{
    return g_build_filename(settings->dir_login, "backoff", counter->hash, NULL);
}

int wrong_attempts_lock(const Settings *settings, GError **error)
{
    g_autofree char *folder = folder_path(settings);
    g_autofree char *path = g_build_filename(settings->dir_login, "backoff.lock", NULL);
    if (!folder_make_private(settings->dir_login, error) || !folder_make_private(folder, error))
        return -1;
    return file_lock(path, error);
}

void backoff_entry_free(BackoffEntry *entry)
{
    g_free(entry->kind);
    g_free(entry->name);
    g_free(entry->address);
    g_free(entry->path);
    g_free(entry);
}

static bool is_user(const char *kind)
{
    return g_str_equal(kind, KIND_USER);
}

gint64 counter_free_attempts(const Settings *settings, const char *kind)
{
    return is_user(kind) ? settings->login_attempts_per_user : settings->login_attempts_per_address;
}

gint64 backoff_entry_pause(const Settings *settings, const BackoffEntry *entry)
{
    bool is_short = is_user(entry->kind) || g_str_equal(entry->kind, KIND_USER_AT_ADDRESS);
    gint64 longest_s = is_short ? settings->login_wait_max_per_user : settings->login_wait_max_per_address;
    gint64 excess = entry->failures - counter_free_attempts(settings, entry->kind);
    return excess < 0 ? 0 : MIN((gint64)1 << MIN(excess, DOUBLINGS_MAX), longest_s);
}

static gint64 wait_left(const Settings *settings, const BackoffEntry *entry)
{
    gint64 pause_s = backoff_entry_pause(settings, entry);
    return pause_s ? MAX(entry->last_at + pause_s - now_s(), 0) : 0;
}

/* --- entries --- */

BackoffEntry *backoff_entry_read(const Settings *settings, const char *path)
{
    g_autoptr(JsonValue) object = json_object_read(path, ENTRY_MAX_BYTES, NULL);
    if (!object || json_get_integer(object, "last_at", 0) + FORGET_AFTER_S < now_s())
        return NULL;
    BackoffEntry *entry = g_new0(BackoffEntry, 1);
    entry->kind = g_strdup(json_get_text(object, "kind", ""));
    entry->name = g_strdup(json_get_text(object, "name", ""));
    entry->address = g_strdup(json_get_text(object, "address", ""));
    entry->path = g_strdup(path);
    entry->failures = json_get_integer(object, "failures", 0);
    entry->last_at = json_get_integer(object, "last_at", 0);
    entry->before_at = json_get_integer(object, "before_at", 0);
    entry->due_at = json_get_integer(object, "due_at", 0);
    entry->wait_s = wait_left(settings, entry);
    return entry;
}

/* Its time stamp is the time of the last attempt: those that are forgotten are found without reading any. */
bool backoff_entry_write(const BackoffEntry *entry, GError **error)
{
    const struct timespec times[2] = {{.tv_sec = entry->last_at}, {.tv_sec = entry->last_at}};
    g_autoptr(JsonValue) object =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "kind", entry->kind, "name", entry->name, "address",
                  entry->address, "failures", (json_int_t)entry->failures, "last_at", (json_int_t)entry->last_at,
                  "before_at", (json_int_t)entry->before_at, "due_at", (json_int_t)entry->due_at);
    if (!json_object_write(entry->path, object, FILE_WRITE_FAST, error))
        return false;
    utimensat(AT_FDCWD, entry->path, times, AT_SYMLINK_NOFOLLOW);
    return true;
}

BackoffEntry *backoff_entry_new(const Counter *counter, const char *path)
{
    BackoffEntry *entry = g_new0(BackoffEntry, 1);
    entry->kind = g_strdup(counter->kind);
    entry->name = g_utf8_make_valid(counter->name, -1);
    entry->address = g_utf8_make_valid(counter->address, -1);
    entry->path = g_strdup(path);
    return entry;
}

bool counter_add(const Settings *settings, const Counter *counter, GError **error)
{
    g_autofree char *path = counter_path(settings, counter);
    g_autoptr(BackoffEntry) entry = backoff_entry_read(settings, path);
    if (!entry)
        entry = backoff_entry_new(counter, path);
    g_free(entry->address); /* a browser may have another one now */
    entry->address = g_utf8_make_valid(counter->address, -1);
    entry->failures++;
    entry->before_at = entry->last_at;
    entry->last_at = now_s();
    return backoff_entry_write(entry, error);
}

void counter_forget(const Settings *settings, const Counter *counter)
{
    g_autofree char *path = counter_path(settings, counter);
    unlink(path);
}

void counter_take_back(const Settings *settings, const Counter *counter)
{
    g_autofree char *path = counter_path(settings, counter);
    bool counts_others = g_str_equal(counter->kind, KIND_ADDRESS);
    g_autoptr(BackoffEntry) entry = counts_others ? backoff_entry_read(settings, path) : NULL;
    if (entry && entry->failures > 1) {
        entry->failures--;
        entry->last_at = entry->before_at;
        backoff_entry_write(entry, NULL);
    } else {
        unlink(path);
    }
}

/* --- forgetting --- */

static bool is_older(const char *path, gint64 age_s)
{
    struct stat st;
    return lstat(path, &st) < 0 || st.st_mtime + age_s < now_s();
}

/* Once in a while, by one process or two. */
static bool is_prune_due(const Settings *settings)
{
    const struct timespec times[2] = {{.tv_sec = now_s()}, {.tv_sec = now_s()}};
    g_autofree char *stamp = g_build_filename(settings->dir_login, "backoff.pruned", NULL);
    if (!is_older(stamp, PRUNE_EVERY_S))
        return false;
    autofd int fd = open(stamp, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    return fd >= 0 && futimens(fd, times) == 0;
}

/* The lock is held for one entry at a time, of which somebody may just have counted another attempt. */
static void remove_forgotten(const Settings *settings)
{
    g_autofree char *folder = folder_path(settings);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        autofd int fd = is_older(path, FORGET_AFTER_S) ? wrong_attempts_lock(settings, NULL) : -1;
        if (fd >= 0 && is_older(path, FORGET_AFTER_S))
            unlink(path);
    }
}

void wrong_attempts_prune(const Settings *settings)
{
    if (is_prune_due(settings))
        remove_forgotten(settings);
}

/* --- all of them --- */

static int compare_most_first(gconstpointer a, gconstpointer b)
{
    const BackoffEntry *first = *(BackoffEntry *const *)a, *second = *(BackoffEntry *const *)b;
    return (first->failures < second->failures) - (first->failures > second->failures);
}

GPtrArray *wrong_attempts_list(const Settings *settings, bool want_places)
{
    GPtrArray *entries = g_ptr_array_new_with_free_func((GDestroyNotify)backoff_entry_free);
    g_autofree char *folder = folder_path(settings);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_autoptr(BackoffEntry) entry = backoff_entry_read(settings, path);
        if (entry && g_str_equal(entry->kind, KIND_PLACE) == want_places)
            g_ptr_array_add(entries, g_steal_pointer(&entry));
    }
    g_ptr_array_sort(entries, compare_most_first);
    return entries;
}
