/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What the service has: settings, folders, room, machines, ways to log in, secrets. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "app/troubles.h"
#include "auth/backoff.h"
#include "base/fd.h"
#include "base/trusted_path.h"
#include "core/inventory.h"
#include "core/policy.h"
#include "core/saved.h"
#include "core/store.h"
#include "ctl/commands.h"
#include "ctl/doctor.h"
#include "ctl/output.h"
#include "display/websockify.h"
#include "vm/image.h"

#define GIB ((gint64)1024 * 1024 * 1024)
#define MIB ((gint64)1024 * 1024)
#define TOKEN_CHARS 32
#define USERS_OF_PROXY 3 /* so many who fail to log in do not sit at one computer */

/* --- settings --- */

static void note_trouble(Doctor *doctor, const Trouble *trouble)
{
    g_autofree char *path =
        trouble->table ? settings_value_text(doctor->settings, settings_find(trouble->table)) : NULL;
    bool has_verb = !path || g_str_equal(trouble->table, "file_groups");
    g_autofree char *mend =
        has_verb ? g_strdup_printf("qwdctl edit %s", path ? "groups" : "config") : doctor_command("editor %s", path);
    doctor_note(doctor, LEVEL_BROKEN, "settings", mend, "%s", trouble->text);
}

/* The account's programs read the settings again, at each request. */
static bool check_readable(Doctor *doctor)
{
    const char *file = settings_default_file();
    g_autoptr(GError) cause = NULL;
    g_autoptr(Settings) settings = settings_load(file, false, NULL, &cause);
    g_autofree char *closed = settings ? NULL : doctor_closed_folder(file);
    g_autofree char *enter = closed ? doctor_command_on(doctor, closed, "chmod a+x %s", closed) : NULL;
    g_autofree char *open = access(file, R_OK) < 0 ? doctor_command_on(doctor, file, "chmod a+r %s", file) : NULL;
    const char *mend = enter ? enter : open;
    if (!settings)
        doctor_note(doctor, LEVEL_BROKEN, "settings", mend ? mend : "",
                    "Every page fails, since %s cannot read the settings: %s", doctor->account.name, cause->message);
    return settings != NULL;
}

void doctor_check_settings(Doctor *doctor)
{
    if (!check_readable(doctor))
        return;
    g_autoptr(GPtrArray) troubles = troubles_find(doctor->settings);
    for (guint i = 0; i < troubles->len; i++)
        note_trouble(doctor, troubles->pdata[i]);
    if (!troubles->len)
        doctor_note(doctor, LEVEL_OK, "settings", "", "Sessions can start with what the settings say.");
}

/* --- folders --- */

/* The folder, or the nearest above it that exists: there it would be made. */
static char *nearest(const char *path)
{
    char *current = g_strdup(path);
    while (access(current, F_OK) < 0) {
        char *parent = g_path_get_dirname(current);
        g_free(current);
        current = parent;
    }
    return current;
}

/* False when the service account does not even get there. */
static bool check_way(Doctor *doctor, const char *part, const char *path)
{
    g_autofree char *closed = doctor_closed_folder(path);
    g_autofree char *mend = closed ? doctor_command_on(doctor, closed, "chmod a+x %s", closed) : NULL;
    if (closed)
        doctor_note(doctor, LEVEL_BROKEN, part, mend, "%s may not enter %s, on the way to %s.", doctor->account.name,
                    closed, path);
    return !closed;
}

/* To be made where `there` is the last folder of its path that exists. */
static char *command_to_make(const Doctor *doctor, const char *path, const char *there)
{
    const char *user = doctor->account.name;
    return path_is_placed_by_root(path) ? doctor_command("install -d -o %s -g %s %s", user, user, path)
                                        : doctor_command_on(doctor, there, "mkdir -p %s", path);
}

/* As the service writes: also quotas, full and read-only disks are found. False with errno. */
static bool try_file(const char *folder)
{
    char bytes[BUFSIZ] = {0};
    g_autofree char *path = g_build_filename(folder, ".qwd-doctor-XXXXXX", NULL);
    autofd int fd = g_mkstemp_full(path, O_RDWR | O_CLOEXEC, 0600);
    bool good = fd >= 0 && fd_write_all(fd, bytes, sizeof bytes) && fsync(fd) == 0;
    int cause = errno;
    if (fd >= 0)
        unlink(path);
    errno = cause;
    return good;
}

static void check_writing(Doctor *doctor, const char *key, const char *path)
{
    const char *user = doctor->account.name;
    if (try_file(path)) {
        doctor_note(doctor, LEVEL_OK, "folders", "", "%s = %s", key, path);
        return;
    }
    int cause = errno;
    bool is_own = cause == EACCES && path_is_placed_by_root(path);
    g_autofree char *own = is_own ? doctor_command("chown %s: %s", user, path) : g_strdup("");
    doctor_note(doctor, LEVEL_BROKEN, "folders", cause == ENOSPC ? "qwdctl purge" : own,
                "%s = %s cannot be written by %s: %s.", key, path, user, g_strerror(cause));
}

