/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The administrator's monitor: figures, table and lists, from records to values, and that the template takes them. */
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "paths.h"
#include "records.h"
#include "requests.h"
#include "sysfs.h"
#include "temp.h"
#include "web/monitor.h"
#include "web/template.h"

#define HOSTILE "<script>alert('x')</script>\" & {{title}}"
#define NOON ((gint64)1800000000)

typedef struct {
    char *folder;
    Settings *settings;
    Request *request;
    Identity who;
    PageContext context;
    MonitorFacts facts;
    MonitorForm form;
} Fixture;

static const MonitorForm no_form = {.sort = "", .order = "", .find = "", .state = "", .result = ""};

static void set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->folder = temp_folder();
    f->settings = temp_settings(f->folder, "accel=tcg", NULL);
    f->request = test_request("GET", "", NULL);
    f->who = (Identity){.user = "carol", .is_admin = true};
    f->context = (PageContext){.settings = f->settings, .request = f->request, .base = "http://desk", .who = &f->who};
    f->form = no_form;
    f->facts = (MonitorFacts){.sessions = g_ptr_array_new_with_free_func((GDestroyNotify)session_free),
                              .samples = g_array_new(FALSE, TRUE, sizeof(Sample)),
                              .now = {.at = NOON, .load = 0.5, .memory_used_mib = 2048, .disk_used_mib = 10240},
                              .size = {.cpus = 4, .memory_mib = 8192, .disk_mib = 102400},
                              .errors = trouble_lines("", 10)};
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    monitor_facts_clear(&f->facts);
    request_free(f->request);
    settings_free(f->settings);
    temp_folder_remove(f->folder);
}

static SessionRecord *add_session(Fixture *f, const char *owner, SessionState state)
{
    SessionRecord *session = test_session_new(f->settings, owner);
    session->state = state;
    session->ends_at = NOON + 3600;
    g_ptr_array_add(f->facts.sessions, session);
    return session;
}

static json_t *values_of(const Fixture *f)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = source_path("html");
    json_t *values = page_monitor(&f->context, &f->facts, &f->form);
    g_assert_nonnull(values);
    g_autofree char *page = template_render(folder, "monitor.html", values, &error);
    g_assert_no_error(error);
    g_assert_null(strstr(page, "<script>alert"));
    return values;
}

static const json_t *item_of(const json_t *values, const char *list, const char *key, const char *text)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(values, list), i, item)
    {
        if (g_str_equal(json_get_text(item, key, ""), text))
            return item;
    }
    g_error("%s has no %s", list, text);
}

static void assert_text(const json_t *object, const char *key, const char *expected)
{
    g_assert_cmpstr(json_get_text(object, key, "(none)"), ==, expected);
}

/* The values of a column, of all rows shown: "a b c". */
static char *shown(const json_t *values, const char *key)
{
    GString *text = g_string_new(NULL);
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(values, "sessions"), i, row)
    {
        g_string_append_printf(text, "%s%s", i ? " " : "", json_get_text(row, key, "-"));
    }
    return g_string_free(text, FALSE);
}

/* --- figures --- */

static void test_figures(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        const char *key, *now, *of;
    } rows[] = {{"load", "0.5", "on 4 cores"},
                {"cpu", "not known yet", "on 4 cores"},
                {"memory", "2.0 GB", "of 8.0 GB"},
                {"disk", "10 GB", "of 100 GB"},
                {"sessions", "0", "of 10, 2 in the queue"}};
    f->facts.now.waiting = 2;
    g_autoptr(JsonValue) values = values_of(f);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const json_t *figure = item_of(values, "figures", "key", rows[i].key);
        assert_text(figure, "now", rows[i].now);
        assert_text(figure, "of", rows[i].of);
        assert_text(figure, "summary", "The history begins now.");
    }
}

