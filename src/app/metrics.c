/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "app/metrics.h"

#include <string.h>

#include "base/exposition.h"
#include "base/json.h"
#include "core/counters.h"
#include "core/limits.h"
#include "core/machine.h"
#include "core/store.h"

#define ID_DIGITS 12 /* enough to tell sessions apart, and for qwdctl log */
#define MEBIBYTE 1048576.0

/* --- counting --- */

#define CREATED "created"
#define ENDED "ended"
#define FAILED "failed"
#define REFUSED_BY "refused "
#define READY_WITHIN "ready in bucket "
#define READY_SUM_MS "ready sum ms"

/* Seconds: of a warm machine, a cold one, an emulated one. */
static const double ready_bounds_s[] = {0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300};
#define READY_BOUNDS G_N_ELEMENTS(ready_bounds_s)

static void count_one(const Settings *settings, const char *name)
{
    counters_add(settings, &(Count){name, 1}, 1, NULL);
}

void metrics_count_creation(const Settings *settings)
{
    count_one(settings, CREATED);
}

void metrics_count_refusal(const Settings *settings, const char *setting)
{
    g_autofree char *name = g_strconcat(REFUSED_BY, setting, NULL);
    count_one(settings, name);
}

/* Names of counters, and labels. */
static const char *const login_results[LOGIN_RESULTS] = {"ok", "refused", "unavailable"};

static char *login_name(LoginResult result)
{
    return g_strconcat("login ", login_results[result], NULL);
}

void metrics_count_login(const Settings *settings, LoginResult result)
{
    g_autofree char *name = login_name(result);
    count_one(settings, name);
}

static char *bucket_name(size_t i)
{
    return g_strdup_printf(READY_WITHIN "%zu", i);
}

void metrics_count_ready(const Settings *settings, const SessionRecord *session)
{
    gint64 ms = MAX(g_get_real_time() / 1000 - session->admitted_ms, 0);
    size_t i = 0;
    while (i < READY_BOUNDS && (double)ms > ready_bounds_s[i] * 1000)
        i++;
    g_autofree char *bucket = bucket_name(i);
    const Count counts[] = {{bucket, 1}, {READY_SUM_MS, ms}};
    counters_add(settings, counts, G_N_ELEMENTS(counts), NULL);
}

void metrics_count_end(const Settings *settings, const SessionRecord *session)
{
    count_one(settings, session->state == SESSION_FAILED ? FAILED : ENDED);
}

/* --- what has been counted --- */

static void add_refusals(GString *text, const json_t *counters)
{
    const char *key;
    json_t *value;
    exposition_family(text, "qwd_refusals_total", "counter",
                      "Sessions refused, by the setting whose limit was reached.");
    json_object_foreach((json_t *)counters, key, value)
    {
        if (g_str_has_prefix(key, REFUSED_BY))
            exposition_sample(text, "qwd_refusals_total", (double)json_integer_value(value), "limit",
                              key + strlen(REFUSED_BY), NULL);
    }
}

static void add_logins(GString *text, const json_t *counters)
{
    exposition_family(text, "qwd_logins_total", "counter",
                      "Attempts to log in, by their result; unavailable: a way to log in did not answer.");
    for (int result = 0; result < LOGIN_RESULTS; result++) {
        g_autofree char *name = login_name((LoginResult)result);
        exposition_sample(text, "qwd_logins_total", (double)json_get_integer(counters, name, 0), "result",
                          login_results[result], NULL);
    }
}

static void add_ready(GString *text, const json_t *counters)
{
    gint64 counts[READY_BOUNDS + 1];
    for (size_t i = 0; i <= READY_BOUNDS; i++) {
        g_autofree char *bucket = bucket_name(i);
        counts[i] = json_get_integer(counters, bucket, 0);
    }
    ExpositionHistogram histogram = {.bounds = ready_bounds_s,
                                     .counts = counts,
                                     .bound_count = READY_BOUNDS,
                                     .sum = (double)json_get_integer(counters, READY_SUM_MS, 0) / 1000};
    exposition_family(text, "qwd_session_start_seconds", "histogram",
                      "Time until a session's display could be used, since there was room for it.");
    exposition_histogram(text, "qwd_session_start_seconds", &histogram);
}

static void add_counters(GString *text, const Settings *settings)
{
    g_autoptr(JsonValue) counters = counters_read(settings);
    exposition_family(text, "qwd_sessions_created_total", "counter", "Sessions created.");
    exposition_sample(text, "qwd_sessions_created_total", (double)json_get_integer(counters, CREATED, 0), NULL);
    exposition_family(text, "qwd_sessions_ended_total", "counter", "Sessions that are over, by how they ended.");
    exposition_sample(text, "qwd_sessions_ended_total", (double)json_get_integer(counters, ENDED, 0), "result", "ended",
                      NULL);
    exposition_sample(text, "qwd_sessions_ended_total", (double)json_get_integer(counters, FAILED, 0), "result",
                      "failed", NULL);
    add_refusals(text, counters);
    add_logins(text, counters);
    add_ready(text, counters);
}

/* --- sessions --- */

typedef struct {
    int in_state[SESSION_STATES];
} MachineSum;

