/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/limits.h"

#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/error.h"
#include "base/text.h"
#include "base/units.h"
#include "core/host.h"
#include "core/queue.h"

#define MIB 1048576
#define ROUNDING 1e-6 /* a share such as 0.29 of 100 is a little less than 29 in binary */

/* --- the host --- */

static gint64 available_memory_mib(void)
{
    g_autofree char *text = NULL;
    const char *line = g_file_get_contents("/proc/meminfo", &text, NULL, NULL) ? strstr(text, "MemAvailable:") : NULL;
    return line ? g_ascii_strtoll(line + strlen("MemAvailable:"), NULL, 10) / 1024 : G_MAXINT64;
}

void host_use_read(HostUse *use, const char *folder)
{
    g_auto(Host) host = {0};
    struct statvfs disk;
    host_read(&host);
    *use = (HostUse){.cpus = host.cpus, .memory_mib = host.memory_mib, .memory_free_mib = available_memory_mib()};
    use->disk_free_mib =
        statvfs(folder, &disk) == 0 ? (gint64)((double)disk.f_bavail * (double)disk.f_frsize / 1048576) : G_MAXINT64;
    if (getloadavg(&use->load, 1) < 1)
        use->load = 0;
}

/* --- what runs --- */

void host_use_read_sessions(HostUse *use, const Settings *settings, const GPtrArray *sessions)
{
    use->memory_touched_mib = 0;
    for (guint i = 0; settings->service_min_free_memory && i < sessions->len; i++) {
        const SessionRecord *session = sessions->pdata[i];
        ProcessUse qemu;
        if (session_holds_room(session) && process_use_read(session_process(session, "qemu"), &qemu))
            use->memory_touched_mib += MIN(qemu.memory_bytes / MIB, session->plan->memory_mib);
    }
}

typedef struct {
    gint64 sessions, cpus, memory_mib, gpus;
} Sum;

/* Adds it `times` times; -1 takes it away. */
static void sum_add(Sum *sum, const SessionRecord *session, int times)
{
    sum->sessions += times;
    sum->cpus += times * session->plan->cpus;
    sum->memory_mib += times * session->plan->memory_mib;
    sum->gpus += times * session->plan->gpu;
}

/* Of all, or of the user of `wanted`; never `wanted` itself. */
static Sum sum_of(const GPtrArray *sessions, const SessionRecord *wanted, bool only_own)
{
    Sum sum = {0};
    for (guint i = 0; i < sessions->len; i++) {
        const SessionRecord *session = sessions->pdata[i];
        bool counts = session_holds_room(session) && !g_str_equal(session->id, wanted->id);
        if (counts && (!only_own || session_is_same_user(session, wanted)))
            sum_add(&sum, session, 1);
    }
    return sum;
}

static gint64 next_end(const GPtrArray *sessions, const SessionRecord *of_user, bool with_gpu)
{
    gint64 first = 0;
    for (guint i = 0; i < sessions->len; i++) {
        const SessionRecord *session = sessions->pdata[i];
        bool mine = session_holds_room(session) && (!of_user || session_is_same_user(session, of_user));
        if (mine && (!with_gpu || session->plan->gpu) && (first == 0 || session->ends_at < first))
            first = session->ends_at;
    }
    return first;
}

gint64 limits_next_end(const GPtrArray *sessions, const SessionRecord *of_user)
{
    return next_end(sessions, of_user, false);
}

gint64 limits_next_gpu_end(const GPtrArray *sessions, const SessionRecord *of_user)
{
    return next_end(sessions, of_user, true);
}

/* --- the rules --- */

/* All that a rule looks at. */
typedef struct {
    const Settings *settings;
    const HostUse *use;
    const SessionRecord *wanted;
    Sum all, own;
} Case;

/* What a rule finds: there is room when it is off, or used + asked <= most. */
typedef struct {
    bool is_off;
    double used, asked, most;
} Finding;

static Finding find_sessions(const Case *c)
{
    gint64 most = c->settings->service_max_session_nb;
    return (Finding){most == 0, (double)c->all.sessions, 1, (double)most};
}

static gint64 own_sessions_max(const Case *c)
{
    gint64 by_group = c->wanted->plan->sessions_max;
    return by_group ? by_group : c->settings->service_max_session_nb_per_user;
}

static Finding find_own_sessions(const Case *c)
{
    gint64 most = own_sessions_max(c);
    return (Finding){most == 0, (double)c->own.sessions, 1, (double)most};
}

/* A share of a small host must not forbid the session that one gets without asking. */
static gint64 share_of(double fraction, gint64 all, gint64 least)
{
    return fraction == 0 ? G_MAXINT64 : MAX((gint64)(fraction * (double)all + ROUNDING), least);
}

