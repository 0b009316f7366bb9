/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "app/keep.h"

#include "base/fd.h"
#include "core/kept.h"
#include "core/store.h"

static bool note_kept(SessionRecord *session, void *data, GError **error)
{
    (void)error;
    kept_note(session, data);
    return true;
}

/* Called under the lock of the store. */
static void remove_surplus(const Settings *settings, const char *owner, GPtrArray *report)
{
    g_autoptr(GPtrArray) sessions = store_list(settings, NULL);
    if (!sessions)
        return;
    g_autoptr(GPtrArray) surplus = kept_surplus(settings, sessions, owner, session_now());
    for (guint i = 0; i < surplus->len; i++) {
        const SessionRecord *session = surplus->pdata[i];
        if (store_remove(settings, session->id, NULL) && report)
            g_ptr_array_add(report, g_strdup_printf("Removed the disk of %s of %s: the time to resume it is over.",
                                                    session->id, session->owner));
    }
}

static bool keep(const Settings *settings, const SessionRecord *ended)
{
    autofd int lock = store_lock(settings, NULL);
    if (lock < 0)
        return false;
    remove_surplus(settings, ended->owner, NULL);
    g_autoptr(SessionRecord) kept = store_change(settings, ended->id, note_kept, (void *)ended, NULL);
    return kept != NULL;
}

/* One line for each end: a supervisor that was killed while it cleared up has written it already. */
static bool remember(const Settings *settings, const SessionRecord *ended, GError **error)
{
    g_autoptr(SessionRecord) told = store_recall(settings, ended->id, NULL);
    return (told && told->ended_at == ended->ended_at) || store_remember(settings, ended, error);
}

/* On a full disk there is room for the line of history once the session's folder is gone. */
bool keep_or_remove(const Settings *settings, const SessionRecord *ended, GError **error)
{
    bool remembered = remember(settings, ended, NULL);
    SessionRecord kept = *ended; /* texts and lists stay the other's */
    kept.kept_until = kept_until(settings, ended, ended->ended_at);
    bool is_away = (kept.kept_until && keep(settings, &kept)) || store_remove(settings, ended->id, error);
    return (remembered || remember(settings, ended, is_away ? error : NULL)) && is_away;
}

void keep_remove_expired(const Settings *settings, GPtrArray *report)
{
    autofd int lock = store_lock(settings, NULL);
    if (lock >= 0)
        remove_surplus(settings, NULL, report);
}
