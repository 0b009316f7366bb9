/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/kept.h"

#include "base/file.h"
#include "core/saving.h"
#include "core/store.h"

#define MIB (1024 * 1024)

gint64 kept_until(const Settings *settings, const SessionRecord *session, gint64 now)
{
    bool has_disk = !session->plan->use_master && (session->ready_at || session->resumed_at);
    bool was_stopped = session->stop_requested_at && session->ready_at; /* before, somebody only gave up waiting */
    bool wanted = has_disk && !session->plan->oneshot && !was_stopped;
    return wanted && settings->snapshot_keep ? now + settings->snapshot_keep : 0;
}

gint64 kept_bytes(const Settings *settings, const SessionRecord *session)
{
    g_autofree char *folder = store_folder(settings, session->id);
    g_autofree char *disk = g_build_filename(folder, "disk.qcow2", NULL);
    return file_bytes_on_disk(disk);
}

gint64 kept_promise(const Settings *settings, const SessionRecord *session, gint64 now)
{
    gint64 until = kept_until(settings, session, now);
    return until && kept_size_is_allowed(settings, kept_bytes(settings, session)) ? until : 0;
}

/* --- what has to go --- */

static int compare_oldest_first(gconstpointer a, gconstpointer b)
{
    const SessionRecord *first = *(SessionRecord *const *)a, *second = *(SessionRecord *const *)b;
    return first->ended_at < second->ended_at ? -1 : first->ended_at > second->ended_at;
}

static bool is_over(const SessionRecord *session, gint64 now)
{
    return !session_state_is_alive(session->state) && session->kept_until && session->kept_until <= now;
}

static void add_oldest(const Settings *settings, GPtrArray *kept, GPtrArray *surplus)
{
    g_ptr_array_sort(kept, compare_oldest_first);
    for (guint i = 0; settings->snapshot_keep_max && i + settings->snapshot_keep_max <= kept->len; i++)
        g_ptr_array_add(surplus, kept->pdata[i]);
}

GPtrArray *kept_surplus(const Settings *settings, const GPtrArray *sessions, const char *owner, gint64 now)
{
    GPtrArray *surplus = g_ptr_array_new();
    g_autoptr(GPtrArray) kept = g_ptr_array_new();
    for (guint i = 0; i < sessions->len; i++) {
        SessionRecord *session = sessions->pdata[i];
        if (save_is_busy(session))
            continue;
        if (is_over(session, now))
            g_ptr_array_add(surplus, session);
        else if (owner && session_is_kept(session, now) && g_str_equal(session->owner, owner))
            g_ptr_array_add(kept, session);
    }
    add_oldest(settings, kept, surplus);
    return surplus;
}

/* --- what has to go, by its size --- */

static bool is_kept_of(const SessionRecord *session, const char *owner)
{
    return !session_state_is_alive(session->state) && session->kept_until &&
           (!owner || g_str_equal(session->owner, owner));
}

/* Ended ones of `owner` (NULL: of all) that are not in `gone` yet. */
static GPtrArray *oldest_first(const GPtrArray *sessions, const char *owner, GPtrArray *gone)
{
    GPtrArray *kept = g_ptr_array_new();
    for (guint i = 0; i < sessions->len; i++) {
        if (is_kept_of(sessions->pdata[i], owner) && !g_ptr_array_find(gone, sessions->pdata[i], NULL))
            g_ptr_array_add(kept, sessions->pdata[i]);
    }
    g_ptr_array_sort(kept, compare_oldest_first);
    return kept;
}

typedef struct {
    const Settings *settings;
    const GPtrArray *sessions;
    KeptSize size;
    GPtrArray *gone;
} Sizes;

static void add_over(const Sizes *sizes, const char *owner, gint64 limit_mib, gint64 wanted)
{
    g_autoptr(GPtrArray) kept = oldest_first(sizes->sessions, owner, sizes->gone);
    gint64 total = wanted;
    for (guint i = 0; i < kept->len; i++)
        total += sizes->size(sizes->settings, kept->pdata[i]);
    for (guint i = 0; limit_mib && i < kept->len && total > limit_mib * MIB; i++) {
        if (save_is_busy(kept->pdata[i]))
            continue;
        total -= sizes->size(sizes->settings, kept->pdata[i]);
        g_ptr_array_add(sizes->gone, kept->pdata[i]);
    }
}

GPtrArray *kept_over_size(const Settings *settings, const GPtrArray *sessions, KeptSize size, const char *owner,
                          gint64 wanted)
{
    Sizes sizes = {settings, sessions, size, g_ptr_array_new()};
    if (owner)
        add_over(&sizes, owner, settings->snapshot_keep_size_per_user, wanted);
    add_over(&sizes, NULL, settings->snapshot_keep_size, wanted);
    return sizes.gone;
}

bool kept_size_is_allowed(const Settings *settings, gint64 bytes)
{
    gint64 all = settings->snapshot_keep_size, own = settings->snapshot_keep_size_per_user;
    return (!all || bytes <= all * MIB) && (!own || bytes <= own * MIB);
}

/* --- another life --- */

void kept_revive(SessionRecord *session, gint64 now_ms)
{
    gint64 now = now_ms / 1000;
    char **texts[] = {&session->step,        &session->reason,  &session->note,
                      &session->accelerator, &session->stop_by, &session->save_state};
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        session_set_text(texts[i], "");
    gint64 *moments[] = {&session->started_at,        &session->ready_at,      &session->ended_at,
                         &session->stop_requested_at, &session->last_input_at, &session->touched_at,
                         &session->extensions,        &session->idle_stop_at,  &session->unused_stop_at,
                         &session->kept_until};
    for (size_t i = 0; i < G_N_ELEMENTS(moments); i++)
        *moments[i] = 0;
    GPtrArray *lists[] = {session->links, session->viewers, session->processes, session->steps};
    for (size_t i = 0; i < G_N_ELEMENTS(lists); i++)
        g_ptr_array_set_size(lists[i], 0);
    session->state = SESSION_STARTING;
    session->admitted_ms = now_ms;
    session->resumed_at = now;
    session->ends_at = now + session->plan->lifetime_s;
}

void kept_note(SessionRecord *session, const SessionRecord *ended)
{
    session->state = ended->state;
    session->ended_at = ended->ended_at;
    session->kept_until = ended->kept_until;
    session->idle_stop_at = session->unused_stop_at = 0;
    session_set_text(&session->reason, ended->reason);
    g_ptr_array_set_size(session->links, 0);
    g_ptr_array_set_size(session->viewers, 0);
    g_ptr_array_set_size(session->processes, 0);
}
