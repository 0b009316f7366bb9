/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl enable, disable and download: the machines on offer. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/account.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/trusted_path.h"
#include "core/entries.h"
#include "core/inventory.h"
#include "core/machine.h"
#include "ctl/commands.h"
#include "ctl/output.h"
#include "ctl/transfers.h"
#include "fetch/checksum.h"

static GPtrArray *transfer_list(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)transfer_free);
}

/* --- what is meant: a machine, a file or an address --- */

static bool is_url(const char *word)
{
    return strstr(word, "://") && !g_str_has_prefix(word, "file://");
}

/* A file's name out of an address or a path. Free with g_free. */
static char *name_of(const char *word)
{
    bool is_address = strstr(word, "://") != NULL;
    g_autofree char *path = g_strndup(word, is_address ? strcspn(word, "?#") : strlen(word));
    g_autofree char *decoded = is_address ? g_uri_unescape_string(path, NULL) : NULL;
    return g_path_get_basename(decoded ? decoded : path);
}

/* The path of a file that is meant, NULL when the word is a machine's name. Free with g_free. */
static char *local_path(const Settings *settings, const char *word)
{
    if (g_str_has_prefix(word, "file://"))
        return g_filename_from_uri(word, NULL, NULL);
    if (strchr(word, '/'))
        return g_canonicalize_filename(word, NULL);
    g_autofree char *beside = g_build_filename(settings->dir_machines, word, NULL);
    bool is_here = g_file_test(word, G_FILE_TEST_IS_REGULAR) && !g_file_test(beside, G_FILE_TEST_EXISTS);
    return is_here ? g_canonicalize_filename(word, NULL) : NULL;
}

static bool is_in_place(const Settings *settings, const char *path)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_autofree char *machines = g_canonicalize_filename(settings->dir_machines, NULL);
    return g_str_equal(folder, machines);
}

/* --- getting the image there --- */

static bool run_one(const Settings *settings, const char *name, json_t *request, int source, GError **error)
{
    g_autoptr(GPtrArray) transfers = transfer_list();
    g_ptr_array_add(transfers, transfer_new(name, request, source));
    return transfers_run(settings, transfers, error);
}

/* What to do with a file that is here: "copy" or "inspect". */
static json_t *local_request(const char *what, const MachineEntry *entry)
{
    return json_pack("{s:b, s:s, s:s}", what, 1, "sha256", entry->sha256 ? entry->sha256 : "", "sha256_url",
                     entry->sha256_url ? entry->sha256_url : "");
}

/* Whoever owns a folder on the way could have moved a file of root's there. */
static bool check_source(int source, const char *path, GError **error)
{
    struct stat st;
    return (fstat(source, &st) == 0 && (st.st_uid != 0 || (st.st_mode & S_IROTH))) ||
           qwd_error_fail(error, QWD_ERROR_DENIED,
                          "%s is for root alone, and on the way to it another account could put something else in its "
                          "place. Move it to a folder of root, such as /root.",
                          path);
}

/* Root reads what another account could not, and hands it to the service account: it opens what is meant, and nothing
 * that somebody else has put a link to. */
static int open_image(const char *path, GError **error)
{
    if (!account_is_root() || path_is_of_root(path)) {
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
            qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "Cannot open %s: %s", path, g_strerror(errno));
        return fd;
    }
    autofd int fd = path_open_file(path, error);
    return fd >= 0 && check_source(fd, path, error) ? fd_steal(&fd) : -1;
}

static bool copy_image(const Settings *settings, const char *path, const MachineEntry *entry, GError **error)
{
    autofd int source = open_image(path, error);
    return source >= 0 && run_one(settings, entry->name, local_request("copy", entry), source, error);
}

/* The program that looks at an image does it as the service account: it also finds out whether that can read it. */
static bool inspect_image(const Settings *settings, const MachineEntry *entry, GError **error)
{
    return run_one(settings, entry->name, local_request("inspect", entry), -1, error);
}

static json_t *download_request(const char *url, const char *sha256, const char *sha256_url)
{
    return json_pack("{s:s, s:s, s:s}", "url", url, "sha256", sha256 ? sha256 : "", "sha256_url",
                     sha256_url ? sha256_url : "");
}

