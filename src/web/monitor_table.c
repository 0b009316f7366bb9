/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The table of sessions: what is looked for, in which order, and a page of it. */
#include <string.h>

#include "base/json.h"
#include "web/catalogue.h"
#include "web/monitor_parts.h"
#include "web/page_life.h"

typedef struct {
    const SessionRecord *session;
    double load; /* in processors, see process_cpu_load */
} Row;

/* --- columns --- */

static double number_pid(const Row *row)
{
    return session_process(row->session, "qemu").pid;
}

static double number_load(const Row *row)
{
    return row->load;
}

static double number_cpus(const Row *row)
{
    return (double)row->session->plan->cpus;
}

static double number_memory(const Row *row)
{
    return (double)row->session->plan->memory_mib;
}

static double number_state(const Row *row)
{
    return row->session->state;
}

static double number_left(const Row *row)
{
    return (double)row->session->ends_at;
}

static double number_idle(const Row *row)
{
    return row->session->state == SESSION_RUNNING ? -(double)session_active_at(row->session) : -G_MAXDOUBLE;
}

static double number_viewers(const Row *row)
{
    return row->session->viewers->len;
}

static const char *text_user(const Row *row)
{
    return row->session->owner;
}

static const char *text_name(const Row *row)
{
    return row->session->plan->machine;
}

/* A column is sorted by number or by text, or not at all. */
typedef struct {
    const char *key;   /* in URLs */
    const char *title; /* the original's, where it has the column */
    const char *kind;  /* CSS class */
    double (*number)(const Row *row);
    const char *(*text)(const Row *row);
    bool descends; /* the largest is the most interesting */
} Column;

static const Column columns[] = {
    {"pid", N_("PID"), "number", number_pid, NULL, false},
    {"load", N_("CPU/%"), "number", number_load, NULL, true},
    {"user", N_("User name"), "long", NULL, text_user, false},
    {"cpus", N_("#CPU"), "number", number_cpus, NULL, true},
    {"memory", N_("MEM/GB"), "number", number_memory, NULL, true},
    {"gpu", N_("GPU"), "plain", NULL, NULL, false},
    {"name", N_("Full name"), "long", NULL, text_name, false},
    {"state", N_("State"), "plain", number_state, NULL, false},
    {"left", N_("Time left"), "plain", number_left, NULL, false},
    {"idle", N_("Idle"), "plain", number_idle, NULL, true},
    {"viewers", N_("Viewers"), "number", number_viewers, NULL, true},
};

static bool is_sortable(const Column *column)
{
    return column->number || column->text;
}

/* NULL: in the order of the list, newest first. */
static const Column *sort_column(const MonitorForm *form)
{
    for (size_t i = 0; i < G_N_ELEMENTS(columns); i++) {
        if (is_sortable(&columns[i]) && g_str_equal(columns[i].key, form->sort))
            return &columns[i];
    }
    return NULL;
}

static bool is_descending(const Column *column, const MonitorForm *form)
{
    return *form->order ? g_str_equal(form->order, "desc") : column->descends;
}

bool monitor_descends(const MonitorForm *form)
{
    const Column *column = sort_column(form);
    return column && is_descending(column, form);
}

static json_t *column_value(const PageContext *context, const MonitorForm *form, const Column *column)
{
    bool is_now = sort_column(form) == column, descends = is_now && is_descending(column, form);
    MonitorForm link = *form;
    link.sort = column->key;
    link.page = 0;
    link.order = is_now ? (descends ? "asc" : "desc") : column->descends ? "desc" : "asc";
    bool is_link = context->request && is_sortable(column);
    json_t *href = is_link ? json_take_text(page_monitor_path(context, &link, "")) : json_null();
    json_t *sort = is_now ? json_string(descends ? "descending" : "ascending") : json_null();
    return json_pack("{s:s, s:s, s:s, s:o, s:o}", "key", column->key, "title", tr(column->title), "kind", column->kind,
                     "href", href, "sort", sort);
}

json_t *monitor_sorts(const MonitorForm *form)
{
    const Column *now = sort_column(form);
    json_t *list = json_pack("[{s:s, s:s, s:b}]", "value", "", "text", tr("Newest first"), "selected", (int)!now);
    for (size_t i = 0; i < G_N_ELEMENTS(columns); i++) {
        if (is_sortable(&columns[i]))
            json_array_append_new(list, json_pack("{s:s, s:s, s:b}", "value", columns[i].key, "text",
                                                  tr(columns[i].title), "selected", (int)(now == &columns[i])));
    }
    return list;
}

/* --- finding and sorting --- */

static bool contains(const char *text, const char *folded_word)
{
    g_autofree char *folded = g_utf8_casefold(text, -1);
    return strstr(folded, folded_word) != NULL;
}

static bool matches(const SessionRecord *session, const char *folded_word, const char *state)
{
    if (*state && !g_str_equal(session_state_name(session->state), state))
        return false;
    return !*folded_word || contains(session->owner, folded_word) || contains(session->plan->machine, folded_word) ||
           contains(session->plan->title, folded_word) || g_str_has_prefix(session->id, folded_word);
}

typedef struct {
    const Column *column;
    int sign;
} Order;

static int compare_rows(gconstpointer a, gconstpointer b, gpointer data)
{
    const Row *first = a, *second = b;
    const Order *order = data;
    if (order->column->text)
        return order->sign * g_utf8_collate(order->column->text(first), order->column->text(second));
    double x = order->column->number(first), y = order->column->number(second);
    return order->sign * ((x > y) - (x < y));
}

static void read_load(Row *row)
{
    row->load = process_cpu_load(session_process(row->session, "qemu"));
}