static void check_folder(Doctor *doctor, const char *key, const char *path)
{
    const char *part = "folders", *user = doctor->account.name;
    g_autofree char *there = nearest(path);
    g_autofree char *make = command_to_make(doctor, path, there);
    g_autofree char *close = doctor_command_on(doctor, path, "chmod o-w %s", path);
    struct stat st;
    bool exists = stat(path, &st) == 0;
    if (exists && !S_ISDIR(st.st_mode))
        doctor_note(doctor, LEVEL_BROKEN, part, "qwdctl edit config", "%s = %s is no folder.", key, path);
    else if (exists && (st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX))
        doctor_note(doctor, LEVEL_BROKEN, part, close, "%s = %s can be written by everybody.", key, path);
    else if (exists)
        check_writing(doctor, key, path);
    else if (access(there, R_OK | W_OK | X_OK) < 0)
        doctor_note(doctor, LEVEL_BROKEN, part, make, "%s = %s is not there, and cannot be made by %s.", key, path,
                    user);
    else
        doctor_note(doctor, LEVEL_OK, part, "", "%s = %s", key, path);
}

static void check_log(Doctor *doctor)
{
    const char *path = doctor->settings->file_log, *user = doctor->account.name;
    g_autofree char *parent = g_path_get_dirname(path);
    bool exists = access(path, F_OK) == 0;
    g_autofree char *own = exists ? doctor_command("chown %s %s", user, path)
                                  : doctor_command("install -o %s -g adm -m 640 /dev/null %s", user, path);
    const char *mend = path_is_placed_by_root(path) ? own : "";
    if (access(exists ? path : parent, W_OK) == 0)
        doctor_note(doctor, LEVEL_OK, "log", "", "file_log = %s", path);
    else
        doctor_note(doctor, LEVEL_WARNING, "log", mend, "file_log = %s cannot be written by %s.", path, user);
}

void doctor_check_folders(Doctor *doctor)
{
    static const char *const keys[] = {"dir_machines", "dir_snapshots", "dir_cfg", "dir_cache", "dir_login"};
    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autofree char *path = settings_value_text(doctor->settings, settings_find(keys[i]));
        if (check_way(doctor, "folders", path))
            check_folder(doctor, keys[i], path);
    }
    check_log(doctor);
}

/* Where links lead to websockify itself, another program may have its port. */
static void check_port(Doctor *doctor)
{
    const Settings *settings = doctor->settings;
    WebsockifyOptions options = {
        .state_folder = settings->dir_cfg, .address = settings->service_address, .port = (int)settings->service_port};
    g_autoptr(GError) error = NULL;
    if (*settings->service_path)
        return;
    if (websockify_check_port(&options, &error))
        doctor_note(doctor, LEVEL_OK, "display", "", "Port %d is free for websockify.", options.port);
    else
        doctor_note(doctor, LEVEL_BROKEN, "display", "qwdctl edit config", "%s", error->message);
}

/* Only where the folder is there: sessions make it, and doctor_check_folders says whether they can. */
static void check_listening(Doctor *doctor)
{
    const char *folder = doctor->settings->dir_cfg;
    g_autofree char *name = g_strdup_printf(".qwd-doctor-%d", (int)getpid());
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autoptr(GError) error = NULL;
    if (access(folder, W_OK) < 0 || strlen(path) > UNIX_PATH_MAX_BYTES)
        return;
    autofd int fd = unix_listen(path, &error);
    unlink(path);
    if (fd < 0)
        doctor_note(doctor, LEVEL_BROKEN, "sockets", "", "%s", error->message);
}

void doctor_check_sockets(Doctor *doctor)
{
    check_port(doctor);
    check_listening(doctor);
    g_autofree char *folder = store_display_folder(doctor->settings);
    size_t length = strlen(folder) + 1 + TOKEN_CHARS;
    if (length > UNIX_PATH_MAX_BYTES)
        doctor_note(doctor, LEVEL_BROKEN, "sockets", "qwdctl edit config",
                    "dir_cfg = %s is too long a path: its sockets' have %zu bytes, %d are possible.",
                    doctor->settings->dir_cfg, length, UNIX_PATH_MAX_BYTES);
    else
        doctor_note(doctor, LEVEL_OK, "sockets", "", "The path of dir_cfg is short enough.");
}

/* --- room --- */

