/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "web/monitor.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/sysroot.h"
#include "base/units.h"
#include "vm/gpu.h"
#include "web/catalogue.h"
#include "web/monitor_parts.h"
#include "web/page_life.h"

/* --- what is looked for --- */

static json_t *states_value(const MonitorForm *form)
{
    json_t *list =
        json_pack("[{s:s, s:s, s:b}]", "value", "", "text", tr("All states"), "selected", (int)!*form->state);
    for (int state = 0; session_state_is_alive((SessionState)state); state++) {
        const char *name = session_state_name((SessionState)state);
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:b}", "value", name, "text", page_state_text((SessionState)state),
                                        "selected", (int)g_str_equal(name, form->state)));
    }
    return list;
}

static json_t *view_value(const PageContext *context, const MonitorForm *form)
{
    g_autofree char *path = page_monitor_path(context, form, "");
    bool is_narrowed = *form->find || *form->state;
    MonitorForm all = {.sort = form->sort, .order = form->order, .find = "", .state = "", .result = ""};
    g_autofree char *page = g_strdup_printf("%d", (int)form->page);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:o, s:o, s:o?}", "path", path, "find", form->find, "state",
                     form->state, "order", form->order, "sort", form->sort, "page", form->page ? page : "", "descends",
                     (int)monitor_descends(form), "states", states_value(form), "sorts", monitor_sorts(form),
                     "all_path", is_narrowed ? json_take_text(page_monitor_path(context, &all, "")) : json_null());
}

/* --- what was done --- */

/* "stop-2-3": of 3 sessions, 2 are being stopped. */
static json_t *result_value(const char *result)
{
    static const struct {
        const char *prefix, *all, *some; /* {done} and {all} stand for the numbers */
    } words[] = {
        {"stop-", N_("Sessions asked to end: {done} of {all}."),
         N_("Sessions asked to end: {done} of {all}. The others had ended already.")},
        {"extend-", N_("Sessions extended: {done} of {all}."),
         N_("Sessions extended: {done} of {all}. The others had ended, or have the longest life-time already.")},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        gint64 done, all;
        if (!g_str_has_prefix(result, words[i].prefix))
            continue;
        g_auto(GStrv) numbers = g_strsplit(result + strlen(words[i].prefix), "-", 2);
        if (g_strv_length(numbers) != 2 || !units_parse_integer(numbers[0], 0, 1000, &done) ||
            !units_parse_integer(numbers[1], 1, 1000, &all))
            continue;
        GString *english = g_string_new(done < all ? words[i].some : words[i].all);
        g_string_replace(english, "{done}", numbers[0], 1);
        g_string_replace(english, "{all}", numbers[1], 1);
        g_autofree char *text = tr_message(english->str);
        g_string_free(english, TRUE);
        return json_pack("{s:s, s:s}", "kind", done < all ? "warning" : "info", "text", text);
    }
    return json_null();
}

static json_t *notice_value(const MonitorFacts *facts, const MonitorForm *form)
{
    if (!facts->trouble)
        return result_value(form->result);
    g_autofree char *text = tr_format("The history of the host cannot be kept: %s.", facts->trouble);
    return json_pack("{s:s, s:s}", "kind", "warning", "text", text);
}

/* --- errors and machines --- */

static json_t *errors_value(const MonitorFacts *facts)
{
    json_t *list = json_array();
    for (guint i = 0; i < facts->errors->len; i++) {
        const TroubleLine *line = facts->errors->pdata[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "when", line->when, "subject", line->subject, "text",
                                              json_take_text(tr_message(line->text))));
    }
    return list;
}

static json_t *machine_value(const Machine *machine)
{
    struct stat image;
    bool is_present = stat(machine->path, &image) == 0;
    json_t *size = is_present ? json_take_text(tr_size((gint64)(image.st_size / 1048576))) : json_null();
    return json_pack("{s:s, s:s, s:b, s:o}", "name", machine->name, "title", machine->description, "is_present",
                     (int)is_present, "size", size);
}