/* All that match, in order. The load of processes is read of all only where it decides the order. */
static GArray *find_rows(const MonitorFacts *facts, const MonitorForm *form)
{
    g_autofree char *word = g_utf8_casefold(form->find, -1);
    const Column *column = sort_column(form);
    GArray *rows = g_array_new(FALSE, TRUE, sizeof(Row));
    for (guint i = 0; i < facts->sessions->len; i++) {
        Row row = {.session = facts->sessions->pdata[i]};
        if (!matches(row.session, word, form->state))
            continue;
        if (column && column->number == number_load)
            read_load(&row);
        g_array_append_val(rows, row);
    }
    if (column)
        g_array_sort_with_data(rows, compare_rows, &(Order){column, is_descending(column, form) ? -1 : 1});
    return rows;
}

/* --- rows --- */

static json_t *duration_value(gint64 seconds)
{
    return json_take_text(tr_duration(MAX(seconds, 0)));
}

static void add_process(json_t *value, Row *row)
{
    ProcessId qemu = session_process(row->session, "qemu");
    bool runs = process_is_alive(qemu);
    if (runs && row->load == 0)
        read_load(row);
    json_object_set_new(value, "pid", runs ? json_integer(qemu.pid) : json_null());
    json_object_set_new(value, "cpu_percent", runs ? json_take_text(tr_number(row->load * 100)) : json_null());
}

static void add_times(json_t *value, const SessionRecord *session, gint64 now)
{
    bool queued = session->state == SESSION_QUEUED, running = session->state == SESSION_RUNNING;
    json_object_set_new(value, "left",
                        queued || !session->ends_at ? json_null() : duration_value(session->ends_at - now));
    json_object_set_new(value, "idle",
                        running && session_active_at(session) ? duration_value(now - session_active_at(session))
                                                              : json_null());
    json_object_set_new(value, "viewers", running ? json_integer(session->viewers->len) : json_null());
}

static void add_actions(json_t *value, const PageContext *context, const SessionRecord *session)
{
    const Settings *settings = context->settings;
    bool may_stop = context->request && session->state != SESSION_STOPPING &&
                    policy_allows(settings, context->who, ACTION_STOP, session, NULL);
    bool may_extend =
        context->request && session->state == SESSION_RUNNING && may_press_extend(settings, context->who, session);
    json_object_set_new(value, "id", json_string(session->id));
    json_object_set_new(value, "page",
                        context->request ? json_take_text(page_session_path(context, session->id)) : json_null());
    json_object_set_new(value, "may_stop", json_boolean(may_stop));
    json_object_set_new(value, "may_extend", json_boolean(may_extend));
}

static json_t *row_value(const PageContext *context, Row *row, gint64 now)
{
    const SessionRecord *session = row->session;
    const Plan *plan = session->plan;
    json_t *value = json_object();
    add_process(value, row);
    json_object_set_new(value, "user", json_string(session->owner));
    json_object_set_new(value, "cpus", json_integer(plan->cpus));
    json_object_set_new(value, "memory_gb", json_take_text(tr_number((double)plan->memory_mib / 1024)));
    json_object_set_new(value, "gpu", *plan->gpu_name ? json_string(plan->gpu_name) : json_null());
    json_object_set_new(value, "name", json_take_text(g_strdup_printf("%.8s %s", session->id, session->plan->machine)));
    json_object_set_new(value, "state", json_string(session_state_name(session->state)));
    json_object_set_new(value, "state_text", json_string(page_state_text(session->state)));
    add_times(value, session, now);
    add_actions(value, context, session);
    return value;
}

/* --- pages of the table --- */

static json_t *page_link(const PageContext *context, const MonitorForm *form, gint64 page, bool is_there)
{
    MonitorForm link = *form;
    link.page = page;
    return is_there ? json_take_text(page_monitor_path(context, &link, "")) : json_null();
}

static char *count_text(guint found, guint all)
{
    return found == all ? tr_count("%d session", "%d sessions", all)
                        : tr_format(all == 1 ? "%u of %u session" : "%u of %u sessions", found, all);
}

static json_t *pager_value(const PageContext *context, const MonitorForm *form, gint64 page, gint64 pages)
{
    if (pages <= 1)
        return json_null();
    g_autofree char *text = tr_format("Page %d of %d", (int)page, (int)pages);
    return json_pack("{s:s, s:o, s:o}", "text", text, "previous", page_link(context, form, page - 1, page > 1), "next",
                     page_link(context, form, page + 1, page < pages));
}

void monitor_add_table(json_t *values, const PageContext *context, const MonitorFacts *facts, const MonitorForm *form)
{
    g_autoptr(GArray) rows = find_rows(facts, form);
    gint64 size = context->request ? MONITOR_PAGE_ROWS : MAX((gint64)rows->len, 1); /* a file has one page */
    gint64 pages = MAX((rows->len + size - 1) / size, 1), page = CLAMP(form->page, 1, pages);
    gint64 end = MIN(page * size, (gint64)rows->len);
    json_t *list = json_array(), *heads = json_array();
    for (gint64 i = (page - 1) * size; i < end; i++)
        json_array_append_new(list, row_value(context, &g_array_index(rows, Row, i), facts->now.at));
    for (size_t i = 0; i < G_N_ELEMENTS(columns); i++)
        json_array_append_new(heads, column_value(context, form, &columns[i]));
    json_object_set_new(values, "columns", heads);
    json_object_set_new(values, "sessions", list);
    json_object_set_new(values, "has_sessions", json_boolean(rows->len > 0));
    json_object_set_new(values, "has_any", json_boolean(facts->sessions->len > 0));
    json_object_set_new(values, "count", json_take_text(count_text(rows->len, facts->sessions->len)));
    json_object_set_new(values, "pager", pager_value(context, form, page, pages));
}