/* Where sessions can have a GPU, its use is a figure with a history, too. */
static void test_gpus(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(TempFolder) with = sysfs_machine("nvidia"), without = sysfs_machine("intel");
    Sample before = {.at = NOON - SAMPLE_PERIOD_S};
    g_array_append_val(f->facts.samples, before);
    f->facts.now.gpus = 1;
    g_setenv("QWD_SYSROOT", with, TRUE);
    g_autoptr(JsonValue) values = values_of(f);
    const json_t *figure = item_of(values, "figures", "key", "gpus");
    assert_text(figure, "now", "1");
    assert_text(figure, "of", "of 1");
    g_assert_nonnull(strstr(json_get_text(figure, "summary", ""), "Least 0, most 1"));
    g_assert_cmpint(json_array_size(json_object_get(figure, "stretches")), ==, 1);
    g_setenv("QWD_SYSROOT", without, TRUE);
    g_autoptr(JsonValue) none = values_of(f);
    g_unsetenv("QWD_SYSROOT");
    g_assert_cmpint(json_array_size(json_object_get(none, "figures")), ==,
                    json_array_size(json_object_get(values, "figures")) - 1);
}

/* Three samples, a gap, and now. */
static void add_history(Fixture *f)
{
    static const Sample samples[] = {
        {.at = NOON - 7200, .load = 1, .cpu_busy = 100, .cpu_total = 1000},
        {.at = NOON - 6900, .load = 3, .cpu_busy = 400, .cpu_total = 2000},
        {.at = NOON - 300, .load = 2, .cpu_busy = 900, .cpu_total = 9000},
    };
    g_array_append_vals(f->facts.samples, samples, G_N_ELEMENTS(samples));
    f->facts.now.cpu_busy = 1650;
    f->facts.now.cpu_total = 10000;
}

static void test_history(Fixture *f, gconstpointer unused)
{
    (void)unused;
    add_history(f);
    g_autoptr(JsonValue) values = values_of(f);
    const json_t *load = item_of(values, "figures", "key", "load"), *cpu = item_of(values, "figures", "key", "cpu");
    g_assert_true(g_str_has_prefix(json_get_text(load, "summary", ""), "Least 0.5, most 3.0 since "));
    const json_t *stretches = json_object_get(load, "stretches");
    g_assert_cmpint(json_array_size(stretches), ==, 2);
    assert_text(json_array_get(stretches, 0), "line", "2640,450 2650,150"); /* up to 4 cores */
    assert_text(json_array_get(stretches, 1), "line", "2870,300 2880,525");
    assert_text(cpu, "now", "75 %");
    g_assert_true(g_str_has_prefix(json_get_text(cpu, "summary", ""), "Least 30 %, most 75 % since "));
    g_assert_cmpint(json_array_size(json_object_get(cpu, "stretches")), ==, 2); /* nothing is known across the gap */
}

static void test_limits(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(JsonValue) values = values_of(f);
    const json_t *load = item_of(values, "figures", "key", "load");
    assert_text(load, "limit", "3.2"); /* 0.8 of each core */
    g_assert_cmpint(json_get_integer(load, "limit_y", 0), ==, 120);
    assert_text(item_of(values, "figures", "key", "sessions"), "limit", "10");
    g_assert_true(json_is_null(json_object_get(item_of(values, "figures", "key", "disk"), "limit")));
    g_autoptr(Settings) settings =
        temp_settings(f->folder, "service_max_load=0", "service_max_session_nb=0", "service_min_free_disk=50", NULL);
    f->context.settings = settings;
    g_autoptr(JsonValue) others = values_of(f);
    g_assert_true(json_is_null(json_object_get(item_of(others, "figures", "key", "load"), "limit")));
    g_assert_true(json_is_null(json_object_get(item_of(others, "figures", "key", "sessions"), "limit_y")));
    g_assert_cmpint(json_get_integer(item_of(others, "figures", "key", "disk"), "limit_y", 0), ==, 300);
}

static void test_given(Fixture *f, gconstpointer unused)
{
    (void)unused;
    add_session(f, "alice", SESSION_QUEUED);
    add_session(f, "alice", SESSION_RUNNING);
    g_autoptr(JsonValue) one = values_of(f);
    assert_text(item_of(one, "facts", "name", "Given to sessions"), "text",
                "1 core and 512 MB of memory; the host has 4 and 8.0 GB");
    add_session(f, "alice", SESSION_RUNNING);
    g_autoptr(JsonValue) values = values_of(f);
    assert_text(item_of(values, "facts", "name", "Given to sessions"), "text",
                "2 cores and 1.0 GB of memory; the host has 4 and 8.0 GB");
    assert_text(item_of(values, "facts", "name", "Limits of one user"), "text",
                "3 sessions, 30 % of the cores, 30 % of the memory");
    assert_text(item_of(values, "facts", "name", "Accelerator"), "text", "Machines are emulated: accel = tcg is set.");
}