static bool refuse_existing(const Settings *settings, const char *name, GError **error)
{
    g_autofree char *path = g_build_filename(settings->dir_machines, name, NULL);
    return !g_file_test(path, G_FILE_TEST_EXISTS) ||
           qwd_error_fail(error, QWD_ERROR_CONFLICT, "%s exists already. To enable it: qwdctl enable %s", path, name);
}

/* --- enable --- */

/* A checksum, or the address of a list of them; NULL is none. */
static bool take_sum(MachineEntry *entry, const char *sum, GError **error)
{
    bool is_list = sum && (g_str_has_prefix(sum, "http://") || g_str_has_prefix(sum, "https://"));
    if (sum && !is_list && !checksum_is_well_formed(sum))
        return qwd_error_fail(
            error, QWD_ERROR_USAGE,
            "--sha256=%s is not a SHA-256 (64 hexadecimal digits), nor the http:// or https:// address "
            "of a list of them.",
            sum);
    entry->sha256_url = is_list ? sum : NULL;
    entry->sha256 = is_list ? NULL : sum;
    return true;
}

/* Without one, its host would be taken for the machine's name. */
static bool check_file_name(const char *url, GError **error)
{
    const char *path = strchr(strstr(url, "://") + 3, '/');
    size_t length = path ? strcspn(path, "?#") : 0;
    return (length > 1 && path[length - 1] != '/') ||
           qwd_error_fail(error, QWD_ERROR_USAGE, "%s does not end in the name of a file.", url);
}

static bool enable_url(const Settings *settings, const MachineEntry *entry, GError **error)
{
    const char *url = entry->url;
    if (!check_file_name(url, error) || !refuse_existing(settings, entry->name, error))
        return false;
    if (g_str_has_prefix(url, "http:") && !entry->sha256 && !entry->sha256_url)
        output_note("Note: %s is not protected on its way, and no checksum is known (--sha256=).", url);
    json_t *request = download_request(url, entry->sha256, entry->sha256_url);
    return run_one(settings, entry->name, request, -1, error);
}

static bool enable_file(const Settings *settings, const MachineEntry *entry, const char *path, GError **error)
{
    if (is_in_place(settings, path))
        return inspect_image(settings, entry, error);
    return refuse_existing(settings, entry->name, error) && copy_image(settings, path, entry, error);
}

/* --- the inventory, which the service account reads --- */

typedef struct {
    const Settings *settings;
    const char *name; /* of one machine */
    char **names;     /* of those to download; empty: what is missing */
} InventoryQuery;

static char *query_inventory(const InventoryQuery *query, char *(*run)(void *data, GError **error), GError **error)
{
    AccountWork work = {.run = run, .data = (void *)query};
    return account_run(query->settings->service_user, &work, error);
}

/* "file": the image is there; "url": the entry says where it comes from; "none". */
static char *find_source(void *data, GError **error)
{
    const InventoryQuery *query = data;
    g_autoptr(GPtrArray) inventory = inventory_load(query->settings, error);
    const InventoryItem *item = inventory ? inventory_find(inventory, query->name) : NULL;
    if (!inventory)
        return NULL;
    return g_strdup(item && item->has_file ? "file" : item && item->entry != ENTRY_NONE && *item->url ? "url" : "none");
}

/* Without an image, an entry that says where it comes from is enough. */
static bool enable_name(const Settings *settings, const MachineEntry *entry, GError **error)
{
    g_autofree char *source =
        query_inventory(&(InventoryQuery){.settings = settings, .name = entry->name}, find_source, error);
    if (!source)
        return false;
    if (g_str_equal(source, "file"))
        return inspect_image(settings, entry, error);
    if (g_str_equal(source, "url")) {
        output_note("Its image is not there yet. Next: qwdctl download %s", entry->name);
        return true;
    }
    return qwd_error_fail(error, QWD_ERROR_NOT_FOUND,
                          "There is no image %s in %s. Give the path of a file, or its address.", entry->name,
                          settings->dir_machines);
}