gint64 limits_own_cpus_max(const Settings *settings, gint64 host_cpus)
{
    return share_of(settings->service_max_cpu_fraction_nb_per_user, host_cpus, settings->snapshot_alloc_cpu);
}

gint64 limits_own_memory_max_mib(const Settings *settings, gint64 host_mib)
{
    return share_of(settings->service_max_mem_fraction_nb_per_user, host_mib, settings->snapshot_alloc_mem);
}

static Finding find_own_cpus(const Case *c)
{
    gint64 most = limits_own_cpus_max(c->settings, c->use->cpus);
    return (Finding){most == G_MAXINT64, (double)c->own.cpus, (double)c->wanted->plan->cpus, (double)most};
}

static Finding find_own_memory(const Case *c)
{
    gint64 most = limits_own_memory_max_mib(c->settings, c->use->memory_mib);
    return (Finding){most == G_MAXINT64, (double)c->own.memory_mib, (double)c->wanted->plan->memory_mib, (double)most};
}

/* Who asks for none is not kept by a limit that was lowered meanwhile. */
static Finding find_own_gpus(const Case *c)
{
    gint64 most = c->settings->service_max_gpu_nb_per_user;
    return (Finding){most == 0 || !c->wanted->plan->gpu, (double)c->own.gpus, 1, (double)most};
}

/* Load and disk are judged as they are: what the session will add is not known. */
static Finding find_load(const Case *c)
{
    double most = c->settings->service_max_load * c->use->cpus;
    return (Finding){most == 0, c->use->load, 0, most};
}

/* What sessions have been granted and have not touched yet is promised, though it is still free. */
static Finding find_memory(const Case *c)
{
    gint64 kept = c->settings->service_min_free_memory;
    gint64 promised = c->all.memory_mib - c->use->memory_touched_mib;
    double left = (double)(c->use->memory_free_mib - promised - kept);
    return (Finding){kept == 0, 0, (double)c->wanted->plan->memory_mib, MAX(left, 0)};
}

static Finding find_disk(const Case *c)
{
    gint64 kept = c->settings->service_min_free_disk;
    return (Finding){kept == 0, (double)kept, 0, (double)c->use->disk_free_mib};
}

static char *count_text(double value)
{
    return g_strdup_printf("%.0f", value);
}

static char *load_text(double value)
{
    return g_strdup_printf("%.1f", value);
}

static char *size_text(double value)
{
    return units_format_size((gint64)value);
}

struct LimitRule {
    const char *setting;
    Finding (*find)(const Case *c);
    char *(*text)(double value);
    const char *sentence; /* {used}, {asked} and {most} stand for the figures */
    bool is_own;          /* about the user's own sessions */
    bool frees_with_end;  /* there may be room when a session ends */
    bool is_physical;     /* about what the host has, not about places: holds for administrators, too */
};

static const LimitRule rules[] = {
    {"service_max_session_nb_per_user", find_own_sessions, count_text,
     N_("Sessions for one user: {most} at once; you have {used}."), true, true, false},
    {"service_max_cpu_fraction_nb_per_user", find_own_cpus, count_text,
     N_("Processor cores for one user: {most} at once; you use {used} and ask for {asked}."), true, true, false},
    {"service_max_mem_fraction_nb_per_user", find_own_memory, size_text,
     N_("Memory for one user: {most} at once; you use {used} and ask for {asked}."), true, true, false},
    {"service_max_gpu_nb_per_user", find_own_gpus, count_text,
     N_("GPUs for one user: {most} at once; you have {used}."), true, true, false},
    {"service_max_session_nb", find_sessions, count_text, N_("Sessions on this service: {most} at once; {used} run."),
     false, true, false},
    {"service_max_load", find_load, load_text, N_("The server is busy: its load is {used}, and may be {most} at most."),
     false, false, false},
    {"service_min_free_memory", find_memory, size_text,
     N_("The server has {most} of memory for new sessions, and you ask for {asked}."), false, true, true},
    {"service_min_free_disk", find_disk, size_text,
     N_("The server's disk is nearly full: {most} are free, and {used} must stay free."), false, false, true},
};

const char *limit_rule_setting(const LimitRule *rule)
{
    return rule->setting;
}

bool limit_rule_is_own(const LimitRule *rule)
{
    return rule->is_own;
}

bool limit_rule_is_physical(const LimitRule *rule)
{
    return rule->is_physical;
}

static char *sentence_of(const LimitRule *rule, const Finding *finding)
{
    GString *text = g_string_new(rule->sentence);
    g_autofree char *used = rule->text(finding->used), *asked = rule->text(finding->asked),
                    *most = rule->text(finding->most);
    g_string_replace(text, "{used}", used, 0);
    g_string_replace(text, "{asked}", asked, 0);
    g_string_replace(text, "{most}", most, 0);
    return g_string_free(text, FALSE);
}

