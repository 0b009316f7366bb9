/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "app/save.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "app/keep.h"
#include "base/error.h"
#include "base/event.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "base/units.h"
#include "base/wait.h"
#include "core/ini.h"
#include "core/store.h"
#include "vm/backup.h"
#include "vm/image.h"
#include "vm/image_version.h"

#define COPY_DEADLINE_MS (6 * 3600 * 1000)
#define GROWTH_PERIOD_MS 500
#define COPYING_MAX_PERCENT 99 /* the rest is told by the end */
#define MIB (1024 * 1024)

/* --- the image --- */

static char *final_path(const Settings *settings, const char *name)
{
    return g_build_filename(settings->dir_machines, name, NULL);
}

char *save_part_path(const Settings *settings, const char *name)
{
    return g_strdup_printf("%s/.%s.part", settings->dir_machines, name);
}

/* qemu-img keeps the mode of a file that is there. One that is left of an earlier try may have another one. */
bool save_part_create(const char *path, GError **error)
{
    unlink(path);
    autofd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd >= 0 || qwd_error_errno(error, errno, "Cannot make the image %s", path);
}

bool save_publish(const Settings *settings, const char *name, mode_t mode, GError **error)
{
    g_autofree char *part = save_part_path(settings, name), *final = final_path(settings, name);
    g_auto(ImageInfo) info = {0};
    if (!image_inspect(part, settings->dir_machines, &info, error))
        return false;
    image_note_base(part, info.files + 1);
    if (chmod(part, mode) == 0 && renameat2(AT_FDCWD, part, AT_FDCWD, final, RENAME_NOREPLACE) == 0)
        return true;
    return qwd_error_errno(error, errno, "Cannot name the image %s", final);
}

void save_discard(const Settings *settings, const char *name)
{
    g_autofree char *part = save_part_path(settings, name);
    unlink(part);
}

/* --- what is checked first --- */

bool save_check_name(const Settings *settings, const char *name, GError **error)
{
    struct stat st;
    if (!machine_name_is_valid(name))
        return qwd_error_fail(error, QWD_ERROR_USAGE,
                              "\"%s\" is no name for a machine. Write letters, digits and characters _ . - @ : + only.",
                              name);
    g_autofree char *path = final_path(settings, name);
    g_autoptr(GPtrArray) machines = machines_load(settings, error);
    if (!machines)
        return false;
    return (lstat(path, &st) < 0 && !machines_find(machines, name, NULL)) ||
           qwd_error_fail(error, QWD_ERROR_CONFLICT, "There is a machine %s already. Choose another name.", name);
}

/* As much as the files of the disk take now: a copy has no more than that in it. */
bool save_check_room(const Settings *settings, const char *id, gint64 master_bytes, GError **error)
{
    struct statvfs disk;
    g_autofree char *folder = store_folder(settings, id);
    g_autofree char *overlay = g_build_filename(folder, "disk.qcow2", NULL);
    gint64 needed = file_bytes_on_disk(overlay) + master_bytes;
    if (statvfs(settings->dir_machines, &disk) < 0)
        return qwd_error_errno(error, errno, "Cannot look at %s", settings->dir_machines);
    gint64 free_bytes = (gint64)disk.f_bavail * (gint64)disk.f_frsize;
    g_autofree char *needed_text = units_format_size(needed / MIB + 1),
                    *free_text = units_format_size(free_bytes / MIB);
    return needed < free_bytes || qwd_error_fail(error, QWD_ERROR_LIMIT, "The image needs %s in %s, where %s are free.",
                                                 needed_text, settings->dir_machines, free_text);
}

static bool check_folder(const Settings *settings, GError **error)
{
    return access(settings->dir_machines, W_OK | X_OK) == 0 ||
           qwd_error_errno(error, errno, "The service cannot write to %s", settings->dir_machines);
}

/* A new image on another one is refused when it is outside the folder of images: it would never be started. */
static bool check_place(const Settings *settings, const SessionRecord *session, GError **error)
{
    g_autofree char *image_folder = g_path_get_dirname(session->plan->image);
    return g_str_equal(image_folder, settings->dir_machines) ||
           qwd_error_fail(error, QWD_ERROR_USAGE, "The image of this session is not in %s. Use --standalone.",
                          settings->dir_machines);
}

