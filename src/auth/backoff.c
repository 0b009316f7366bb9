/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "auth/backoff.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cidr.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/token.h"
#include "base/units.h"

#define FORGET_AFTER_S 3600
#define ENTRY_MAX_BYTES 8192
#define DOUBLINGS_MAX 20
#define PRUNE_EVERY_S 600

#define KIND_ADDRESS "address"
#define KIND_USER "user"
#define KIND_USER_AT_ADDRESS "user at address"
#define KIND_BROWSER "browser"

#define COUNTERS_MAX 2

/* What an attempt is counted for. */
typedef struct {
    const char *kind;
    char *key; /* what tells it from others of its kind */
    char *name, *address;
} Counter;

static gint64 now_s(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

static char *folder_path(const Settings *settings)
{
    return g_build_filename(settings->dir_login, "backoff", NULL);
}

/* Names are hashed: they may hold anything. */
static char *entry_path(const Settings *settings, const Counter *counter)
{
    g_autofree char *both = g_strdup_printf("%s:%s", counter->kind, counter->key);
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
    g_free(entry->address);
    g_free(entry->path);
    g_free(entry);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BackoffEntry, entry_free)

static gint64 wait_left(const Settings *settings, const BackoffEntry *entry)
{
    bool is_user = g_str_equal(entry->kind, KIND_USER);
    gint64 excess =
        entry->failures - (is_user ? settings->login_attempts_per_user : settings->login_attempts_per_address);
    gint64 wait_max_s = is_user ? settings->login_wait_max_per_user : settings->login_wait_max_per_address;
    if (excess < 0)
        return 0;
    gint64 wait_s = MIN((gint64)1 << MIN(excess, DOUBLINGS_MAX), wait_max_s);
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

/* --- what is counted --- */

bool backoff_trusts(const Settings *settings, const char *address)
{
    struct in6_addr given;
    if (!address_parse(address, &given))
        return false;
    for (char **network = settings->login_trusted_networks; *network; network++) {
        Cidr cidr;
        if (cidr_parse(*network, &cidr) && cidr_contains(&cidr, &given))
            return true;
    }
    return false;
}

bool backoff_check_settings(const Settings *settings, GError **error)
{
    for (char **network = settings->login_trusted_networks; *network; network++) {
        Cidr cidr;
        if (!cidr_parse(*network, &cidr))
            return qwd_error_fail(error, QWD_ERROR_CONFIG,
                                  "login_trusted_networks: \"%s\" is no network. Write one as 192.0.2.0/24 or "
                                  "2001:db8::/32.",
                                  *network);
    }
    return true;
}

static void counters_clear(Counter counters[COUNTERS_MAX])
{
    for (size_t i = 0; i < COUNTERS_MAX; i++) {
        g_free(counters[i].key);
        g_free(counters[i].name);
        g_free(counters[i].address);
    }
}

/* Returns how many there are. An address and an id hold no space. */
static size_t counters_of(const Settings *settings, const LoginAttempt *attempt, Counter counters[COUNTERS_MAX])
{
    g_autofree char *place = counted_address(attempt->address), *user = counted_user(attempt->user);
    bool is_trusted = !attempt->browser && backoff_trusts(settings, attempt->address);
    memset(counters, 0, COUNTERS_MAX * sizeof *counters);
    if (attempt->browser || is_trusted) {
        const char *where = is_trusted ? place : attempt->browser;
        counters[0] = (Counter){is_trusted ? KIND_USER_AT_ADDRESS : KIND_BROWSER, g_strjoin(" ", where, user, NULL),
                                g_strdup(user), g_strdup(place)};
        return 1;
    }
    counters[0] = (Counter){KIND_ADDRESS, g_strdup(place), g_strdup(place), g_strdup(place)};
    counters[1] = (Counter){KIND_USER, g_strdup(user), g_strdup(user), g_strdup("")};
    return 2;
}

/* --- entries --- */

/* NULL when there is none, or it is so old that it is forgotten. */
static BackoffEntry *read_entry(const Settings *settings, const char *path)
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
    entry->wait_s = wait_left(settings, entry);
    return entry;
}

/* Its time stamp is the time of the last attempt: those that are forgotten are found without reading any. */
static bool write_entry(const BackoffEntry *entry, GError **error)
{
    const struct timespec times[2] = {{.tv_sec = entry->last_at}, {.tv_sec = entry->last_at}};
    g_autoptr(JsonValue) object =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "kind", entry->kind, "name", entry->name, "address", entry->address,
                  "failures", (json_int_t)entry->failures, "last_at", (json_int_t)entry->last_at, "before_at",
                  (json_int_t)entry->before_at);
    if (!json_object_write(entry->path, object, FILE_WRITE_FAST, error))
        return false;
    utimensat(AT_FDCWD, entry->path, times, AT_SYMLINK_NOFOLLOW);
    return true;
}