/* --- the decision --- */

static Case case_of(const Settings *settings, const HostUse *use, const GPtrArray *sessions,
                    const SessionRecord *wanted)
{
    return (Case){.settings = settings,
                  .use = use,
                  .wanted = wanted,
                  .all = sum_of(sessions, wanted, false),
                  .own = sum_of(sessions, wanted, true)};
}

static bool is_kept(const Case *c, const LimitRule *rule, Finding *finding)
{
    *finding = rule->find(c);
    return finding->is_off || (!rule->is_physical && c->wanted->plan->by_admin) ||
           finding->used + finding->asked <= finding->most;
}

static const LimitRule *broken_rule(const Case *c, Finding *finding)
{
    for (size_t i = 0; i < G_N_ELEMENTS(rules); i++) {
        if (!is_kept(c, &rules[i], finding))
            return &rules[i];
    }
    return NULL;
}

const LimitRule *limits_broken(const Settings *settings, const HostUse *use, const GPtrArray *sessions,
                               const SessionRecord *wanted)
{
    Finding finding;
    Case c = case_of(settings, use, sessions, wanted);
    return broken_rule(&c, &finding);
}

char *limits_reason(const Settings *settings, const HostUse *use, const GPtrArray *sessions,
                    const SessionRecord *wanted)
{
    Finding finding;
    Case c = case_of(settings, use, sessions, wanted);
    const LimitRule *rule = broken_rule(&c, &finding);
    return rule ? sentence_of(rule, &finding) : NULL;
}

/* --- other times --- */

static void sum_take(Sum *sum, const Sum *away)
{
    *sum = (Sum){sum->sessions - away->sessions, sum->cpus - away->cpus, sum->memory_mib - away->memory_mib,
                 sum->gpus - away->gpus};
}

/* The same when the user's own sessions have ended: the memory that they touched is free again, too (find_memory). */
static Case case_without_own(const Case *c)
{
    Case later = *c;
    sum_take(&later.all, &c->own);
    later.own = (Sum){0};
    return later;
}

/* The same when nothing runs. Of disk and load nobody knows how much is the sessions'. */
static Case case_of_idle_host(const Case *c, HostUse *idle)
{
    *idle = *c->use;
    idle->load = 0;
    if (c->all.sessions)
        idle->disk_free_mib = G_MAXINT64;
    Case later = *c;
    later.use = idle;
    later.all = later.own = (Sum){0};
    return later;
}

bool limits_can_wait(const Settings *settings, const HostUse *use, const GPtrArray *sessions,
                     const SessionRecord *wanted)
{
    HostUse idle;
    Finding finding;
    Case c = case_of(settings, use, sessions, wanted), later = case_of_idle_host(&c, &idle);
    return !broken_rule(&later, &finding);
}

static gint compare_ends(gconstpointer a, gconstpointer b)
{
    const SessionRecord *first = *(SessionRecord *const *)a, *second = *(SessionRecord *const *)b;
    return (first->ends_at > second->ends_at) - (first->ends_at < second->ends_at);
}

static GPtrArray *by_end(const GPtrArray *sessions)
{
    GPtrArray *holders = g_ptr_array_new();
    for (guint i = 0; i < sessions->len; i++) {
        if (session_holds_room(sessions->pdata[i]))
            g_ptr_array_add(holders, sessions->pdata[i]);
    }
    g_ptr_array_sort(holders, compare_ends);
    return holders;
}

static void case_add(Case *c, const SessionRecord *session, int times)
{
    sum_add(&c->all, session, times);
    if (session_is_same_user(session, c->wanted))
        sum_add(&c->own, session, times);
}

/* As if those who wait before it had got their room. Other users who wait for a limit of their own need none. */
static void add_ahead(Case *c, const GPtrArray *sessions)
{
    g_autoptr(GPtrArray) order = queue_order(sessions);
    for (guint i = 0; i < order->len; i++) {
        const SessionRecord *waiting = order->pdata[i];
        if (g_str_equal(waiting->id, c->wanted->id))
            return;
        const LimitRule *rule = limits_broken(c->settings, c->use, sessions, waiting);
        if (!rule || !rule->is_own || session_is_same_user(waiting, c->wanted))
            case_add(c, waiting, 1);
    }
}

gint64 limits_expected_at(const Settings *settings, const HostUse *use, const GPtrArray *sessions,
                          const SessionRecord *wanted)
{
    Finding finding;
    const LimitRule *rule;
    gint64 at = 0;
    Case c = case_of(settings, use, sessions, wanted);
    g_autoptr(GPtrArray) holders = by_end(sessions);
    add_ahead(&c, sessions);
    for (guint i = 0; (rule = broken_rule(&c, &finding)); i++) {
        if (i == holders->len || !rule->frees_with_end || rule->is_physical)
            return 0;
        const SessionRecord *next = holders->pdata[i];
        case_add(&c, next, -1);
        at = next->ends_at;
    }
    return at;
}