/* --- the table --- */

static void test_row(Fixture *f, gconstpointer unused)
{
    (void)unused;
    SessionRecord *running = add_session(f, HOSTILE, SESSION_RUNNING);
    session_set_process(running, "qemu", process_id_of(getpid()));
    running->ready_at = NOON - 600;
    running->last_input_at = NOON - 120;
    session_add_viewer(running, &(SessionViewer){.link_id = (char *)"", .address = (char *)""});
    add_session(f, "bob", SESSION_QUEUED);
    g_autoptr(JsonValue) values = values_of(f);
    const json_t *row = json_array_get(json_object_get(values, "sessions"), 0);
    g_assert_cmpint(json_get_integer(row, "pid", 0), ==, getpid());
    g_assert_true(json_is_string(json_object_get(row, "cpu_percent")));
    assert_text(row, "user", HOSTILE);
    assert_text(row, "memory_gb", "0.5");
    assert_text(row, "left", "1 h");
    assert_text(row, "idle", "2 min");
    running->touched_at = NOON - 60;
    g_autoptr(JsonValue) touched = values_of(f);
    assert_text(json_array_get(json_object_get(touched, "sessions"), 0), "idle", "1 min");
    g_assert_cmpint(json_get_integer(row, "viewers", 0), ==, 1);
    g_assert_true(json_get_bool(row, "may_extend", false) && json_get_bool(row, "may_stop", false));
    const json_t *queued = json_array_get(json_object_get(values, "sessions"), 1);
    static const char *const empty[] = {"pid", "cpu_percent", "left", "idle", "viewers"};
    for (size_t i = 0; i < G_N_ELEMENTS(empty); i++)
        g_assert_true(json_is_null(json_object_get(queued, empty[i])));
    g_assert_false(json_get_bool(queued, "may_extend", true));
    g_assert_true(json_get_bool(queued, "may_stop", false));
}

static void add_people(Fixture *f)
{
    static const struct {
        const char *owner;
        int cpus;
        SessionState state;
    } rows[] = {{"bob", 2, SESSION_RUNNING}, {"alice", 4, SESSION_STARTING}, {"carol", 1, SESSION_RUNNING}};
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        add_session(f, rows[i].owner, rows[i].state)->plan->cpus = rows[i].cpus;
}

static void test_sort(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        const char *sort, *order, *shown, *direction;
    } rows[] = {
        {"", "", "bob alice carol", NULL},
        {"user", "", "alice bob carol", "ascending"},
        {"user", "desc", "carol bob alice", "descending"},
        {"cpus", "", "alice bob carol", "descending"}, /* the largest is the most interesting */
        {"cpus", "asc", "carol bob alice", "ascending"},
        {"state", "", "alice bob carol", "ascending"}, /* those that are equal stay in their order */
        {"nonsense", "", "bob alice carol", NULL},
        {"gpu", "", "bob alice carol", NULL},
        {"load", "nonsense", "bob alice carol", "ascending"},
    };
    add_people(f);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        f->form.sort = rows[i].sort;
        f->form.order = rows[i].order;
        g_autoptr(JsonValue) values = values_of(f);
        g_autofree char *users = shown(values, "user");
        g_assert_cmpstr(users, ==, rows[i].shown);
        if (rows[i].direction)
            assert_text(item_of(values, "columns", "key", rows[i].sort), "sort", rows[i].direction);
    }
}

