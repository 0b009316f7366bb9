/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "auth/backoff.h"

#include <arpa/inet.h>
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
static char *entry_path(const Settings *settings, const char *kind, const char *name)
{
    g_autofree char *both = g_strdup_printf("%s:%s", kind, name);
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

static void entry_free(BackoffEntry *entry)
{
    g_free(entry->kind);
    g_free(entry->name);
    g_free(entry);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BackoffEntry, entry_free)

static gint64 wait_left(const BackoffEntry *entry)
{
    const Rule *rule = g_str_equal(entry->kind, user_rule.kind) ? &user_rule : &address_rule;
    gint64 excess = entry->failures - rule->free_attempts;
    if (excess < 0)
        return 0;
    gint64 wait_s = MIN((gint64)1 << MIN(excess, DOUBLINGS_MAX), rule->wait_max_s);
    return MAX(entry->last_at + wait_s - now_s(), 0);
}

/* An address as it is counted. Free with g_free. */
static char *counted_address(const char *address)
{
    struct in6_addr six;
    char text[INET6_ADDRSTRLEN];
    if (inet_pton(AF_INET6, address, &six) != 1 || IN6_IS_ADDR_V4MAPPED(&six))
        return g_strdup(address);
    memset(six.s6_addr + 8, 0, 8);
    return g_strconcat(inet_ntop(AF_INET6, &six, text, sizeof text), "/64", NULL);
}

/* A user as it is counted: most servers take Alice for alice. Free with g_free. */
static char *counted_user(const char *user)
{
    return g_ascii_strdown(user, -1);
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
    entry->before_at = json_get_integer(object, "before_at", 0);
    entry->wait_s = wait_left(entry);
    return entry;
}

static bool write_entry(const char *path, const BackoffEntry *entry, GError **error)
{
    g_autoptr(JsonValue) object = json_pack("{s:s, s:s, s:I, s:I, s:I}", "kind", entry->kind, "name", entry->name,
                                            "failures", (json_int_t)entry->failures, "last_at",
                                            (json_int_t)entry->last_at, "before_at", (json_int_t)entry->before_at);
    return json_object_write(path, object, FILE_WRITE_FAST, error);
}

static bool check(const Settings *settings, const Rule *rule, const char *name, GError **error)
{
    g_autofree char *path = entry_path(settings, rule->kind, name);
    g_autoptr(BackoffEntry) entry = read_entry(path);
    if (!entry || entry->wait_s == 0)
        return true;
    g_autofree char *wait = units_format_duration(entry->wait_s);
    return qwd_error_fail(error, QWD_ERROR_LIMIT, "There were too many attempts to log in. Wait %s, then try again.",
                          wait);
}

static bool count(const Settings *settings, const Rule *rule, const char *name, GError **error)
{
    g_autofree char *path = entry_path(settings, rule->kind, name);
    g_autoptr(BackoffEntry) entry = read_entry(path);
    if (!entry) {
        entry = g_new0(BackoffEntry, 1);
        entry->kind = g_strdup(rule->kind);
        entry->name = g_utf8_make_valid(name, -1);
    }
    entry->failures++;
    entry->before_at = entry->last_at;
    entry->last_at = now_s();
    return write_entry(path, entry, error);
}

/* Nothing is left of the attempt: not its time either, or logging in would slow down all behind one address. */
static void take_back(const Settings *settings, const Rule *rule, const char *name)
{
    g_autofree char *path = entry_path(settings, rule->kind, name);
    g_autoptr(BackoffEntry) entry = read_entry(path);
    if (entry && entry->failures > 1) {
        entry->failures--;
        entry->last_at = entry->before_at;
        write_entry(path, entry, NULL);
    } else {
        unlink(path);
    }
}

static void remove_forgotten(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_autoptr(BackoffEntry) entry = read_entry(path);
        if (!entry)
            unlink(path);
    }
}

bool backoff_begin(const Settings *settings, const char *address, const char *user, GError **error)
{
    g_autofree char *place = counted_address(address), *name = counted_user(user);
    autofd int fd = lock(settings, error);
    if (fd < 0 || !check(settings, &address_rule, place, error) || !check(settings, &user_rule, name, error))
        return false;
    g_autofree char *folder = folder_path(settings);
    remove_forgotten(folder);
    return count(settings, &address_rule, place, error) && count(settings, &user_rule, name, error);
}

void backoff_succeeded(const Settings *settings, const char *address, const char *user)
{
    g_autofree char *place = counted_address(address), *name = counted_user(user);
    g_autofree char *user_path = entry_path(settings, user_rule.kind, name);
    autofd int fd = lock(settings, NULL);
    if (fd < 0)
        return;
    unlink(user_path);
    take_back(settings, &address_rule, place);
}

static int compare_most_first(gconstpointer a, gconstpointer b)
{
    const BackoffEntry *first = *(BackoffEntry *const *)a, *second = *(BackoffEntry *const *)b;
    return (first->failures < second->failures) - (first->failures > second->failures);
}

GPtrArray *backoff_list(const Settings *settings)
{
    GPtrArray *entries = g_ptr_array_new_with_free_func((GDestroyNotify)entry_free);
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
        if (name && g_ascii_strcasecmp(name, entry->name) != 0)
            continue;
        g_autofree char *path = entry_path(settings, entry->kind, entry->name);
        cleared += unlink(path) == 0;
    }
    return cleared;
}
