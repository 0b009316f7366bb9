/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "app/clean.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/abandoned.h"
#include "app/keep.h"
#include "app/monitor.h"
#include "app/queue.h"
#include "app/save.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "base/token.h"
#include "core/life.h"
#include "core/saved.h"
#include "core/session_logs.h"
#include "core/store.h"
#include "display/websockify.h"

/* What is younger may still be in the making. */
#define SETTLED_AFTER_S 60

static bool is_settled(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && st.st_mtime + SETTLED_AFTER_S < session_now();
}

/* --- sessions without a supervisor --- */

/* One that has just left the queue is old, and its record is not. */
static bool is_abandoned(const Settings *settings, const SessionRecord *session)
{
    g_autofree char *record = g_build_filename(settings->dir_snapshots, session->id, "session.json", NULL);
    if (session_process(session, "supervisor").pid)
        return abandoned_is(settings, session);
    return session_holds_room(session) && is_settled(record); /* not kept, nor waiting */
}

static void end_abandoned(const Settings *settings, const GPtrArray *sessions, GPtrArray *report)
{
    for (guint i = 0; i < sessions->len; i++) {
        if (!is_abandoned(settings, sessions->pdata[i]))
            continue;
        g_autoptr(SessionRecord) session = store_load(settings, ((const SessionRecord *)sessions->pdata[i])->id, NULL);
        if (session)
            abandoned_end(settings, &session, is_abandoned, report);
    }
}

/* --- kept disks that were being saved --- */

static bool is_saving(const SessionRecord *session)
{
    bool was_asked = g_str_equal(session->save_state, SAVE_ASKED);
    return !session_state_is_alive(session->state) && (was_asked || g_str_equal(session->save_state, SAVE_RUNNING));
}

bool clean_save_is_broken_off(const SessionRecord *session)
{
    return is_saving(session) && process_is_gone(session_process(session, SAVE_PROCESS));
}

/* ... or it has not even begun, long after it was started. */
static bool is_broken_off(const Settings *settings, const SessionRecord *session)
{
    g_autofree char *record = g_build_filename(settings->dir_snapshots, session->id, "session.json", NULL);
    return session_process(session, SAVE_PROCESS).pid ? clean_save_is_broken_off(session)
                                                      : is_saving(session) && is_settled(record);
}

/* The page says that it was interrupted. */
static bool note_broken_off(SessionRecord *session, void *data, GError **error)
{
    if (!is_broken_off(data, session))
        return qwd_error_fail(error, QWD_ERROR_CONFLICT, "It goes on.");
    session_set_text(&session->save_state, SAVE_FAILED);
    return true;
}

/* Under the lock of the store: nobody asks for one of the names meanwhile. */
void clean_end_broken_saves(const Settings *settings, GPtrArray *report)
{
    autofd int lock = store_lock(settings, NULL);
    g_autoptr(GPtrArray) sessions = lock >= 0 ? store_list(settings, NULL) : NULL;
    for (guint i = 0; sessions && i < sessions->len; i++) {
        const SessionRecord *session = sessions->pdata[i];
        if (!is_broken_off(settings, session))
            continue;
        g_autoptr(SessionRecord) noted = store_change(settings, session->id, note_broken_off, (void *)settings, NULL);
        if (!noted)
            continue;
        abandoned_discard_part(settings, sessions, noted);
        report_add(report, "Gave up saving %s of %s as %s: the copying process was gone.", session->id, session->owner,
                   session->save_name);
    }
}

/* --- folders of no session --- */

typedef void (*Sweep)(const Settings *settings, const char *path, const char *name, GPtrArray *report);

static void for_each_entry(const Settings *settings, const char *folder, Sweep sweep, GPtrArray *report)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        sweep(settings, path, name, report);
    }
}

/* Left by a Create that was killed before it had written the record, or by an end that was killed while it removed the
 * folder; a disk is worth something only as long as nobody was told that it is gone. */
static bool is_remnant(const Settings *settings, const char *path, const char *name, const GError *cause)
{
    g_autofree char *disk = g_build_filename(path, "disk.qcow2", NULL);
    g_autoptr(SessionRecord) told = store_recall(settings, name, NULL);
    return g_error_matches(cause, QWD_ERROR, QWD_ERROR_NOT_FOUND) && (told || !g_file_test(disk, G_FILE_TEST_EXISTS));
}

/* A folder in dir_snapshots whose record cannot be read is kept under a name that nothing else looks at. */
static void put_broken_aside(const Settings *settings, const char *path, const char *name, GPtrArray *report)
{
    g_autoptr(GError) error = NULL;
    if (!token_is_well_formed(name) || !is_settled(path))
        return;
    g_autoptr(SessionRecord) session = store_load(settings, name, &error);
    if (session)
        return;
    if (is_remnant(settings, path, name, error) && folder_remove(path, NULL)) {
        report_add(report, "Removed %s: it was no session yet, or none any more.", path);
        return;
    }
    g_autofree char *aside = store_put_aside(settings, name);
    if (aside)
        report_add(report, "Put aside as %s: %s", aside, error->message);
}