/* A column's link sorts by it; when it is sorted by already, the other way round. */
static void test_sort_links(Fixture *f, gconstpointer unused)
{
    (void)unused;
    add_people(f);
    f->form.find = "a&b o";
    f->form.page = 7;
    f->form.sort = "user";
    g_autoptr(JsonValue) values = values_of(f);
#define PATH "/cgi-bin/qemu-web-desktop.cgi?monitor=1&find=a%26b%20o&sort="
    assert_text(item_of(values, "columns", "key", "user"), "href", PATH "user&order=desc");
    assert_text(item_of(values, "columns", "key", "cpus"), "href", PATH "cpus&order=desc");
    assert_text(item_of(values, "columns", "key", "name"), "href", PATH "name&order=asc");
    g_assert_true(json_is_null(json_object_get(item_of(values, "columns", "key", "gpu"), "href")));
}

static void test_find(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        const char *find, *state, *shown, *count;
    } rows[] = {
        {"", "", "bob alice carol", "3 sessions"},  {"O", "", "bob alice carol", "3 sessions"}, /* tiny.iso */
        {"AL", "", "alice", "1 of 3 sessions"},     {"", "running", "bob carol", "2 of 3 sessions"},
        {"bob", "starting", "", "0 of 3 sessions"}, {".*", "", "", "0 of 3 sessions"}, /* no pattern */
        {"", "nonsense", "", "0 of 3 sessions"},
    };
    add_people(f);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        f->form.find = rows[i].find;
        f->form.state = rows[i].state;
        g_autoptr(JsonValue) values = values_of(f);
        g_autofree char *users = shown(values, "user");
        g_assert_cmpstr(users, ==, rows[i].shown);
        assert_text(values, "count", rows[i].count);
        g_assert_true(json_get_bool(values, "has_any", false));
        bool narrowed = *rows[i].find || *rows[i].state;
        g_assert_true(json_is_string(json_object_get(json_object_get(values, "view"), "all_path")) == narrowed);
    }
}

static void test_pages(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        gint64 page;
        const char *text;
        size_t rows;
        bool previous, next;
    } rows[] = {{0, "Page 1 of 3", MONITOR_PAGE_ROWS, false, true},
                {2, "Page 2 of 3", MONITOR_PAGE_ROWS, true, true},
                {3, "Page 3 of 3", 5, true, false},
                {99, "Page 3 of 3", 5, true, false}};
    for (int i = 0; i < 2 * MONITOR_PAGE_ROWS + 5; i++)
        add_session(f, "alice", SESSION_RUNNING);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        f->form.page = rows[i].page;
        g_autoptr(JsonValue) values = values_of(f);
        const json_t *pager = json_object_get(values, "pager");
        assert_text(pager, "text", rows[i].text);
        g_assert_true(json_is_string(json_object_get(pager, "previous")) == rows[i].previous);
        g_assert_true(json_is_string(json_object_get(pager, "next")) == rows[i].next);
        g_assert_cmpint(json_array_size(json_object_get(values, "sessions")), ==, rows[i].rows);
    }
}

/* --- the rest --- */

static void test_file(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = source_path("html");
    for (int i = 0; i < MONITOR_PAGE_ROWS + 1; i++)
        add_session(f, "alice", SESSION_RUNNING);
    f->context.request = NULL;
    g_autoptr(JsonValue) values = page_monitor(&f->context, &f->facts, &f->form);
    g_autofree char *page = template_render(folder, "monitor.html", values, &error);
    g_assert_no_error(error);
    static const char *const not_in_a_file[] = {"href", "src=", "<form", "<button", "<script"};
    for (size_t i = 0; i < G_N_ELEMENTS(not_in_a_file); i++)
        g_assert_null(strstr(page, not_in_a_file[i]));
    g_assert_cmpint(json_array_size(json_object_get(values, "sessions")), ==, MONITOR_PAGE_ROWS + 1);
}

static void test_results(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        const char *result, *text;
    } rows[] = {
        {"stop-2-2", "Sessions asked to end: 2 of 2."},
        {"extend-1-3", "Sessions extended: 1 of 3. The others had ended, or have the longest life-time already."},
        {"", NULL},
        {"stop", NULL},
        {"stop-1", NULL},
        {"stop-x-1", NULL},
        {"stop-1-1-1", NULL},
        {"you-1-1", NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        f->form.result = rows[i].result;
        g_autoptr(JsonValue) values = values_of(f);
        const json_t *notice = json_object_get(values, "notice");
        if (rows[i].text)
            assert_text(notice, "text", rows[i].text);
        else
            g_assert_true(json_is_null(notice));
    }
}