static bool check(const Settings *settings, const Counter *counter, GError **error)
{
    g_autofree char *path = entry_path(settings, counter);
    g_autoptr(BackoffEntry) entry = read_entry(settings, path);
    if (!entry || entry->wait_s == 0)
        return true;
    g_autofree char *wait = units_format_duration(entry->wait_s);
    return qwd_error_fail(error, QWD_ERROR_LIMIT, "There were too many attempts to log in. Wait %s, then try again.",
                          wait);
}

static bool count(const Settings *settings, const Counter *counter, GError **error)
{
    g_autofree char *path = entry_path(settings, counter);
    g_autoptr(BackoffEntry) entry = read_entry(settings, path);
    if (!entry) {
        entry = g_new0(BackoffEntry, 1);
        entry->kind = g_strdup(counter->kind);
        entry->name = g_utf8_make_valid(counter->name, -1);
        entry->path = g_strdup(path);
    }
    g_free(entry->address); /* a browser may have another one now */
    entry->address = g_utf8_make_valid(counter->address, -1);
    entry->failures++;
    entry->before_at = entry->last_at;
    entry->last_at = now_s();
    return write_entry(entry, error);
}

/* Nothing is left of the attempt: not its time either, or logging in would slow down all behind one address. */
static void take_back(const Settings *settings, const Counter *counter)
{
    g_autofree char *path = entry_path(settings, counter);
    bool counts_others = g_str_equal(counter->kind, KIND_ADDRESS);
    g_autoptr(BackoffEntry) entry = counts_others ? read_entry(settings, path) : NULL;
    if (entry && entry->failures > 1) {
        entry->failures--;
        entry->last_at = entry->before_at;
        write_entry(entry, NULL);
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
    autofd int fd = open(stamp, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd >= 0 && futimens(fd, times) == 0;
}

/* The lock is held for one entry at a time, of which somebody may just have counted another attempt. */
static void remove_forgotten(const Settings *settings)
{
    g_autofree char *folder = folder_path(settings);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        autofd int fd = is_older(path, FORGET_AFTER_S) ? lock(settings, NULL) : -1;
        if (fd >= 0 && is_older(path, FORGET_AFTER_S))
            unlink(path);
    }
}

/* --- attempts --- */

static bool check_and_count(const Settings *settings, const Counter *counters, size_t counter_count, GError **error)
{
    autofd int fd = lock(settings, error);
    bool good = fd >= 0;
    for (size_t i = 0; good && i < counter_count; i++)
        good = check(settings, &counters[i], error);
    for (size_t i = 0; good && i < counter_count; i++)
        good = count(settings, &counters[i], error);
    return good;
}

bool backoff_begin(const Settings *settings, const LoginAttempt *attempt, GError **error)
{
    Counter counters[COUNTERS_MAX];
    size_t counter_count = counters_of(settings, attempt, counters);
    bool good = check_and_count(settings, counters, counter_count, error);
    counters_clear(counters);
    if (is_prune_due(settings))
        remove_forgotten(settings);
    return good;
}

void backoff_succeeded(const Settings *settings, const LoginAttempt *attempt)
{
    Counter counters[COUNTERS_MAX];
    size_t counter_count = counters_of(settings, attempt, counters);
    autofd int fd = lock(settings, NULL);
    for (size_t i = 0; fd >= 0 && i < counter_count; i++)
        take_back(settings, &counters[i]);
    counters_clear(counters);
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
        BackoffEntry *entry = read_entry(settings, path);
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
        bool is_meant = !name || g_ascii_strcasecmp(name, entry->name) == 0 || g_str_equal(name, entry->address);
        cleared += is_meant && unlink(entry->path) == 0;
    }
    return cleared;
}