/* Whether it is one of ours that was being written: "NAME.XXXXXX" (mkstemp(3)). Others may have files in our folders.
 */
static bool is_half_written(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    static const char *const ours[] = {".qemu-web-desktop.", "records.cache.", "websockify.json.",
                                       "websockify-socket.json."};
    const char *suffix = strrchr(name, '.');
    bool is_ours = false;
    for (size_t i = 0; i < G_N_ELEMENTS(ours); i++)
        is_ours = is_ours || g_str_has_prefix(name, ours[i]);
    return is_ours && strlen(suffix) == strlen(".XXXXXX") && strspn(suffix + 1, letters) == strlen("XXXXXX");
}

/* Its writer was killed. */
static void remove_half_written(const Settings *settings, const char *path, const char *name, GPtrArray *report)
{
    (void)settings;
    if (is_half_written(name) && is_settled(path) && unlink(path) == 0)
        report_add(report, "Removed %s, which was not finished.", path);
}

static void remove_stale_run_folder(const Settings *settings, const char *path, const char *name, GPtrArray *report)
{
    g_autofree char *folder = store_folder(settings, name);
    if (!token_is_well_formed(name) || g_file_test(folder, G_FILE_TEST_EXISTS) || !is_settled(path))
        return;
    if (folder_remove(path, NULL))
        report_add(report, "Removed %s: it belonged to no session.", path);
}

/* The hashes of all links that sessions have: the records are read once for all tokens. */
static GHashTable *known_links(const Settings *settings)
{
    g_autoptr(GPtrArray) sessions = store_list(settings, NULL);
    if (!sessions)
        return NULL;
    GHashTable *hashes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < sessions->len; i++) {
        const SessionRecord *session = sessions->pdata[i];
        for (guint j = 0; j < session->links->len; j++)
            g_hash_table_add(hashes, g_strdup(((const SessionLink *)session->links->pdata[j])->hash));
    }
    return hashes;
}

/* Connecting would tell as well whether somebody listens, and end a one-shot session. */
static void remove_stale_tokens(const Settings *settings, const char *folder, GPtrArray *report)
{
    g_autoptr(GHashTable) known = known_links(settings);
    g_autoptr(GDir) dir = known ? g_dir_open(folder, 0, NULL) : NULL;
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_autofree char *hash = token_hash(name);
        if (is_settled(path) && !g_hash_table_contains(known, hash) && unlink(path) == 0)
            report_add(report, "Removed a link that led nowhere.");
    }
}

/* --- all --- */

static void release_websockify(const Settings *settings, const char *display_folder)
{
    if (g_file_test(settings->dir_cfg, G_FILE_TEST_IS_DIR))
        websockify_release(settings->dir_cfg, display_folder, NULL);
}

/* A new installation lacks them. Where they cannot be made, `qwdctl doctor` says so. */
static void make_folders(const Settings *settings)
{
    const char *const folders[] = {settings->dir_machines, settings->dir_snapshots, settings->dir_cache};
    for (size_t i = 0; i < G_N_ELEMENTS(folders); i++)
        g_mkdir_with_parents(folders[i], 0755);
}

/* Of a service that was older when they were saved. */
static void close_saved(const Settings *settings, GPtrArray *report)
{
    guint count = saved_close(settings);
    if (count)
        report_add(report, "Closed %u files of users' machines to other accounts.", count);
}

bool app_clean(const Settings *settings, GPtrArray *report, GError **error)
{
    make_folders(settings);
    g_autoptr(GPtrArray) sessions = store_list(settings, error);
    if (!sessions)
        return false;
    g_autofree char *display_folder = store_display_folder(settings);
    app_monitor_sample(settings, sessions, NULL); /* without a history the sweeping is as good */
    end_abandoned(settings, sessions, report);
    clean_end_broken_saves(settings, report);
    keep_remove_expired(settings, report);
    for_each_entry(settings, settings->dir_snapshots, put_broken_aside, report);
    for_each_entry(settings, settings->dir_snapshots, remove_half_written, report);
    for_each_entry(settings, settings->dir_cfg, remove_half_written, report);
    for_each_entry(settings, settings->dir_cfg, remove_stale_run_folder, report);
    remove_stale_tokens(settings, display_folder, report);
    release_websockify(settings, display_folder);
    close_saved(settings, report);
    session_logs_sweep(settings); /* not told: that they grow old is as it should be */
    return app_queue_advance(settings, error);
}
