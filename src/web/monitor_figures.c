/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The host in figures, and their curves over a day. */
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "core/limits.h"
#include "vm/accelerator.h"
#include "vm/gpu.h"
#include "web/catalogue.h"
#include "web/chart.h"
#include "web/monitor_parts.h"

#define DAY_S 86400
#define GAP_S (2 * SAMPLE_PERIOD_S + 120) /* one sample may be late */
#define CPU_MIN_S 30                      /* over less time, the share of busy processors says little */

#define UNKNOWN (-1)

/* --- the figures --- */

typedef struct {
    const Settings *settings;
    const MonitorFacts *facts;
    int gpus; /* that sessions can have */
} Figures;

typedef struct {
    const char *key, *title;
    double (*value)(const Sample *before, const Sample *sample); /* UNKNOWN: there is none; `before` may be NULL */
    char *(*text)(double value);
    double (*top)(const Figures *figures);   /* of the scale, when the values are not larger */
    double (*limit)(const Figures *figures); /* a line in the picture; 0 none */
    char *(*of)(const Figures *figures);     /* what stands behind the figure of now */
    bool needs_gpus;                         /* there is nothing to show where sessions can have none */
} Figure;

static double value_load(const Sample *before, const Sample *sample)
{
    (void)before;
    return sample->load;
}

static double value_cpu(const Sample *before, const Sample *sample)
{
    gint64 passed_s = before ? sample->at - before->at : 0;
    return passed_s >= CPU_MIN_S && passed_s <= GAP_S ? sample_cpu_share(before, sample) * 100 : UNKNOWN;
}

static double value_memory(const Sample *before, const Sample *sample)
{
    (void)before;
    return (double)sample->memory_used_mib;
}

static double value_disk(const Sample *before, const Sample *sample)
{
    (void)before;
    return (double)sample->disk_used_mib;
}

static double value_sessions(const Sample *before, const Sample *sample)
{
    (void)before;
    return (double)sample->sessions;
}

static double value_gpus(const Sample *before, const Sample *sample)
{
    (void)before;
    return (double)sample->gpus;
}

static char *text_percent(double value)
{
    return g_strdup_printf("%.0f %%", value);
}

static char *text_size(double value)
{
    if (value < 1024)
        return tr_size((gint64)value);
    return value < 10240 ? tr_format("%.1f GB", value / 1024) : tr_format("%.0f GB", value / 1024);
}

static char *text_count(double value)
{
    return g_strdup_printf("%.0f", value);
}

static double top_load(const Figures *figures)
{
    return figures->facts->size.cpus;
}

static double top_cpu(const Figures *figures)
{
    (void)figures;
    return 100;
}

static double top_memory(const Figures *figures)
{
    return (double)figures->facts->size.memory_mib;
}

static double top_disk(const Figures *figures)
{
    return (double)figures->facts->size.disk_mib;
}

static double top_gpus(const Figures *figures)
{
    return figures->gpus;
}

static double limit_load(const Figures *figures)
{
    return figures->settings->service_max_load * figures->facts->size.cpus;
}

static double limit_none(const Figures *figures)
{
    (void)figures;
    return 0;
}

static double limit_memory(const Figures *figures)
{
    gint64 kept = figures->settings->service_min_free_memory;
    return kept ? (double)(figures->facts->size.memory_mib - kept) : 0;
}

static double limit_disk(const Figures *figures)
{
    gint64 kept = figures->settings->service_min_free_disk;
    return kept ? (double)(figures->facts->size.disk_mib - kept) : 0;
}

static double limit_sessions(const Figures *figures)
{
    return (double)figures->settings->service_max_session_nb;
}

static char *of_cores(const Figures *figures)
{
    return tr_count("on %d core", "on %d cores", figures->facts->size.cpus);
}

static char *of_memory(const Figures *figures)
{
    g_autofree char *all = text_size((double)figures->facts->size.memory_mib);
    return tr_format("of %s", all);
}

static char *of_disk(const Figures *figures)
{
    g_autofree char *all = text_size((double)figures->facts->size.disk_mib);
    return tr_format("of %s", all);
}