static void test_errors(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char log[] =
        "t half a line] ERROR x\n[day 1] START CPU=1\n[day 2] ERROR CPU=1 MEM=2 GPU= USER=al VM=tiny.iso NAME=00ff "
        "Full.\n"
        "[day 3] LOGIN USER=x WHAT=] ERROR\n[day 4] ERROR " HOSTILE " \xff\n\n[day 5] ERROR no [more] words";
    g_ptr_array_unref(f->facts.errors);
    f->facts.errors = trouble_lines(log, 10);
    g_autoptr(JsonValue) values = values_of(f);
    const json_t *errors = json_object_get(values, "errors");
    g_assert_cmpint(json_array_size(errors), ==, 3);
    assert_text(json_array_get(errors, 0), "text", "no [more] words");
    assert_text(json_array_get(errors, 2), "when", "day 2");
    assert_text(json_array_get(errors, 2), "subject", "al, tiny.iso");
    assert_text(json_array_get(errors, 2), "text", "Full.");
    g_autoptr(GPtrArray) last = trouble_lines(log, 1);
    g_assert_cmpint(last->len, ==, 1);
}

static void test_machines(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(JsonValue) none = values_of(f);
    g_assert_false(json_get_bool(none, "has_machines", true));
    g_assert_cmpint(g_mkdir_with_parents(f->settings->dir_machines, 0700), ==, 0);
    g_free(temp_file(f->folder, "machines.conf", "[a.iso]\ndescription = A <b>\n[absent.iso]\n"));
    g_free(temp_file(f->settings->dir_machines, "a.iso", "x"));
    g_autoptr(JsonValue) values = values_of(f);
    const json_t *present = item_of(values, "machines", "name", "a.iso");
    g_assert_true(json_get_bool(present, "is_present", false));
    assert_text(present, "title", "A <b>");
    g_assert_false(json_get_bool(item_of(values, "machines", "name", "absent.iso"), "is_present", true));
    g_free(temp_file(f->folder, "machines.conf", "nonsense"));
    g_autoptr(JsonValue) broken = values_of(f);
    g_assert_nonnull(strstr(json_get_text(broken, "machines_trouble", ""), "machines.conf"));
}

/* The state has the same version for as long as only figures change. */
static void test_state(Fixture *f, gconstpointer unused)
{
    (void)unused;
    SessionRecord *session = add_session(f, "alice", SESSION_RUNNING);
    g_autoptr(JsonValue) values = values_of(f), state = page_monitor_state(values);
    const json_t *monitor = json_object_get(state, "monitor");
    assert_text(monitor, "version", json_get_text(values, "version", ""));
    assert_text(json_array_get(json_object_get(monitor, "sessions"), 0), "id", session->id);
    g_assert_null(json_object_get(json_array_get(json_object_get(monitor, "figures"), 0), "stretches"));
    f->facts.now.load = 3;
    f->facts.now.at += 10;
    g_autoptr(JsonValue) later = values_of(f);
    assert_text(later, "version", json_get_text(values, "version", ""));
    session->state = SESSION_STOPPING;
    g_autoptr(JsonValue) other = values_of(f);
    g_assert_cmpstr(json_get_text(other, "version", ""), !=, json_get_text(values, "version", ""));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(Fixture *, gconstpointer);
    } tests[] = {
        {"/monitor/figures", test_figures}, {"/monitor/gpus", test_gpus},
        {"/monitor/history", test_history}, {"/monitor/limits", test_limits},
        {"/monitor/given", test_given},     {"/monitor/row", test_row},
        {"/monitor/sort", test_sort},       {"/monitor/sort-links", test_sort_links},
        {"/monitor/find", test_find},       {"/monitor/pages", test_pages},
        {"/monitor/file", test_file},       {"/monitor/results", test_results},
        {"/monitor/errors", test_errors},   {"/monitor/machines", test_machines},
        {"/monitor/state", test_state},
    };
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].name, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