/* A running session goes on with the image that it began with, whatever has become of it: its supervisor looks. */
static bool check_master(const Settings *settings, const SessionRecord *session, const SaveRequest *request,
                         GError **error)
{
    g_auto(ImageInfo) info = {0};
    g_autoptr(GError) cause = NULL;
    bool runs = session_state_is_alive(session->state);
    if (session->plan->use_master)
        return qwd_error_fail(error, QWD_ERROR_CONFLICT, "This session works on the machine's image itself.");
    bool is_seen = image_inspect(session->plan->image, settings->dir_machines, &info, &cause);
    if (!is_seen && !runs) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    return (runs || keep_check_image(session, &info, error)) &&
           (request->standalone || info.is_iso || check_place(settings, session, error));
}

bool save_check(const Settings *settings, const SessionRecord *session, const SaveRequest *request, GError **error)
{
    gint64 master_bytes = request->standalone ? file_bytes_on_disk(session->plan->image) : 0;
    return save_check_name(settings, request->name, error) && check_folder(settings, error) &&
           check_master(settings, session, request, error) &&
           save_check_room(settings, session->id, master_bytes, error);
}

/* --- a running session --- */

bool save_note_asked(SessionRecord *session, void *data, GError **error)
{
    const SaveRequest *request = data;
    if (save_is_busy(session))
        return qwd_error_fail(error, QWD_ERROR_CONFLICT, "This session is being saved as %s already.",
                              session->save_name);
    session_set_text(&session->save_name, request->name);
    session_set_text(&session->save_state, SAVE_ASKED);
    session_set_text(&session->save_reason, "");
    session_set_text(&session->save_owner, request->owner ? request->owner : "");
    session_set_text(&session->save_title, request->title ? request->title : "");
    session->save_standalone = request->standalone;
    session->save_percent = 0;
    return true;
}

static bool ask(SessionRecord *session, void *data, GError **error)
{
    if (session->state == SESSION_RUNNING && !session->stop_requested_at)
        return save_note_asked(session, data, error);
    return qwd_error_fail(error, QWD_ERROR_CONFLICT, "This session is %s. Save it while it runs.",
                          session_state_name(session->state));
}

typedef struct {
    const Settings *settings;
    const SaveRequest *request;
    SessionRecord *session; /* as seen last; NULL: it has ended */
    gint64 percent;
} Awaited;

static void look(void *data)
{
    Awaited *awaited = data;
    session_free(awaited->session);
    awaited->session = store_load(awaited->settings, awaited->request->session_id, NULL);
    gint64 percent = awaited->session ? awaited->session->save_percent : awaited->percent;
    if (percent != awaited->percent && awaited->request->on_percent)
        awaited->request->on_percent((int)percent, awaited->request->data);
    awaited->percent = percent;
}

static bool is_settled(void *data)
{
    const Awaited *awaited = data;
    return !awaited->session || !session_state_is_alive(awaited->session->state) ||
           g_str_equal(awaited->session->save_state, SAVE_DONE) ||
           g_str_equal(awaited->session->save_state, SAVE_FAILED);
}

static SessionRecord *wait_saved(const Settings *settings, const SaveRequest *request, GError **error)
{
    Awaited awaited = {.settings = settings, .request = request};
    g_autofree char *folder = store_folder(settings, request->session_id);
    guint watch = watch_folder(folder, look, &awaited, NULL);
    look(&awaited);
    bool settled = wait_until(is_settled, &awaited, COPY_DEADLINE_MS, error);
    if (watch)
        g_source_remove(watch);
    g_autoptr(SessionRecord) session = awaited.session;
    if (settled && session && g_str_equal(session->save_state, SAVE_DONE))
        return g_steal_pointer(&session);
    if (settled)
        qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "%s",
                       session && *session->save_reason ? session->save_reason
                                                        : N_("The session has ended meanwhile."));
    return NULL;
}

static SessionRecord *save_running(const Settings *settings, const SaveRequest *request, GError **error)
{
    g_autoptr(SessionRecord) asked = store_change(settings, request->session_id, ask, (void *)request, error);
    return asked ? wait_saved(settings, request, error) : NULL;
}

/* --- an ended one --- */

/* qemu-img tells a terminal only how far it is: what stands in the new image is about what stood in the old ones. */
typedef struct {
    const SaveRequest *request;
    const char *part;
    gint64 whole_bytes;
    int percent;
} Growth;

static gboolean on_growth_tick(gpointer data)
{
    Growth *growth = data;
    int percent = (int)MIN(100 * file_bytes_on_disk(growth->part) / MAX(growth->whole_bytes, 1), COPYING_MAX_PERCENT);
    if (percent > growth->percent)
        growth->request->on_percent(growth->percent = percent, growth->request->data);
    return G_SOURCE_CONTINUE;
}