/* --- the refusal --- */

char *limits_when_text(gint64 unix_s)
{
    g_autoptr(GDateTime) when = g_date_time_new_from_unix_local(unix_s);
    g_autofree char *clock = g_date_time_format(when, "%Y-%m-%d %H:%M"); /* the same in all languages */
    g_autofree char *wait = units_format_duration(MAX(unix_s - session_now(), 60));
    return g_strdup_printf(N_(" The next one is due to end at %s, in %s."), clock, wait);
}

/* A text for people is not more than what it stands for: nobody is to ask for a size that is refused again. */
static char *most_text(const LimitRule *rule, double most)
{
    bool is_rounded = rule->text == size_text && most >= 1024;
    return rule->text(is_rounded ? (double)((gint64)(most * 10 / 1024) * 1024 / 10) : most);
}

/* The smallest amount that the form offers: nobody is to ask for less. */
static double least_of(const LimitRule *rule, const Settings *settings)
{
    gint64 least = G_MAXINT64, size;
    for (char **entry = settings->form_memory; rule->text == size_text && *entry; entry++) {
        if (units_parse_size(*entry, &size))
            least = MIN(least, size);
    }
    return least == G_MAXINT64 ? 1 : (double)least;
}

/* Where so much can never be had. */
static char *never_text(const LimitRule *rule, const Finding *at_best)
{
    if (at_best->asked == 0 || at_best->most < 1)
        return g_strdup(N_(" Tell the administrator of this service."));
    g_autofree char *most = most_text(rule, at_best->most);
    return g_strdup_printf(N_(" Ask for at most %s."), most);
}

/* Where there is room later, and for less at once, if for anything. */
static char *later_text(const Case *c, const LimitRule *rule, bool stopping_helps)
{
    const Finding now = rule->find(c);
    g_autofree char *left = most_text(rule, now.most - now.used);
    if (now.asked == 0 || now.most - now.used < least_of(rule, c->settings))
        return g_strdup(stopping_helps ? N_(" Stopping a session of yours makes room.") : N_(" Try again later."));
    return stopping_helps ? g_strdup_printf(N_(" Ask for at most %s, or stop a session of yours."), left)
                          : g_strdup_printf(N_(" Ask for at most %s, or try again later."), left);
}

/* What helps: less; a session of one's own that makes room; time. *due is when the next one ends that may make room, 0
 * where that does not help. */
static char *help_text(const Case *c, const GPtrArray *sessions, const LimitRule *rule, gint64 *due)
{
    HostUse idle;
    Finding finding;
    Case at_best = case_of_idle_host(c, &idle), without_own = case_without_own(c);
    *due = 0;
    if (!is_kept(&at_best, rule, &finding))
        return never_text(rule, &finding);
    if (rule->frees_with_end)
        *due = next_end(sessions, rule->is_own ? c->wanted : NULL, rule->find == find_own_gpus);
    return later_text(c, rule, c->own.sessions > 0 && is_kept(&without_own, rule, &finding));
}

/* One that can never be kept goes before the others: no time and no end helps with it. */
static const LimitRule *worst_rule(const Case *c, Finding *finding)
{
    HostUse idle;
    Case at_best = case_of_idle_host(c, &idle);
    const LimitRule *never = broken_rule(&at_best, finding);
    if (!never)
        return broken_rule(c, finding);
    *finding = never->find(c);
    return never;
}

bool limits_allow(const Settings *settings, const HostUse *use, const GPtrArray *sessions, const SessionRecord *wanted,
                  GError **error)
{
    Finding finding;
    gint64 due;
    Case c = case_of(settings, use, sessions, wanted);
    const LimitRule *rule = worst_rule(&c, &finding);
    if (!rule)
        return true;
    g_autofree char *sentence = sentence_of(rule, &finding);
    g_autofree char *help = help_text(&c, sessions, rule, &due);
    g_autofree char *when = due ? limits_when_text(due) : g_strdup("");
    return qwd_error_fail(error, QWD_ERROR_LIMIT, "%s%s%s", sentence, when, help);
}

/* --- what is free --- */

Capacity limits_capacity(const Settings *settings, const GPtrArray *sessions, const SessionRecord *wanted)
{
    Case c = case_of(settings, NULL, sessions, wanted);
    return (Capacity){.most = settings->service_max_session_nb,
                      .taken = c.all.sessions,
                      .own_most = wanted->plan->by_admin ? 0 : own_sessions_max(&c),
                      .own_taken = c.own.sessions};
}
