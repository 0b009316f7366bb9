/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/samples.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "core/limits.h"

#define SCHEMA 1
#define FIELDS 9
#define FIELDS_LEAST 8 /* a sample from before GPUs were counted */
#define FILE_MAX_BYTES (128 * 1024)
#define DAY_S 86400
#define CPU_COUNTERS 8 /* user to steal; those of guests are counted in user already (proc(5)) */

/* --- the host now --- */

static void read_cpu(Sample *sample)
{
    enum { IDLE = 3, IOWAIT = 4 };
    g_autofree char *text = NULL;
    if (!g_file_get_contents("/proc/stat", &text, NULL, NULL) || !g_str_has_prefix(text, "cpu "))
        return;
    const char *next = text + strlen("cpu ");
    for (int i = 0; i < CPU_COUNTERS; i++) {
        gint64 ticks = g_ascii_strtoll(next, (char **)&next, 10);
        sample->cpu_total += ticks;
        sample->cpu_busy += i == IDLE || i == IOWAIT ? 0 : ticks;
    }
}

static void read_disk(const char *folder, Sample *sample, HostSize *size)
{
    struct statvfs disk;
    if (statvfs(folder, &disk) < 0)
        return;
    double mib = (double)disk.f_frsize / 1048576;
    size->disk_mib = (gint64)((double)disk.f_blocks * mib);
    sample->disk_used_mib = size->disk_mib - (gint64)((double)disk.f_bavail * mib);
}

void sample_take(const Settings *settings, const GPtrArray *sessions, Sample *sample, HostSize *size)
{
    HostUse use;
    host_use_read(&use, settings->dir_snapshots);
    *size = (HostSize){.cpus = use.cpus, .memory_mib = use.memory_mib};
    *sample = (Sample){
        .at = session_now(), .load = use.load, .memory_used_mib = MAX(use.memory_mib - use.memory_free_mib, 0)};
    read_cpu(sample);
    read_disk(settings->dir_snapshots, sample, size);
    for (guint i = 0; i < sessions->len; i++) {
        const SessionRecord *session = sessions->pdata[i];
        bool holds = session_holds_room(session);
        sample->waiting += session->state == SESSION_QUEUED;
        sample->sessions += holds;
        sample->gpus += holds && session->plan->gpu;
    }
}

double sample_cpu_share(const Sample *from, const Sample *to)
{
    gint64 busy = to->cpu_busy - from->cpu_busy, total = to->cpu_total - from->cpu_total;
    return total > 0 && busy >= 0 && busy <= total ? (double)busy / (double)total : -1;
}

/* --- the file --- */

static char *file_path(const Settings *settings, const char *suffix)
{
    g_autofree char *name = g_strconcat("monitor-samples.json", suffix, NULL);
    return g_build_filename(settings->dir_cache, name, NULL);
}

static json_t *sample_to_json(const Sample *sample)
{
    return json_pack("[I, f, I, I, I, I, I, I, I]", (json_int_t)sample->at, sample->load, (json_int_t)sample->cpu_busy,
                     (json_int_t)sample->cpu_total, (json_int_t)sample->memory_used_mib,
                     (json_int_t)sample->disk_used_mib, (json_int_t)sample->sessions, (json_int_t)sample->waiting,
                     (json_int_t)sample->gpus);
}

static bool sample_from_json(const json_t *array, Sample *sample)
{
    double values[FIELDS] = {0};
    size_t count = json_array_size(array);
    if (count < FIELDS_LEAST || count > FIELDS)
        return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(array, i);
        values[i] = json_number_value(value);
        if (!json_is_number(value) || values[i] < 0 || values[i] > 9e15)
            return false;
    }
    *sample = (Sample){.at = (gint64)values[0],
                       .load = values[1],
                       .cpu_busy = (gint64)values[2],
                       .cpu_total = (gint64)values[3],
                       .memory_used_mib = (gint64)values[4],
                       .disk_used_mib = (gint64)values[5],
                       .sessions = (gint64)values[6],
                       .waiting = (gint64)values[7],
                       .gpus = (gint64)values[8]};
    return true;
}

/* Samples of the day before `now`, in order: after the clock was set back, those from the future go. */
static GArray *samples_from_json(const json_t *list, gint64 now)
{
    GArray *samples = g_array_sized_new(FALSE, TRUE, sizeof(Sample), SAMPLES_MAX);
    gint64 last = now - DAY_S;
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)list, i, item)
    {
        Sample sample;
        if (!sample_from_json(item, &sample) || sample.at <= last || sample.at > now)
            continue;
        g_array_append_val(samples, sample);
        last = sample.at;
    }
    if (samples->len > SAMPLES_MAX)
        g_array_remove_range(samples, 0, samples->len - SAMPLES_MAX);
    return samples;
}

/* NULL with an error when there is a file that cannot be read. */
static GArray *read_file(const char *path, gint64 now, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(JsonValue) object = json_object_read(path, FILE_MAX_BYTES, &cause);
    const json_t *list = json_object_get(object, "samples");
    if (!object && !g_error_matches(cause, QWD_ERROR, QWD_ERROR_NOT_FOUND)) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return NULL;
    }
    if (object && (json_get_integer(object, "schema", 0) != SCHEMA || !json_is_array(list))) {
        qwd_error_fail(error, QWD_ERROR_CONFIG, "%s has no samples of this version.", path);
        return NULL;
    }
    return samples_from_json(list, now);
}

GArray *samples_load(const Settings *settings, gint64 now)
{
    g_autofree char *path = file_path(settings, "");
    GArray *samples = read_file(path, now, NULL);
    return samples ? samples : g_array_new(FALSE, TRUE, sizeof(Sample));
}

/* --- keeping one more --- */

static bool write_file(const char *path, const GArray *samples, GError **error)
{
    json_t *list = json_array();
    for (guint i = 0; i < samples->len; i++)
        json_array_append_new(list, sample_to_json(&g_array_index(samples, Sample, i)));
    g_autoptr(JsonValue) object = json_pack("{s:i, s:o}", "schema", SCHEMA, "samples", list);
    char *text = json_dumps(object, JSON_COMPACT);
    bool good = file_write_atomic(path, text, strlen(text), 0600, FILE_WRITE_FAST, error);
    free(text);
    return good;
}

static bool has_period_of(const GArray *samples, gint64 at)
{
    const Sample *last = samples->len ? &g_array_index(samples, Sample, samples->len - 1) : NULL;
    return last && last->at / SAMPLE_PERIOD_S == at / SAMPLE_PERIOD_S;
}

bool samples_add(const Settings *settings, const Sample *sample, GError **error)
{
    g_autofree char *path = file_path(settings, ""), *lock_path = file_path(settings, ".lock"),
                    *aside = file_path(settings, ".broken");
    if (g_mkdir_with_parents(settings->dir_cache, 0755) < 0)
        return qwd_error_errno(error, errno, "Cannot make the folder %s", settings->dir_cache);
    autofd int lock = file_lock(lock_path, error);
    if (lock < 0)
        return false;
    g_autoptr(GArray) samples = read_file(path, sample->at, NULL);
    if (!samples && rename(path, aside) < 0)
        return qwd_error_errno(error, errno, "Cannot put %s aside", path);
    if (!samples)
        samples = g_array_new(FALSE, TRUE, sizeof(Sample));
    if (has_period_of(samples, sample->at))
        return true;
    g_array_append_val(samples, *sample);
    return write_file(path, samples, error);
}