static void add_machines(json_t *values, const Settings *settings)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) machines = machines_load(settings, &error);
    json_t *list = json_array();
    for (guint i = 0; machines && i < machines->len; i++)
        json_array_append_new(list, machine_value(machines->pdata[i]));
    json_object_set_new(values, "has_machines", json_boolean(json_array_size(list) > 0));
    json_object_set_new(values, "machines", list);
    json_object_set_new(values, "machines_trouble",
                        error ? json_take_text(g_utf8_make_valid(error->message, -1)) : json_null());
}

/* --- the page --- */

static json_t *file_values(void)
{
    return json_pack("{s:s, s:s, s:s, s:n}", "title", tr("Monitor"), "static", "", "script", "", "csrf");
}

/* Names what a script cannot change in place: which rows there are and what may be done with them, and the lists. */
static char *version_of(const json_t *values, gint64 now)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_string_append_printf(text, "%" G_GINT64_FORMAT ";", now / SAMPLE_PERIOD_S); /* the curves */
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(values, "sessions"), i, row)
    {
        g_string_append_printf(text, "%s %s;", json_string_value(json_object_get(row, "id")),
                               json_string_value(json_object_get(row, "state")));
    }
    static const char *const lists[] = {"errors", "machines", "facts", "pager", "has_any"};
    for (i = 0; i < G_N_ELEMENTS(lists); i++) {
        char *list = json_dumps(json_object_get(values, lists[i]), JSON_COMPACT | JSON_ENCODE_ANY);
        g_string_append(text, list);
        free(list);
    }
    g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text->str, (gssize)text->len);
    return g_strndup(sum, 16);
}

json_t *page_monitor(const PageContext *context, const MonitorFacts *facts, const MonitorForm *form)
{
    const Settings *settings = context->settings;
    bool is_page = context->request != NULL;
    g_autoptr(GPtrArray) gpus = gpus_read(sysroot(), settings->gpu_blacklist, NULL);
    json_t *values = is_page ? page_common_values(context, tr("Monitor")) : file_values();
    bool may_purge = is_page && policy_allows(settings, context->who, ACTION_PURGE, NULL, NULL);
    json_object_set_new(values, "standalone", json_boolean(!is_page));
    json_object_set_new(values, "host", json_string(g_get_host_name()));
    json_object_set_new(values, "time", time_value(facts->now.at));
    json_object_set_new(values, "notice", notice_value(facts, form));
    json_object_set_new(values, "figures", monitor_figures(settings, facts, gpus));
    json_object_set_new(values, "facts", monitor_host_facts(settings, facts, gpus));
    json_object_set_new(values, "view", is_page ? view_value(context, form) : json_null());
    json_object_set_new(values, "may_purge", json_boolean(may_purge));
    monitor_add_table(values, context, facts, form);
    json_object_set_new(values, "errors", errors_value(facts));
    add_machines(values, settings);
    json_object_set_new(values, "version", json_take_text(version_of(values, facts->now.at)));
    return values;
}

/* --- what changes --- */

/* The members of these names, of each object of a list. */
static json_t *pick(const json_t *list, const char *const *names)
{
    json_t *picked = json_array();
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)list, i, item)
    {
        json_t *object = json_object();
        for (const char *const *name = names; *name; name++)
            json_object_set(object, *name, json_object_get(item, *name));
        json_array_append_new(picked, object);
    }
    return picked;
}

json_t *page_monitor_state(const json_t *values)
{
    static const char *const of_figures[] = {"key", "now", "of", NULL};
    static const char *const of_rows[] = {"id", "pid", "cpu_percent", "left", "idle", "viewers", NULL};
    return json_pack("{s:{s:O, s:O, s:o, s:o}}", "monitor", "version", json_object_get(values, "version"), "count",
                     json_object_get(values, "count"), "figures", pick(json_object_get(values, "figures"), of_figures),
                     "sessions", pick(json_object_get(values, "sessions"), of_rows));
}