static bool copy_watched(const char *disk, const BackupTarget *target, Growth *growth, GError **error)
{
    guint timer = growth->request->on_percent ? g_timeout_add(GROWTH_PERIOD_MS, on_growth_tick, growth) : 0;
    bool good = backup_offline(disk, target, error);
    if (timer)
        g_source_remove(timer);
    return good;
}

static char *find_disk(const Settings *settings, const SessionRecord *session, GError **error)
{
    g_autofree char *folder = store_folder(settings, session->id);
    g_autofree char *disk = g_build_filename(folder, "disk.qcow2", NULL);
    if (access(disk, R_OK) == 0)
        return g_steal_pointer(&disk);
    qwd_error_fail(error, QWD_ERROR_CONFLICT, "This session has ended, and its disk is gone.");
    return NULL;
}

/* What qemu-img has opened is only known to be what the disk lies over when nobody has put another image there before
 * and afterwards. */
static bool is_still_the_same(const Settings *settings, const SessionRecord *session, GError **error)
{
    g_auto(ImageInfo) info = {0};
    return image_inspect(session->plan->image, settings->dir_machines, &info, error) &&
           keep_check_image(session, &info, error);
}

bool save_copy(const Settings *settings, const SessionRecord *session, const SaveRequest *request, GError **error)
{
    g_auto(ImageInfo) info = {0};
    g_autofree char *disk = find_disk(settings, session, error);
    g_autofree char *part = save_part_path(settings, request->name);
    if (!disk || !image_inspect(session->plan->image, settings->dir_machines, &info, error) ||
        !keep_check_disk(session, disk, &info, error))
        return false;
    bool based = !request->standalone && !info.is_iso;
    BackupTarget target = {.path = part, .master = based ? session->plan->image : NULL, .master_format = info.format};
    gint64 master_bytes = based || info.is_iso ? 0 : file_bytes_on_disk(session->plan->image);
    Growth growth = {.request = request, .part = part, .whole_bytes = file_bytes_on_disk(disk) + master_bytes};
    return save_part_create(part, error) && copy_watched(disk, &target, &growth, error) &&
           is_still_the_same(settings, session, error);
}

static bool note_copier(SessionRecord *session, void *data, GError **error)
{
    if (session_state_is_alive(session->state))
        return qwd_error_fail(error, QWD_ERROR_CONFLICT, "This session is being resumed.");
    if (!save_note_asked(session, data, error))
        return false;
    session_set_text(&session->save_state, SAVE_RUNNING);
    session_set_process(session, SAVE_PROCESS, process_id_of(getpid()));
    return true;
}

static bool note_outcome(SessionRecord *session, void *data, GError **error)
{
    (void)error;
    const char *reason = data;
    session_set_text(&session->save_state, reason ? SAVE_FAILED : SAVE_DONE);
    session_set_text(&session->save_reason, reason ? reason : "");
    session->save_percent = reason ? session->save_percent : 100;
    return true;
}

void save_note_outcome(const Settings *settings, const char *id, const GError *cause)
{
    session_free(store_change(settings, id, note_outcome, cause ? cause->message : NULL, NULL));
}

/* The record says so meanwhile, so that nobody takes the disk away, nor the part. */
static bool save_ended(const Settings *settings, const SessionRecord *session, const SaveRequest *request,
                       GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autofree char *disk = find_disk(settings, session, error);
    g_autoptr(SessionRecord) noted =
        disk ? store_change(settings, session->id, note_copier, (void *)request, error) : NULL;
    if (!noted)
        return false;
    bool good = save_copy(settings, session, request, &cause) && save_publish(settings, request->name, 0644, &cause);
    if (!good)
        save_discard(settings, request->name);
    save_note_outcome(settings, session->id, cause);
    if (cause)
        g_propagate_error(error, g_steal_pointer(&cause));
    return good;
}

SessionRecord *app_save(const Settings *settings, const Identity *who, const SaveRequest *request, GError **error)
{
    g_autoptr(SessionRecord) session = app_see(settings, who, request->session_id, error);
    if (!session || !policy_allows(settings, who, ACTION_SAVE, session, error) ||
        !save_check(settings, session, request, error))
        return NULL;
    if (session_state_is_alive(session->state))
        return save_running(settings, request, error);
    return save_ended(settings, session, request, error) ? store_find(settings, session->id, error) : NULL;
}