/* An entry is checked before anything is fetched for it. */
static bool bring(const Settings *settings, const MachineEntry *entry, const char *word, GError **error)
{
    if (!machines_check_entry(settings, entry, error))
        return false;
    if (entry->url)
        return enable_url(settings, entry, error);
    g_autofree char *path = local_path(settings, word);
    return path ? enable_file(settings, entry, path, error) : enable_name(settings, entry, error);
}

bool command_enable(Arguments *arguments, GError **error)
{
    const Settings *settings = arguments->settings;
    g_auto(GStrv) words = command_words(arguments);
    g_autofree char *name = name_of(words[0]), *file = NULL;
    MachineEntry entry = {.name = name, .description = words[1], .url = is_url(words[0]) ? words[0] : NULL};
    if (!take_sum(&entry, command_option_value(arguments, "--sha256"), error) ||
        !bring(settings, &entry, words[0], error) || !machines_enable(settings, &entry, &file, error))
        return false;
    output_note("Enabled in %s.", file);
    refresh_after_change(settings);
    printf("%s\n", name);
    return true;
}

/* --- disable --- */

bool command_disable(Arguments *arguments, GError **error)
{
    const Settings *settings = arguments->settings;
    g_auto(GStrv) words = command_words(arguments);
    g_autofree char *file = NULL;
    if (!machines_disable(settings, words[0], &file, error))
        return false;
    output_note("Disabled in %s. Running sessions go on.", file);
    refresh_after_change(settings);
    printf("%s\n", words[0]);
    return true;
}

/* --- download --- */

static bool add_item(json_t *requests, const InventoryItem *item, GError **error)
{
    if (!*item->url)
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "The entry of %s has no url to download it from.", item->name);
    json_t *request = download_request(item->url, item->sha256, item->sha256_url);
    json_object_set_new(request, "name", json_string(item->name));
    return json_array_append_new(requests, request) == 0;
}

static bool add_named(json_t *requests, const GPtrArray *inventory, const char *name, GError **error)
{
    const InventoryItem *item = inventory_find(inventory, name);
    if (!item || item->entry == ENTRY_NONE)
        return qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "There is no entry for %s. See: qwdctl status", name);
    return add_item(requests, item, error);
}

/* Those that are named, else all enabled ones whose image is not there. */
static char *list_requests(void *data, GError **error)
{
    const InventoryQuery *query = data;
    g_autoptr(GPtrArray) inventory = inventory_load(query->settings, error);
    g_autoptr(JsonValue) requests = json_array();
    for (guint i = 0; inventory && !*query->names && i < inventory->len; i++) {
        const InventoryItem *item = inventory->pdata[i];
        if (item->entry == ENTRY_ENABLED && !item->has_file && *item->url && !add_item(requests, item, error))
            return NULL;
    }
    for (char **name = query->names; inventory && *name; name++) {
        if (!add_named(requests, inventory, *name, error))
            return NULL;
    }
    return inventory ? json_dumps(requests, JSON_COMPACT) : NULL;
}

static GPtrArray *choose(const Settings *settings, char **names, GError **error)
{
    g_autofree char *text =
        query_inventory(&(InventoryQuery){.settings = settings, .names = names}, list_requests, error);
    g_autoptr(JsonValue) requests = text ? json_loads(text, 0, NULL) : NULL;
    if (!requests)
        return NULL;
    GPtrArray *transfers = transfer_list();
    size_t i;
    json_t *request;
    json_array_foreach(requests, i, request)
    {
        const char *name = json_get_text(request, "name", "");
        if (machine_name_is_valid(name))
            g_ptr_array_add(transfers, transfer_new(name, json_incref(request), -1));
    }
    return transfers;
}

bool command_download(Arguments *arguments, GError **error)
{
    const Settings *settings = arguments->settings;
    g_auto(GStrv) words = command_words(arguments);
    g_autoptr(GPtrArray) transfers = choose(settings, words, error);
    if (!transfers)
        return false;
    if (!transfers->len)
        output_note("Nothing to download: every enabled machine that has an address has its image.");
    bool good = transfers_run(settings, transfers, error);
    for (guint i = 0; i < transfers->len; i++) {
        const Transfer *transfer = transfers->pdata[i];
        if (!transfer->error)
            printf("%s\n", transfer->name);
    }
    refresh_after_change(settings);
    return good;
}
