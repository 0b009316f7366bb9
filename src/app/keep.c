/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "app/keep.h"

#include <unistd.h>

#include "app/journal.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/units.h"
#include "core/kept.h"
#include "core/saving.h"
#include "core/store.h"
#include "vm/image_version.h"

#define MIB (1024 * 1024)

static bool note_kept(SessionRecord *session, void *data, GError **error)
{
    (void)error;
    kept_note(session, data);
    save_note_end(session);
    return true;
}

/* Removes what is too much, which is some of `sessions`, and takes it out of there. */
static void remove_all(const Settings *settings, GPtrArray *sessions, const GPtrArray *surplus, const char *why,
                       GPtrArray *report)
{
    for (guint i = 0; i < surplus->len; i++) {
        SessionRecord *session = surplus->pdata[i];
        if (!store_remove(settings, session->id, NULL))
            continue;
        if (report)
            g_ptr_array_add(report,
                            g_strdup_printf("Removed the disk of %s of %s: %s.", session->id, session->owner, why));
        g_ptr_array_remove(sessions, session);
    }
}

/* Called under the lock of the store. Makes room for one more disk of the owner; NULL: for none. */
static void remove_surplus(const Settings *settings, const char *owner, gint64 wanted, GPtrArray *report)
{
    g_autoptr(GPtrArray) sessions = store_list(settings, NULL);
    if (!sessions)
        return;
    g_autoptr(GPtrArray) surplus = kept_surplus(settings, sessions, owner, session_now());
    remove_all(settings, sessions, surplus, "the time to resume it is over", report);
    g_autoptr(GPtrArray) large = kept_over_size(settings, sessions, kept_bytes, owner, wanted);
    remove_all(settings, sessions, large, "kept disks take more room than they may (snapshot_keep_size)", report);
}

/* What cannot be noted now (a full disk) stays as it is: qwdctl clean tries again. */
static bool keep(const Settings *settings, const SessionRecord *ended, GError **error)
{
    autofd int lock = store_lock(settings, error);
    if (lock < 0)
        return false;
    remove_surplus(settings, ended->owner, kept_bytes(settings, ended), NULL);
    g_autoptr(SessionRecord) kept = store_change(settings, ended->id, note_kept, (void *)ended, error);
    return kept != NULL;
}

static void tell_too_large(const Settings *settings, const SessionRecord *ended)
{
    g_autofree char *size = units_format_size(kept_bytes(settings, ended) / MIB + 1);
    g_autofree char *text = g_strdup_printf("Its disk is not kept: it takes %s, more than snapshot_keep_size or "
                                            "snapshot_keep_size_per_user allow.",
                                            size);
    journal_session(settings, "STOP", ended, text);
}

/* One line for each end: a supervisor that was killed while it cleared up has written it already. */
static bool remember(const Settings *settings, const SessionRecord *ended, GError **error)
{
    g_autoptr(SessionRecord) told = store_recall(settings, ended->id, NULL);
    /* A session that was resumed may end twice within a second. */
    bool is_told = told && told->ended_at == ended->ended_at && told->resumed_at == ended->resumed_at;
    return is_told || store_remember(settings, ended, error);
}

/* The folder's end tells those who wait, so it goes last; but on a full disk there is room for the line of history only
 * when the session's disk has gone. */
bool keep_or_remove(const Settings *settings, const SessionRecord *ended, GError **error)
{
    bool remembered = remember(settings, ended, NULL);
    g_autofree char *folder = store_folder(settings, ended->id);
    SessionRecord kept = *ended; /* texts and lists stay the other's */
    kept.kept_until = kept_promise(settings, ended, ended->ended_at);
    if (kept.kept_until && g_file_test(folder, G_FILE_TEST_IS_DIR))
        return keep(settings, &kept, error) && (remembered || remember(settings, ended, error));
    if (!kept.kept_until && kept_until(settings, ended, ended->ended_at))
        tell_too_large(settings, ended);
    if (!remembered) {
        store_remove_disk(settings, ended->id);
        remembered = remember(settings, ended, error);
    }
    return store_remove(settings, ended->id, remembered ? error : NULL) && remembered;
}

static bool fail_changed(const SessionRecord *session, GError **error)
{
    return qwd_error_fail(error, QWD_ERROR_CONFLICT,
                          "The image of %s has been changed since, so the disk that was kept does not fit it any more. "
                          "Tell the administrator if it holds what you need; else discard it.",
                          session->plan->machine);
}

/* A session of an ISO image has an empty disk of its own, which lies over nothing. */
bool keep_check_image(const SessionRecord *session, const ImageInfo *image, GError **error)
{
    return image->is_iso || image_version_matches(session->image_version, image->version) ||
           fail_changed(session, error);
}

bool keep_may_fit(const SessionRecord *session, GError **error)
{
    const char *image = session->plan->image;
    return image_version_may_match(session->image_version, image) || image_has_iso_identifier(image) ||
           fail_changed(session, error);
}

bool keep_check_disk(const SessionRecord *session, const char *disk, const ImageInfo *image, GError **error)
{
    return keep_check_image(session, image, error) &&
           image_check_overlay(disk, image->is_iso ? NULL : session->plan->image, error);
}

void keep_remove_expired(const Settings *settings, GPtrArray *report)
{
    autofd int lock = store_lock(settings, NULL);
    if (lock >= 0)
        remove_surplus(settings, NULL, 0, report);
}