static MachineSum *sum_of(GHashTable *sums, const char *machine)
{
    MachineSum *sum = g_hash_table_lookup(sums, machine);
    if (!sum) {
        sum = g_new0(MachineSum, 1);
        g_hash_table_insert(sums, g_strdup(machine), sum);
    }
    return sum;
}

/* Machines on offer count even when nobody uses them: a figure that is there is easier to watch. */
static GHashTable *sum_machines(const Settings *settings, const GPtrArray *sessions)
{
    GHashTable *sums = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr(GPtrArray) machines = machines_load(settings, NULL);
    for (guint i = 0; machines && i < machines->len; i++)
        sum_of(sums, ((const Machine *)machines->pdata[i])->name);
    for (guint i = 0; i < sessions->len; i++) {
        const SessionRecord *session = sessions->pdata[i];
        sum_of(sums, session->plan->machine)->in_state[session->state]++;
    }
    return sums;
}

static void add_sessions(GString *text, const Settings *settings, const GPtrArray *sessions)
{
    g_autoptr(GHashTable) sums = sum_machines(settings, sessions);
    g_autoptr(GList) names = g_list_sort(g_hash_table_get_keys(sums), (GCompareFunc)strcmp);
    exposition_family(text, "qwd_sessions", "gauge", "Sessions, by machine and state.");
    for (const GList *name = names; name; name = name->next) {
        const MachineSum *sum = g_hash_table_lookup(sums, name->data);
        for (int state = 0; state < SESSION_STATES; state++) {
            if (sum->in_state[state] || session_state_is_alive((SessionState)state))
                exposition_sample(text, "qwd_sessions", sum->in_state[state], "machine", (const char *)name->data,
                                  "state", session_state_name((SessionState)state), NULL);
        }
    }
}

static void add_viewers(GString *text, const GPtrArray *sessions)
{
    int viewers[ROLE_COUNT] = {0};
    for (guint i = 0; i < sessions->len; i++) {
        const GPtrArray *list = ((const SessionRecord *)sessions->pdata[i])->viewers;
        for (guint j = 0; j < list->len; j++)
            viewers[((const SessionViewer *)list->pdata[j])->role]++;
    }
    exposition_family(text, "qwd_viewers", "gauge", "Viewers that are connected to displays, by what they may do.");
    for (int role = 0; role < ROLE_COUNT; role++)
        exposition_sample(text, "qwd_viewers", viewers[role], "role", session_role_name((SessionRole)role), NULL);
}

/* Families have to be in one piece, so that each of the two is written into a text of its own. */
static void add_uses(GString *text, const GPtrArray *sessions)
{
    g_autoptr(GString) cpu = g_string_new(NULL);
    exposition_family(cpu, "qwd_session_cpu_seconds_total", "counter",
                      "Processor time that a session's QEMU has used.");
    exposition_family(text, "qwd_session_memory_bytes", "gauge",
                      "Memory of this server that a session's QEMU takes (resident set).");
    for (guint i = 0; i < sessions->len; i++) {
        const SessionRecord *session = sessions->pdata[i];
        ProcessUse use;
        if (!process_use_read(session_process(session, "qemu"), &use))
            continue;
        g_autofree char *id = g_strndup(session->id, ID_DIGITS);
        exposition_sample(cpu, "qwd_session_cpu_seconds_total", use.cpu_s, "session", id, "machine",
                          session->plan->machine, NULL);
        exposition_sample(text, "qwd_session_memory_bytes", (double)use.memory_bytes, "session", id, "machine",
                          session->plan->machine, NULL);
    }
    g_string_append_len(text, cpu->str, (gssize)cpu->len);
}

/* --- the host --- */

static void add_gauge(GString *text, const char *name, const char *help, double value)
{
    exposition_family(text, name, "gauge", help);
    exposition_sample(text, name, value, NULL);
}

static void add_host(GString *text, const Settings *settings)
{
    HostUse use;
    host_use_read(&use, settings->dir_snapshots);
    add_gauge(text, "qwd_host_processors", "Processors of this server.", use.cpus);
    add_gauge(text, "qwd_host_load1", "Load of this server, over one minute.", use.load);
    add_gauge(text, "qwd_host_memory_bytes", "Memory of this server.", (double)use.memory_mib * MEBIBYTE);
    add_gauge(text, "qwd_host_memory_available_bytes", "Memory that new programs can have.",
              (double)use.memory_free_mib * MEBIBYTE);
    if (use.disk_free_mib < G_MAXINT64) /* else it could not be read */
        add_gauge(text, "qwd_host_disk_available_bytes", "Room that is left on the disk of the sessions.",
                  (double)use.disk_free_mib * MEBIBYTE);
}

char *app_metrics(const Settings *settings, const Identity *who, GError **error)
{
    if (!policy_allows(settings, who, ACTION_METRICS, NULL, error))
        return NULL;
    g_autoptr(GPtrArray) sessions = store_list(settings, error);
    if (!sessions)
        return NULL;
    GString *text = g_string_new(NULL);
    exposition_family(text, "qwd_build_info", "gauge", "1, with the version of the service.");
    exposition_sample(text, "qwd_build_info", 1, "version", QWD_VERSION, NULL);
    add_sessions(text, settings, sessions);
    add_counters(text, settings);
    add_viewers(text, sessions);
    add_uses(text, sessions);
    add_host(text, settings);
    return g_string_free(text, FALSE);
}