static void check_room(Doctor *doctor, const char *key, const char *path, gint64 wanted)
{
    struct statvfs fs;
    g_autofree char *there = nearest(path);
    if (statvfs(there, &fs) < 0)
        return;
    gint64 free_bytes = (gint64)fs.f_bavail * (gint64)fs.f_frsize;
    g_autofree char *text = output_size(free_bytes);
    Level level = free_bytes < GIB ? LEVEL_BROKEN : free_bytes < wanted ? LEVEL_WARNING : LEVEL_OK;
    doctor_note(doctor, level, "room", level == LEVEL_OK ? "" : "qwdctl purge", "%s are free for %s.", text, key);
}

/* Folders of sessions that could not be read, or not be removed. */
static void check_remains(Doctor *doctor)
{
    const char *folder = doctor->settings->dir_snapshots;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    guint count = 0;
    for (const char *name; dir && (name = g_dir_read_name(dir));)
        count += store_is_aside(name);
    if (count)
        doctor_note(doctor, LEVEL_WARNING, "disk", "qwdctl purge",
                    "In %s, broken-ID is what is left of a session whose record could not be read or whose files could "
                    "not be removed: %u in all.",
                    folder, count);
}

void doctor_check_disk(Doctor *doctor)
{
    const Settings *settings = doctor->settings;
    gint64 wanted = MAX(settings->snapshot_alloc_disk * MIB, settings->service_min_free_disk * MIB);
    check_room(doctor, "dir_snapshots", settings->dir_snapshots, wanted);
    check_room(doctor, "dir_machines", settings->dir_machines, GIB);
    check_remains(doctor);
}

/* --- machines --- */

/* Whether sessions can start from it: as they look, so no other image is taken for good. */
static bool check_image(Doctor *doctor, const InventoryItem *item, const char *mend)
{
    g_auto(ImageInfo) info = {0};
    g_autoptr(GError) error = NULL;
    bool good = image_inspect(item->path, doctor->settings->dir_machines, &info, &error);
    if (!good)
        doctor_note(doctor, LEVEL_BROKEN, "machines", mend, "%s", error->message);
    return good;
}

/* Whether it can be started. */
static bool check_item(Doctor *doctor, const InventoryItem *item)
{
    g_autofree char *fetch = doctor_command("qwdctl download %s", item->name);
    g_autofree char *disable = doctor_command("qwdctl disable %s", item->name);
    g_autofree char *open = doctor_command_on(doctor, item->path, "chmod a+r %s", item->path);
    g_autofree char *edit = doctor_command("qwdctl edit %s", item->name);
    const char *mend = *item->url ? fetch : disable;
    if (item->entry == ENTRY_ENABLED && !item->has_file)
        doctor_note(doctor, LEVEL_WARNING, "machines", mend, "The image of %s is not there.", item->name);
    else if (item->entry == ENTRY_ENABLED && access(item->path, R_OK) < 0)
        doctor_note(doctor, LEVEL_BROKEN, "machines", *open ? open : "qwdctl enable FILE",
                    "The image of %s cannot be read by %s.", item->name, doctor->account.name);
    else if (item->entry == ENTRY_NONE && saved_has_entry(doctor->settings, item->name))
        doctor_note(doctor, LEVEL_WARNING, "machines", edit, "The entry of %s is broken, so nobody can start it.",
                    item->name);
    else
        return item->entry == ENTRY_ENABLED && check_image(doctor, item, mend);
    return false;
}

static void check_page(Doctor *doctor)
{
    if (access(doctor->settings->file_page, R_OK) == 0)
        doctor_note(doctor, LEVEL_OK, "page", "", "file_page = %s", doctor->settings->file_page);
    else
        doctor_note(doctor, LEVEL_WARNING, "page", "qwdctl refresh", "The page %s is not there.",
                    doctor->settings->file_page);
}

void doctor_check_machines(Doctor *doctor)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) inventory = inventory_load(doctor->settings, &error);
    guint usable = 0;
    for (guint i = 0; inventory && i < inventory->len; i++)
        usable += check_item(doctor, inventory->pdata[i]);
    if (!inventory)
        doctor_note(doctor, LEVEL_BROKEN, "machines", "qwdctl edit machines", "%s", error->message);
    else if (usable)
        doctor_note(doctor, LEVEL_OK, "machines", "", "%u can be started.", usable);
    else
        doctor_note(doctor, LEVEL_WARNING, "machines", "qwdctl enable FILE", "None is on offer.");
    check_page(doctor);
}

/* --- looks --- */

void doctor_check_looks(Doctor *doctor)
{
    const char *folder = doctor->settings->dir_layout;
    g_autoptr(GPtrArray) troubles = refresh_troubles(doctor->settings);
    if (troubles->len == 0)
        doctor_note(doctor, LEVEL_OK, "looks", "",
                    access(folder, F_OK) == 0 ? "dir_layout = %s" : "There is no %s: the looks are ours.", folder);
    for (guint i = 0; i < troubles->len; i++)
        doctor_note(doctor, LEVEL_BROKEN, "looks", "qwdctl edit web", "%s", (const char *)troubles->pdata[i]);
}

