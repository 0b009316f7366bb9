/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "app/queue.h"

#include "app/gpu.h"
#include "app/journal.h"
#include "app/keep.h"
#include "app/metrics.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "core/limits.h"
#include "core/queue.h"
#include "core/session_logs.h"
#include "core/store.h"
#include "engine/engine.h"

#define HOLD_UP_MS 3600000 /* as long, who waits for memory holds up those who ask for less */

/* --- starting --- */

static bool start(const Settings *settings, const SessionRecord *session, const char *secret, GError **error)
{
    g_autofree char *supervisor = g_build_filename(settings->dir_lib, "qwd-session", NULL);
    g_autofree char *folder = store_folder(settings, session->id);
    g_autofree char *log = g_build_filename(folder, SESSION_LOG_SUPERVISOR, NULL);
    EngineJob job = {.supervisor = supervisor,
                     .log_path = log,
                     .id = session->id,
                     .overrides = session->overrides,
                     .secret = secret};
    return engine_find("direct")->start(&job, error);
}

/* --- admission --- */

/* What decisions are taken from; read under the lock of the store. */
typedef struct {
    const Settings *settings;
    GPtrArray *sessions; /* SessionRecord * */
    HostUse use;
} Situation;

static void situation_clear(Situation *situation)
{
    g_clear_pointer(&situation->sessions, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Situation, situation_clear)

/* Takes over `sessions`; false when it is NULL. */
static bool read_situation(const Settings *settings, GPtrArray *sessions, Situation *situation)
{
    situation->settings = settings;
    situation->sessions = sessions;
    host_use_read(&situation->use, settings->dir_snapshots);
    if (sessions)
        host_use_read_sessions(&situation->use, settings, sessions);
    return sessions != NULL;
}

/* Whether it works on its image or has a disk based on it: running, or kept, or waiting to be resumed. */
static bool holds_image(const SessionRecord *session)
{
    return session_holds_room(session) || session->resumed_at || session_is_kept(session, session_now());
}

static bool blocks_image(const SessionRecord *other, const SessionRecord *wanted)
{
    return holds_image(other) && !g_str_equal(other->id, wanted->id) &&
           g_str_equal(other->plan->image, wanted->plan->image) &&
           (wanted->plan->use_master || other->plan->use_master);
}

/* A master that a session writes to belongs to that session alone: it must not be the base of another one either, nor
 * of a disk that is kept. */
static bool image_is_free(const Situation *situation, const SessionRecord *wanted)
{
    for (guint i = 0; i < situation->sessions->len; i++) {
        if (blocks_image(situation->sessions->pdata[i], wanted))
            return false;
    }
    return true;
}

static bool check_master(const Situation *situation, const SessionRecord *wanted, GError **error)
{
    return image_is_free(situation, wanted) ||
           qwd_error_fail(error, QWD_ERROR_CONFLICT,
                          "The image of %s is in use by a session that works on the image itself or is based on it, "
                          "or the disk of such a one is kept. Stop or discard that session first.",
                          wanted->plan->machine);
}

static bool gpu_is_free(const Situation *situation, const SessionRecord *session)
{
    bool is_free = gpu_reserve(situation->settings, situation->sessions, session->plan, NULL);
    gpu_give_back(session->plan);
    return is_free;
}

/* Who is held up by sessions of the same user holds up nobody else, and neither does who would not have room if nothing
 * else ran. For all others room comes when sessions end; but who asks for much lets the others go on after a while. */
static bool holds_up(const Situation *situation, const SessionRecord *next, const LimitRule *broken)
{
    bool has_waited = g_get_real_time() / 1000 - next->admitted_ms >= HOLD_UP_MS;
    return !limit_rule_is_own(broken) && !(limit_rule_is_physical(broken) && has_waited) &&
           limits_can_wait(situation->settings, &situation->use, situation->sessions, next);
}

/* The queue as a new session finds it. */
typedef struct {
    guint for_room;  /* those who wait for room, not for a limit of their own */
    guint of_user;   /* those of the user of the new session */
    bool goes_first; /* somebody has room now, or is the next one to get it */
} QueueCount;

static void count_waiter(const Situation *situation, const SessionRecord *waiter, QueueCount *count)
{
    const LimitRule *broken = limits_broken(situation->settings, &situation->use, situation->sessions, waiter);
    count->for_room += !broken || !limit_rule_is_own(broken);
    count->goes_first =
        count->goes_first || (broken ? holds_up(situation, waiter, broken)
                                     : image_is_free(situation, waiter) && gpu_is_free(situation, waiter));
}

static QueueCount count_waiting(const Situation *situation, const SessionRecord *wanted)
{
    QueueCount count = {0};
    g_autoptr(GPtrArray) order = queue_order(situation->sessions);
    for (guint i = 0; i < order->len; i++) {
        count.of_user += session_is_same_user(order->pdata[i], wanted);
        count_waiter(situation, order->pdata[i], &count);
    }
    return count;
}

static bool check_own_queue_length(const Settings *settings, guint waiting, const char **refused_by, GError **error)
{
    if (settings->service_queue_max_per_user == 0 || waiting < settings->service_queue_max_per_user)
        return true;
    *refused_by = "service_queue_max_per_user";
    return qwd_error_fail(
        error, QWD_ERROR_LIMIT,
        "Sessions of one user in the queue: %d at most; you have %u. Cancel one of them, or try again "
        "when one has started.",
        (int)settings->service_queue_max_per_user, waiting);
}

static bool check_queue_length(const Settings *settings, guint waiting, const char **refused_by, GError **error)
{
    if (waiting < settings->service_queue_max)
        return true;
    *refused_by = "service_queue_max";
    return qwd_error_fail(error, QWD_ERROR_LIMIT,
                          "There is no room, and the queue is full: %u waiting. Try again later.", waiting);
}

static bool may_join_queue(const Settings *settings, const SessionRecord *wanted, const QueueCount *count,
                           const char **refused_by, GError **error)
{
    return (wanted->plan->by_admin || check_own_queue_length(settings, count->of_user, refused_by, error)) &&
           check_queue_length(settings, count->for_room, refused_by, error);
}

static bool refuse(const Situation *situation, const SessionRecord *wanted, const char **refused_by, GError **error)
{
    const Settings *settings = situation->settings;
    const LimitRule *broken = limits_broken(settings, &situation->use, situation->sessions, wanted);
    *refused_by = broken ? limit_rule_setting(broken) : "gpu";
    return limits_allow(settings, &situation->use, situation->sessions, wanted, error) &&
           gpu_reserve(settings, situation->sessions, wanted->plan, error);
}

static bool limits_and_gpu_allow(const Situation *situation, const SessionRecord *wanted)
{
    return limits_allow(situation->settings, &situation->use, situation->sessions, wanted, NULL) &&
           gpu_reserve(situation->settings, situation->sessions, wanted->plan, NULL);
}

/* Decides on a new session: it starts, waits, or is refused. Who waits for room already goes first; who is held up by a
 * limit of their own does not. *refused_by is set when a limit is reached, for the metrics. */
static bool decide(const Situation *situation, SessionRecord *wanted, bool may_wait, const char **refused_by,
                   GError **error)
{
    const Settings *settings = situation->settings;
    QueueCount count = may_wait ? count_waiting(situation, wanted) : (QueueCount){0};
    wanted->state = SESSION_STARTING;
    if (!check_master(situation, wanted, error) || !gpu_check(settings, wanted->plan, error))
        return false;
    if ((!count.goes_first || wanted->plan->by_admin) && limits_and_gpu_allow(situation, wanted))
        return true;
    if (!may_wait || !limits_can_wait(settings, &situation->use, situation->sessions, wanted))
        return refuse(situation, wanted, refused_by, error);
    wanted->state = SESSION_QUEUED;
    return may_join_queue(settings, wanted, &count, refused_by, error);
}

/* The session that the same form has made. */
static char *find_created(const Situation *situation, const SessionRecord *wanted)
{
    if (!wanted->submission || !*wanted->submission || wanted->resumed_at)
        return NULL;
    for (guint i = 0; i < situation->sessions->len; i++) {
        const SessionRecord *session = situation->sessions->pdata[i];
        if (g_str_equal(session->submission, wanted->submission))
            return g_strdup(session->id);
    }
    g_autoptr(SessionRecord) past = store_recall_created(situation->settings, wanted->submission);
    return past ? g_strdup(past->id) : NULL;
}

typedef enum { RESERVE_REFUSED, RESERVE_DONE, RESERVE_KNOWN } ReserveResult;

/* Checks and record are one step for others: nobody else reserves meanwhile. */
static ReserveResult reserve(const Settings *settings, SessionRecord *session, bool may_wait, QueueCommit commit,
                             GError **error)
{
    autofd int lock = store_lock(settings, error);
    g_auto(Situation) situation = {0};
    const char *refused_by = NULL;
    if (lock < 0 || !read_situation(settings, store_list(settings, error), &situation))
        return RESERVE_REFUSED;
    char *known = find_created(&situation, session);
    if (known) {
        g_free(session->id);
        session->id = known;
        return RESERVE_KNOWN;
    }
    bool ok = decide(&situation, session, may_wait && settings->service_queue, &refused_by, error);
    if (refused_by)
        metrics_count_refusal(settings, refused_by);
    return ok && commit(settings, session, error) ? RESERVE_DONE : RESERVE_REFUSED;
}

bool app_queue_enter(const Settings *settings, SessionRecord *session, const char *secret, bool may_wait,
                     GError **error)
{
    ReserveResult result = reserve(settings, session, may_wait, store_create, error);
    if (result != RESERVE_DONE)
        return result == RESERVE_KNOWN;
    if (session->state != SESSION_QUEUED && !start(settings, session, secret, error)) {
        store_remove(settings, session->id, NULL);
        return false;
    }
    metrics_count_creation(settings);
    return session->state != SESSION_QUEUED || app_queue_advance(settings, error);
}

bool app_queue_reenter(const Settings *settings, SessionRecord *session, QueueCommit commit, GError **error)
{
    if (reserve(settings, session, true, commit, error) != RESERVE_DONE)
        return false;
    return session->state == SESSION_QUEUED ? app_queue_advance(settings, error)
                                            : start(settings, session, NULL, error);
}

/* --- the queue moves on --- */

/* Its life begins now, with the GPU that its plan in memory has got. */
static bool take_out(SessionRecord *session, void *data, GError **error)
{
    gpu_copy(session->plan, data);
    session->state = SESSION_STARTING;
    session->ends_at = session_now() + session->plan->lifetime_s;
    session->admitted_ms = g_get_real_time() / 1000;
    return session->stop_requested_at == 0 || qwd_error_fail(error, QWD_ERROR_CANCELLED, "It has left the queue.");
}

/* Whether the queue goes on behind this one. */
static bool take_next(const Situation *situation, SessionRecord *next, GPtrArray *taken)
{
    const LimitRule *broken = limits_broken(situation->settings, &situation->use, situation->sessions, next);
    if (broken)
        return !holds_up(situation, next, broken);
    if (!image_is_free(situation, next) || !gpu_reserve(situation->settings, situation->sessions, next->plan, NULL))
        return true;
    SessionRecord *changed = store_change(situation->settings, next->id, take_out, next->plan, NULL);
    if (changed) {
        next->state = changed->state; /* for those behind it */
        g_ptr_array_add(taken, changed);
    } else {
        gpu_give_back(next->plan);
    }
    return true;
}

/* Takes those out of the queue for whom there is room. Returns their records. */
static GPtrArray *take_heads(const Settings *settings, GError **error)
{
    autofd int lock = store_lock(settings, error);
    g_auto(Situation) situation = {0};
    if (lock < 0 || !read_situation(settings, store_list(settings, error), &situation))
        return NULL;
    GPtrArray *taken = g_ptr_array_new_with_free_func((GDestroyNotify)session_free);
    g_autoptr(GPtrArray) order = queue_order(situation.sessions);
    for (guint i = 0; i < order->len; i++) {
        if (!take_next(&situation, order->pdata[i], taken))
            break;
    }
    return taken;
}

static void end(const Settings *settings, SessionRecord *session, SessionState state, const char *reason)
{
    g_autoptr(GError) error = NULL;
    session->state = state;
    session->ended_at = session_now();
    session_set_text(&session->reason, reason);
    metrics_count_end(settings, session);
    journal_session(settings, state == SESSION_FAILED ? "ERROR" : "STOP", session, reason);
    if (!keep_or_remove(settings, session, &error))
        journal_session(settings, "ERROR", session, error->message);
}

bool app_queue_advance(const Settings *settings, GError **error)
{
    g_autoptr(GPtrArray) taken = take_heads(settings, error);
    for (guint i = 0; taken && i < taken->len; i++) {
        g_autoptr(GError) cause = NULL;
        if (!start(settings, taken->pdata[i], NULL, &cause))
            end(settings, taken->pdata[i], SESSION_FAILED, cause->message);
    }
    return taken != NULL;
}

static bool give_up(SessionRecord *session, void *data, GError **error)
{
    (void)data;
    if (session->state != SESSION_QUEUED)
        return qwd_error_fail(error, QWD_ERROR_CONFLICT, "It has left the queue.");
    session->stop_requested_at = session_now();
    session->state = SESSION_STOPPING;
    return true;
}

bool app_queue_leave(const Settings *settings, const char *id, const char *reason, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(SessionRecord) session = store_change(settings, id, give_up, NULL, &cause);
    if (session)
        end(settings, session, SESSION_ENDED, reason);
    else if (!g_error_matches(cause, QWD_ERROR, QWD_ERROR_CONFLICT))
        g_propagate_error(error, g_steal_pointer(&cause));
    return session != NULL;
}

/* --- what one waits for --- */

/* A sentence of our own: that of a refusal says what one could do instead. */
static char *other_reason(const Situation *situation, const SessionRecord *session)
{
    if (!image_is_free(situation, session))
        return g_strdup(N_("Another session uses the image of this machine."));
    return gpu_is_free(situation, session) ? NULL : g_strdup(N_("No GPU is free."));
}

static void describe(const Situation *situation, const SessionRecord *session, QueueWait *wait)
{
    const Settings *settings = situation->settings;
    *wait = (QueueWait){.position = queue_position(situation->sessions, session->id)};
    if (wait->position == 0)
        return;
    const LimitRule *broken = limits_broken(settings, &situation->use, situation->sessions, session);
    wait->is_own = broken && limit_rule_is_own(broken);
    wait->reason = broken ? limits_reason(settings, &situation->use, situation->sessions, session)
                          : other_reason(situation, session);
    if (broken || !wait->reason)
        wait->expected_at = limits_expected_at(settings, &situation->use, situation->sessions, session);
}

bool app_queue_describe(const Settings *settings, const SessionRecord *session, QueueWait *wait, GError **error)
{
    g_auto(Situation) situation = {0};
    if (!read_situation(settings, store_list(settings, error), &situation))
        return false;
    describe(&situation, session, wait);
    return true;
}

bool app_queue_preview(const Settings *settings, const GPtrArray *sessions, SessionRecord *wanted, QueueWait *wait,
                       GError **error)
{
    g_auto(Situation) situation = {0};
    const char *refused_by = NULL;
    GPtrArray *all = g_ptr_array_new();
    for (guint i = 0; i < sessions->len; i++)
        g_ptr_array_add(all, sessions->pdata[i]);
    read_situation(settings, all, &situation);
    if (!decide(&situation, wanted, settings->service_queue, &refused_by, error))
        return false;
    g_ptr_array_add(all, wanted); /* in the queue, if it has to */
    describe(&situation, wanted, wait);
    return true;
}

void queue_wait_clear(QueueWait *wait)
{
    g_clear_pointer(&wait->reason, g_free);
}