/* --- the entry --- */

/* The entry of the session's machine as it stands now: whom it is for, and what may be chosen, hold for the new one.
 * An image that an administrator has started by its path has none. Borrowed from the list. */
static const Machine *find_machine(GPtrArray *machines, const Plan *plan, GError **error)
{
    const Machine *listed = machines_find(machines, plan->machine, NULL);
    if (listed)
        return listed;
    if (!plan->by_admin) {
        qwd_error_fail(error, QWD_ERROR_CONFLICT,
                       "%s is not on offer any more, so nobody can tell whom a copy of it would be for. Ask the "
                       "administrator to enable it first.",
                       plan->title);
        return NULL;
    }
    g_ptr_array_add(machines, machine_from_path(plan->image));
    return machines->pdata[machines->len - 1];
}

/* What the disk has run with; "" as elsewhere, NULL when a plan does not say it as an entry does. */
static const char *value_in_plan(const Settings *settings, const Plan *plan, const char *key)
{
    bool is_usual = g_str_equal(plan->display, settings->qemu_video);
    const char *const pairs[][2] = {{"arch", plan->arch}, {"firmware", plan->firmware},
                                    {"disk", plan->disk}, {"display", is_usual ? "" : plan->display},
                                    {"os", plan->os},     {"script_method", plan->script_method}};
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
        if (g_str_equal(pairs[i][0], key))
            return pairs[i][1];
    }
    return NULL;
}

/* All but what says where the other image comes from. An owner's machine is for nobody else. */
static const char *value_of(const MachineAttribute *attribute, const Machine *machine, const char *in_plan,
                            const char *owner)
{
    static const char *const of_the_image[] = {"description", "url", "sha256", "sha256_url", NULL};
    if (g_strv_contains(of_the_image, attribute->key))
        return attribute->default_text;
    if (owner && *owner && g_str_equal(attribute->key, "users"))
        return owner;
    if (owner && *owner && g_str_equal(attribute->key, "groups"))
        return "";
    return in_plan && *in_plan ? in_plan : *(char *const *)((const char *)machine + attribute->offset);
}

static char *describe(const Plan *plan, const char *title)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    g_autofree char *day = g_date_time_format(now, "%Y-%m-%d");
    return title && *title ? g_strdup(title) : g_strdup_printf("%s, saved %s", plan->title, day);
}

bool save_check_entry(const Settings *settings, const char *name, const char *text, GError **error)
{
    if (!machine_name_is_valid(name) || !machines_check_text(text, strlen(text), name, settings->dir_machines, error))
        return false;
    g_autoptr(GKeyFile) file = ini_parse(text, strlen(text), name, error);
    g_auto(GStrv) sections = file ? g_key_file_get_groups(file, NULL) : NULL;
    return sections &&
           ((g_strv_length(sections) == 1 && g_str_equal(sections[0], name)) ||
            qwd_error_fail(error, QWD_ERROR_CONFIG,
                           "The record of the session does not give an entry for %s alone. See: qwdctl log", name));
}

/* A value that is no line would be one more attribute, or the entry of another machine. */
static bool append_value(GString *text, const char *key, const char *value, GError **error)
{
    if (!text_is_line(value))
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "The record of the session is broken: %s is not a line of text.",
                              key);
    g_string_append_printf(text, "%s=%s\n", key, value);
    return true;
}

char *save_entry(const Settings *settings, const SessionRecord *session, const SaveRequest *request, GError **error)
{
    const Plan *plan = session->plan;
    g_autoptr(GPtrArray) machines = machines_load(settings, error);
    const Machine *machine = machines ? find_machine(machines, plan, error) : NULL;
    if (!machine)
        return NULL;
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *description = describe(plan, request->title);
    g_string_append_printf(text, "[%s]\n", request->name);
    if (!append_value(text, "description", description, error))
        return NULL;
    for (const MachineAttribute *attribute = machine_attributes(); attribute->key; attribute++) {
        const char *in_plan = value_in_plan(settings, plan, attribute->key);
        const char *value = value_of(attribute, machine, in_plan, request->owner);
        if (!g_str_equal(value, attribute->default_text) && !append_value(text, attribute->key, value, error))
            return NULL;
    }
    bool good = save_check_entry(settings, request->name, text->str, error);
    return good ? g_string_free(g_steal_pointer(&text), FALSE) : NULL;
}