/* --- who may come in --- */

static void check_local_accounts(Doctor *doctor)
{
    struct stat st;
    g_autofree char *path = g_build_filename(doctor->settings->dir_lib, "qwd-auth-local", NULL);
    g_autofree char *mend = doctor_command("chown root:%s %s && chmod 4750 %s", doctor->account.name, path, path);
    if (!doctor->settings->check_user_with_local)
        return;
    if (stat(path, &st) == 0 && st.st_uid == 0 && (st.st_mode & S_ISUID) && !(st.st_mode & S_IXOTH))
        doctor_note(doctor, LEVEL_OK, "login", "", "qwd-auth-local may check passwords.");
    else
        doctor_note(doctor, LEVEL_WARNING, "login", mend,
                    "qwd-auth-local may not check the passwords of accounts in /etc/shadow.");
}

/* The address that all failed attempts of these come from, when they are of several users; NULL otherwise. */
static const char *only_address(const GPtrArray *entries)
{
    const char *only = NULL;
    g_autoptr(GHashTable) users = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < entries->len; i++) {
        const BackoffEntry *entry = entries->pdata[i];
        if (*entry->address && only && !g_str_equal(only, entry->address))
            return NULL;
        only = *entry->address ? entry->address : only;
        if (!g_str_equal(entry->name, entry->address))
            g_hash_table_add(users, entry->name);
    }
    return g_hash_table_size(users) >= USERS_OF_PROXY ? only : NULL;
}

/* A reverse proxy that does not say whom it asks for makes all visitors one, who wait for each other's mistakes. */
static void check_attempts(Doctor *doctor)
{
    g_autoptr(GPtrArray) entries = backoff_list(doctor->settings);
    const char *address = only_address(entries);
    if (address && !backoff_trusts(doctor->settings, address))
        doctor_note(doctor, LEVEL_WARNING, "login", "qwdctl backoff",
                    "All failed logins of the last hour come from %s. If this is a reverse proxy, have the web server "
                    "restore the visitors' addresses (Apache: mod_remoteip). If it is a network of many users, name it "
                    "in login_trusted_networks.",
                    address);
}

void doctor_check_login(Doctor *doctor)
{
    const Settings *settings = doctor->settings;
    bool has_login = policy_login_is_configured(settings);
    if (has_login)
        doctor_note(doctor, LEVEL_OK, "login", "", "A way to log in is configured.");
    else if (settings->service_open)
        doctor_note(doctor, LEVEL_WARNING, "login", "qwdctl edit config",
                    "Whoever reaches the service can use it: service_open without a way to log in.");
    else
        doctor_note(doctor, LEVEL_WARNING, "login", "qwdctl edit config",
                    "No way to log in is configured: only browsers on this machine are answered.");
    check_local_accounts(doctor);
    check_attempts(doctor);
}

static void check_secret(Doctor *doctor, const char *key, const char *path)
{
    struct stat st;
    g_autofree char *mend = doctor_command_on(doctor, path, "chmod o= %s", path);
    if (stat(path, &st) < 0 || access(path, R_OK) < 0)
        doctor_note(doctor, LEVEL_BROKEN, "secrets", "", "%s = %s cannot be read by %s: %s.", key, path,
                    doctor->account.name, g_strerror(errno));
    else if (st.st_mode & (S_IROTH | S_IWOTH | S_IXOTH))
        doctor_note(doctor, LEVEL_BROKEN, "secrets", mend, "%s = %s is open to every account.", key, path);
    else
        doctor_note(doctor, LEVEL_OK, "secrets", "", "%s = %s", key, path);
}

static void check_secret_file(Doctor *doctor, const char *key, const char *path)
{
    if (*path)
        check_secret(doctor, key, path);
}

/* Made when it is needed. */
static void check_secret_folder(Doctor *doctor, const char *key, const char *path)
{
    if (access(path, F_OK) == 0)
        check_secret(doctor, key, path);
}

/* Sessions and logins are secrets as well: records, keys of the displays, the key that signs logins. */
void doctor_check_secrets(Doctor *doctor)
{
    const Settings *settings = doctor->settings;
    check_secret_file(doctor, "ldap_bind_password_file", settings->ldap_bind_password_file);
    check_secret_file(doctor, "email_password_file", settings->email_password_file);
    check_secret_file(doctor, "metrics_token_file", settings->metrics_token_file);
    check_secret_folder(doctor, "dir_login", settings->dir_login);
    g_autofree char *display = store_display_folder(settings);
    check_secret_folder(doctor, "the links to displays", display);
}
