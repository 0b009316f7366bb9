/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "auth/backoff.h"

#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/token.h"
#include "base/units.h"

#define FORGET_AFTER_S 3600
#define ENTRY_MAX_BYTES 8192
#define DOUBLINGS_MAX 20

typedef struct {
    const char *kind;
    gint64 free_attempts;
    gint64 wait_max_s;
} Rule;

static const Rule address_rule = {"address", 5, 900};
static const Rule user_rule = {"user", 10, 30};

static gint64 now_s(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

static char *folder_path(const Settings *settings)
{
    return g_build_filename(settings->dir_login, "backoff", NULL);
}

/* Names are hashed: they may hold anything. */
static char *entry_path(const Settings *settings, const Rule *rule, const char *name)
{
    g_autofree char *both = g_strdup_printf("%s:%s", rule->kind, name);
    g_autofree char *hash = token_hash(both);
    return g_build_filename(settings->dir_login, "backoff", hash, NULL);
}

static int lock(const Settings *settings, GError **error)
{
    g_autofree char *folder = folder_path(settings);
    g_autofree char *path = g_build_filename(settings->dir_login, "backoff.lock", NULL);
    if (!folder_make_private(settings->dir_login, error) || !folder_make_private(folder, error))
        return -1;
    return file_lock(path, error);
}

static void entry_free(void *data)
{
    BackoffEntry *entry = data;
    g_free(entry->kind);
    g_free(entry->name);
    g_free(entry);
}

static gint64 wait_left(const BackoffEntry *entry)
{
    const Rule *rule = g_str_equal(entry->kind, user_rule.kind) ? &user_rule : &address_rule;
    gint64 excess = entry->failures - rule->free_attempts;
    if (excess < 0)
        return 0;
    gint64 wait_s = MIN((gint64)1 << MIN(excess, DOUBLINGS_MAX), rule->wait_max_s);
    return MAX(entry->last_at + wait_s - now_s(), 0);
}

/* NULL when there is none, or it is so old that it is forgotten. */
static BackoffEntry *read_entry(const char *path)
{
    g_autoptr(JsonValue) object = json_object_read(path, ENTRY_MAX_BYTES, NULL);
    if (!object || json_get_integer(object, "last_at", 0) + FORGET_AFTER_S < now_s())
        return NULL;
    BackoffEntry *entry = g_new0(BackoffEntry, 1);
    entry->kind = g_strdup(json_get_text(object, "kind", ""));
    entry->name = g_strdup(json_get_text(object, "name", ""));
    entry->failures = json_get_integer(object, "failures", 0);
    entry->last_at = json_get_integer(object, "last_at", 0);
    entry->wait_s = wait_left(entry);
    return entry;
}

static bool write_entry(const char *path, const Rule *rule, const char *name, gint64 failures, GError **error)
{
    g_autofree char *valid = g_utf8_make_valid(name, -1);
    g_autoptr(JsonValue) object = json_pack("{s:s, s:s, s:I, s:I}", "kind", rule->kind, "name", valid, "failures",
                                            (json_int_t)failures, "last_at", (json_int_t)now_s());
    return json_object_write(path, object, FILE_WRITE_FAST, error);
}

static bool check(const Settings *settings, const Rule *rule, const char *name, GError **error)
{
    g_autofree char *path = entry_path(settings, rule, name);
    BackoffEntry *entry = read_entry(path);
    gint64 wait_s = entry ? entry->wait_s : 0;
    if (entry)
        entry_free(entry);
    if (wait_s == 0)
        return true;
    g_autofree char *wait = units_format_duration(wait_s);
    return qwd_error_fail(error, QWD_ERROR_LIMIT, "There were too many attempts to log in. Wait %s, then try again.",
                          wait);
}

static bool count(const Settings *settings, const Rule *rule, const char *name, GError **error)
{
    g_autofree char *path = entry_path(settings, rule, name);
    BackoffEntry *entry = read_entry(path);
    gint64 failures = entry ? entry->failures : 0;
    if (entry)
        entry_free(entry);
    return write_entry(path, rule, name, failures + 1, error);
}

static void remove_forgotten(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        BackoffEntry *entry = read_entry(path);
        if (!entry)
            unlink(path);
        else
            entry_free(entry);
    }
}

bool backoff_begin(const Settings *settings, const char *address, const char *user, GError **error)
{
    autofd int fd = lock(settings, error);
    if (fd < 0 || !check(settings, &address_rule, address, error) || !check(settings, &user_rule, user, error))
        return false;
    g_autofree char *folder = folder_path(settings);
    remove_forgotten(folder);
    return count(settings, &address_rule, address, error) && count(settings, &user_rule, user, error);
}

void backoff_succeeded(const Settings *settings, const char *address, const char *user)
{
    autofd int fd = lock(settings, NULL);
    if (fd < 0)
        return;
    g_autofree char *user_path = entry_path(settings, &user_rule, user);
    g_autofree char *address_path = entry_path(settings, &address_rule, address);
    unlink(user_path);
    BackoffEntry *entry = read_entry(address_path);
    if (entry && entry->failures > 1)
        write_entry(address_path, &address_rule, address, entry->failures - 1, NULL);
    else
        unlink(address_path);
    if (entry)
        entry_free(entry);
}

static int compare_most_first(gconstpointer a, gconstpointer b)
{
    const BackoffEntry *first = *(BackoffEntry *const *)a, *second = *(BackoffEntry *const *)b;
    return (first->failures < second->failures) - (first->failures > second->failures);
}

GPtrArray *backoff_list(const Settings *settings)
{
    GPtrArray *entries = g_ptr_array_new_with_free_func(entry_free);
    g_autofree char *folder = folder_path(settings);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        BackoffEntry *entry = read_entry(path);
        if (entry)
            g_ptr_array_add(entries, entry);
    }
    g_ptr_array_sort(entries, compare_most_first);
    return entries;
}

int backoff_clear(const Settings *settings, const char *name)
{
    autofd int fd = lock(settings, NULL);
    g_autoptr(GPtrArray) entries = backoff_list(settings);
    int cleared = 0;
    for (guint i = 0; fd >= 0 && i < entries->len; i++) {
        const BackoffEntry *entry = entries->pdata[i];
        const Rule *rule = g_str_equal(entry->kind, user_rule.kind) ? &user_rule : &address_rule;
        if (name && !g_str_equal(name, entry->name))
            continue;
        g_autofree char *path = entry_path(settings, rule, entry->name);
        cleared += unlink(path) == 0;
    }
    return cleared;
}
