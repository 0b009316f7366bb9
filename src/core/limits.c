/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/limits.h"

#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/error.h"
#include "base/units.h"
#include "core/host.h"

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

typedef struct {
    gint64 sessions, cpus, memory_mib;
} Sum;

static bool counts(const SessionRecord *session, const char *owner, const SessionRecord *wanted)
{
    return session_state_is_alive(session->state) && !g_str_equal(session->id, wanted->id) &&
           (!owner || g_str_equal(session->owner, owner));
}

static Sum sum_of(const GPtrArray *sessions, const char *owner, const SessionRecord *wanted)
{
    Sum sum = {0};
    for (guint i = 0; i < sessions->len; i++) {
        const SessionRecord *session = sessions->pdata[i];
        if (!counts(session, owner, wanted))
            continue;
        sum.sessions++;
        sum.cpus += session->plan->cpus;
        sum.memory_mib += session->plan->memory_mib;
    }
    return sum;
}

gint64 limits_next_end(const GPtrArray *sessions, const char *owner)
{
    gint64 first = 0;
    for (guint i = 0; i < sessions->len; i++) {
        const SessionRecord *session = sessions->pdata[i];
        bool mine = session_state_is_alive(session->state) && (!owner || g_str_equal(session->owner, owner));
        if (mine && (first == 0 || session->ends_at < first))
            first = session->ends_at;
    }
    return first;
}

/* --- the rules --- */

/* All that a rule looks at. */
typedef struct {
    const Settings *settings;
    const HostUse *use;
    const SessionRecord *wanted;
    Sum all, own;
} Case;

/* What a rule finds: there is room when used + asked <= most. */
typedef struct {
    double used, asked, most;
} Finding;

static Finding find_sessions(const Case *c)
{
    return (Finding){(double)c->all.sessions, 1, (double)c->settings->service_max_session_nb};
}

static Finding find_own_sessions(const Case *c)
{
    return (Finding){(double)c->own.sessions, 1, (double)c->settings->service_max_session_nb_per_user};
}

/* A fraction of a small host must not forbid the smallest session. */
static Finding find_own_cpus(const Case *c)
{
    double most = MAX(1, (int)(c->settings->service_max_cpu_fraction_nb_per_user * c->use->cpus));
    return (Finding){(double)c->own.cpus, (double)c->wanted->plan->cpus, most};
}

static Finding find_own_memory(const Case *c)
{
    double most = c->settings->service_max_mem_fraction_nb_per_user * (double)c->use->memory_mib;
    return (Finding){(double)c->own.memory_mib, (double)c->wanted->plan->memory_mib, most};
}

/* Load and disk are judged as they are: what the session will add is not known. */
static Finding find_load(const Case *c)
{
    return (Finding){c->use->load, 0, c->settings->service_max_load * c->use->cpus};
}

static Finding find_memory(const Case *c)
{
    double left = (double)(c->use->memory_free_mib - c->settings->service_min_free_memory);
    return (Finding){0, (double)c->wanted->plan->memory_mib, MAX(left, 0)};
}

static Finding find_disk(const Case *c)
{
    return (Finding){(double)c->settings->service_min_free_disk, 0, (double)c->use->disk_free_mib};
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

typedef enum { ROOM_WHEN_ANY_ENDS, ROOM_WHEN_OWN_ENDS, ROOM_UNKNOWN } Room;

typedef struct {
    const char *setting; /* off when it is 0 */
    Finding (*find)(const Case *c);
    char *(*text)(double value);
    const char *sentence; /* {used}, {asked} and {most} stand for the figures */
    Room room;
} Rule;

static const Rule rules[] = {
    {"service_max_session_nb_per_user", find_own_sessions, count_text,
     "You may have {most} sessions at once, and you have {used}.", ROOM_WHEN_OWN_ENDS},
    {"service_max_cpu_fraction_nb_per_user", find_own_cpus, count_text,
     "You may use {most} processor cores at once; you use {used} and ask for {asked}.", ROOM_WHEN_OWN_ENDS},
    {"service_max_mem_fraction_nb_per_user", find_own_memory, size_text,
     "You may use {most} of memory at once; you use {used} and ask for {asked}.", ROOM_WHEN_OWN_ENDS},
    {"service_max_session_nb", find_sessions, count_text, "This service runs {most} sessions at once, and {used} run.",
     ROOM_WHEN_ANY_ENDS},
    {"service_max_load", find_load, load_text, "The server is busy: its load is {used}, and may be {most} at most.",
     ROOM_UNKNOWN},
    {"service_min_free_memory", find_memory, size_text,
     "The server has {most} of memory to give away, and you ask for {asked}.", ROOM_WHEN_ANY_ENDS},
    {"service_min_free_disk", find_disk, size_text, "The server's disk is nearly full: {most} are left.", ROOM_UNKNOWN},
};

static bool is_off(const Settings *settings, const Rule *rule)
{
    g_autofree char *value = settings_value_text(settings, settings_find(rule->setting));
    return g_ascii_strtod(value, NULL) == 0;
}

/* --- the refusal --- */

static char *sentence_of(const Rule *rule, const Finding *finding)
{
    GString *text = g_string_new(rule->sentence);
    g_autofree char *used = rule->text(finding->used), *asked = rule->text(finding->asked),
                    *most = rule->text(finding->most);
    g_string_replace(text, "{used}", used, 0);
    g_string_replace(text, "{asked}", asked, 0);
    g_string_replace(text, "{most}", most, 0);
    return g_string_free(text, FALSE);
}

static char *when_text(gint64 unix_s)
{
    g_autoptr(GDateTime) when = g_date_time_new_from_unix_local(unix_s);
    g_autofree char *clock = g_date_time_format(when, "%e %b %H:%M");
    g_autofree char *wait = units_format_duration(MAX(unix_s - session_now(), 60));
    return g_strdup_printf(" The next one is due to end at %s, in %s.", g_strstrip(clock), wait);
}

static bool refuse(const Case *c, const Rule *rule, const Finding *finding, const GPtrArray *sessions, GError **error)
{
    const char *owner = rule->room == ROOM_WHEN_OWN_ENDS ? c->wanted->owner : NULL;
    gint64 next_end = rule->room == ROOM_UNKNOWN ? 0 : limits_next_end(sessions, owner);
    g_autofree char *sentence = sentence_of(rule, finding);
    g_autofree char *when = next_end ? when_text(next_end) : g_strdup("");
    const char *help = c->own.sessions > 0 ? " Stopping a session of yours makes room." : " Try again later.";
    return qwd_error_fail(error, QWD_ERROR_LIMIT, "%s%s%s", sentence, when, help);
}

bool limits_allow(const Settings *settings, const HostUse *use, const GPtrArray *sessions, const SessionRecord *wanted,
                  GError **error)
{
    Case c = {.settings = settings,
              .use = use,
              .wanted = wanted,
              .all = sum_of(sessions, NULL, wanted),
              .own = sum_of(sessions, wanted->owner, wanted)};
    for (size_t i = 0; i < G_N_ELEMENTS(rules); i++) {
        if (is_off(settings, &rules[i]))
            continue;
        Finding finding = rules[i].find(&c);
        if (finding.used + finding.asked > finding.most)
            return refuse(&c, &rules[i], &finding, sessions, error);
    }
    return true;
}