/* One more item of a list in words. Takes `part` over. */
static void append_part(GString *list, char *part)
{
    g_string_append_printf(list, "%s%s", list->len ? ", " : "", part);
    g_free(part);
}

static char *of_sessions(const Figures *figures)
{
    gint64 most = figures->settings->service_max_session_nb, waiting = figures->facts->now.waiting;
    GString *text = g_string_new(NULL);
    if (most)
        append_part(text, tr_format("of %d", (int)most));
    if (waiting)
        append_part(text, tr_format("%d in the queue", (int)waiting));
    return g_string_free(text, FALSE);
}

static char *of_gpus(const Figures *figures)
{
    return tr_format("of %d", figures->gpus);
}

static const Figure rows[] = {
    {"load", N_("Load"), value_load, tr_number, top_load, limit_load, of_cores, false},
    {"cpu", N_("Processor"), value_cpu, text_percent, top_cpu, limit_none, of_cores, false},
    {"memory", N_("Memory"), value_memory, text_size, top_memory, limit_memory, of_memory, false},
    {"disk", N_("Disk of sessions"), value_disk, text_size, top_disk, limit_disk, of_disk, false},
    {"sessions", N_("Sessions"), value_sessions, text_count, limit_sessions, limit_sessions, of_sessions, false},
    {"gpus", N_("GPUs in use"), value_gpus, text_count, top_gpus, limit_none, of_gpus, true},
};

/* --- curves --- */

/* The values of the day, and of now: the last point. */
static GArray *points_of(const Figure *row, const MonitorFacts *facts)
{
    GArray *points = g_array_new(FALSE, FALSE, sizeof(ChartPoint));
    const Sample *before = NULL;
    for (guint i = 0; i <= facts->samples->len; i++) {
        const Sample *sample = i < facts->samples->len ? &g_array_index(facts->samples, Sample, i) : &facts->now;
        ChartPoint point = {sample->at, row->value(before, sample)};
        if (point.value >= 0)
            g_array_append_val(points, point);
        before = sample;
    }
    return points;
}

static void range_of(const GArray *points, double *least, double *most)
{
    *least = points->len ? G_MAXDOUBLE : 0;
    *most = 0;
    for (guint i = 0; i < points->len; i++) {
        double value = g_array_index(points, ChartPoint, i).value;
        *least = MIN(*least, value);
        *most = MAX(*most, value);
    }
}

static char *clock_text(gint64 unix_s)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(unix_s);
    return time ? g_strstrip(tr_time(time, "%e %b %H:%M")) : g_strdup("");
}

/* The curve in words. */
static char *summary_text(const Figure *row, const GArray *points, double least, double most)
{
    if (points->len < 2)
        return g_strdup(tr("The history begins now."));
    g_autofree char *from = row->text(least), *to = row->text(most),
                    *since = clock_text(g_array_index(points, ChartPoint, 0).at);
    return tr_format("Least %s, most %s since %s.", from, to, since);
}

/* The figure of now; that of the processor is the last known one, unless it is old. */
static char *now_text(const Figure *row, const GArray *points, gint64 now)
{
    const ChartPoint *last = points->len ? &g_array_index(points, ChartPoint, points->len - 1) : NULL;
    return last && now - last->at <= GAP_S ? row->text(last->value) : g_strdup(tr("not known yet"));
}

static json_t *figure_value(const Figure *row, const Figures *figures)
{
    double least, most, limit = row->limit(figures);
    g_autoptr(GArray) points = points_of(row, figures->facts);
    range_of(points, &least, &most);
    gint64 now = figures->facts->now.at;
    ChartFrame frame = {now - DAY_S, now, MAX(MAX(row->top(figures), most), 1), GAP_S};
    json_t *limit_y = limit > 0 && limit <= frame.top ? json_integer(chart_y(&frame, limit)) : json_null();
    json_t *value = json_object();
    json_object_set_new(value, "key", json_string(row->key));
    json_object_set_new(value, "title", json_string(tr(row->title)));
    json_object_set_new(value, "now", json_take_text(now_text(row, points, now)));
    json_object_set_new(value, "of", json_take_text(row->of(figures)));
    json_object_set_new(value, "top", json_take_text(row->text(frame.top)));
    json_object_set_new(value, "limit_y", limit_y);
    json_object_set_new(value, "limit", limit > 0 ? json_take_text(row->text(limit)) : json_null());
    json_object_set_new(value, "summary", json_take_text(summary_text(row, points, least, most)));
    json_object_set_new(value, "stretches", chart_stretches(points, &frame));
    return value;
}

/* How many of the host's GPUs sessions can have. */
static int count_usable(const Settings *settings, const GPtrArray *gpus)
{
    int usable = 0;
    bool offers = gpus && !g_str_equal(settings->service_gpu, "no");
    for (guint i = 0; offers && i < gpus->len; i++)
        usable += !((const Gpu *)gpus->pdata[i])->obstacle;
    return usable;
}

json_t *monitor_figures(const Settings *settings, const MonitorFacts *facts, const GPtrArray *gpus)
{
    Figures figures = {settings, facts, count_usable(settings, gpus)};
    json_t *list = json_array();
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (!rows[i].needs_gpus || figures.gpus)
            json_array_append_new(list, figure_value(&rows[i], &figures));
    }
    return list;
}

/* --- other facts --- */

static void add_fact(json_t *list, const char *name, char *text)
{
    if (*text)
        json_array_append_new(list, json_pack("{s:s, s:s}", "name", name, "text", text));
    g_free(text);
}

static char *accelerator_text(const Settings *settings)
{
    g_auto(Accelerator) accelerator = {0};
    accelerator_recall_own(settings, &accelerator);
    return tr_message(accelerator.note);
}

/* What the host has, what sessions can have of it, and what they have. */
static char *gpu_text(const Settings *settings, const MonitorFacts *facts, const GPtrArray *gpus)
{
    int used = 0;
    for (guint i = 0; gpus && i < gpus->len; i++)
        used += gpu_holder(gpus->pdata[i], facts->sessions) != NULL;
    return gpus && gpus->len ? tr_format("%d, of which sessions can have %d and have %d", (int)gpus->len,
                                         count_usable(settings, gpus), used)
                             : g_strdup("");
}

static char *promised_text(const MonitorFacts *facts)
{
    gint64 cpus = 0, memory_mib = 0;
    for (guint i = 0; i < facts->sessions->len; i++) {
        const SessionRecord *session = facts->sessions->pdata[i];
        if (session->state == SESSION_QUEUED)
            continue;
        cpus += session->plan->cpus;
        memory_mib += session->plan->memory_mib;
    }
    g_autofree char *memory = text_size((double)memory_mib), *all = text_size((double)facts->size.memory_mib);
    g_autofree char *cores = tr_count("%d core", "%d cores", cpus);
    return tr_format("%s and %s of memory; the host has %d and %s", cores, memory, facts->size.cpus, all);
}

static char *user_limits_text(const Settings *settings)
{
    GString *text = g_string_new(NULL);
    gint64 most = settings->service_max_session_nb_per_user;
    if (most)
        append_part(text, tr_count("%d session", "%d sessions", most));
    if (settings->service_max_cpu_fraction_nb_per_user > 0)
        append_part(text, tr_format("%.0f %% of the cores", settings->service_max_cpu_fraction_nb_per_user * 100));
    if (settings->service_max_mem_fraction_nb_per_user > 0)
        append_part(text, tr_format("%.0f %% of the memory", settings->service_max_mem_fraction_nb_per_user * 100));
    return g_string_free(text, FALSE);
}

json_t *monitor_host_facts(const Settings *settings, const MonitorFacts *facts, const GPtrArray *gpus)
{
    json_t *list = json_array();
    add_fact(list, tr("Given to sessions"), promised_text(facts));
    add_fact(list, tr("Limits of one user"), user_limits_text(settings));
    add_fact(list, tr("Accelerator"), accelerator_text(settings));
    add_fact(list, tr("GPUs"), gpu_text(settings, facts, gpus));
    return list;
}
