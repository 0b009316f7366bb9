/* SPDX-License-Identifier: AGPL-3.0-or-later
 * From records to pages: the values that the page functions make, and that the templates take them all. (Templates
 * with example values are test_pages.) */
#include <glib/gstdio.h>
#include <string.h>

#include "base/json.h"
#include "base/token.h"
#include "core/store.h"
#include "clock.h"
#include "paths.h"
#include "records.h"
#include "requests.h"
#include "sysfs.h"
#include "temp.h"
#include "vm/image_version.h"
#include "web/pages.h"
#include "web/viewer.h"
#include "web/template.h"

#define HOSTILE "<script>alert('x')</script>\" & {{title}}"

typedef struct {
    char *folder;
    Settings *settings;
    Request *request;
    Identity who;
    PageContext context;
    SessionRecord *session;
    char *tokens[ROLE_COUNT]; /* open */
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->folder = temp_folder();
    f->settings = temp_settings(f->folder, NULL);
    f->request = test_request("GET", "", NULL);
    f->who = (Identity){.user = "alice", .is_local = true};
    f->context = (PageContext){
        .settings = f->settings, .request = f->request, .base = "http://desk.example:8080", .who = &f->who};
    f->session = test_session_new(f->settings, "alice");
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    session_free(f->session);
    request_free(f->request);
    settings_free(f->settings);
    temp_folder_remove(f->folder);
    for (int role = 0; role < ROLE_COUNT; role++)
        g_free(f->tokens[role]);
}

/* As if a supervisor had opened both links. */
static void open_links(Fixture *f)
{
    g_autofree char *display = store_display_folder(f->settings);
    g_assert_true(folder_make_private(display, NULL));
    for (int role = 0; role < ROLE_COUNT; role++) {
        SessionLink *link = session_add_link(f->session, (SessionRole)role, role == ROLE_VIEW ? HOSTILE : "", 0);
        link->is_own = role == ROLE_CONTROL;
        f->tokens[role] = token_new();
        g_autofree char *hash = token_hash(f->tokens[role]);
        session_set_text(&link->hash, hash);
        g_free(temp_file(display, f->tokens[role], ""));
    }
}

/* The record as the CGI program sees it. */
static SessionRecord *stored(const Fixture *f)
{
    g_autoptr(JsonValue) object = session_to_json(f->session);
    SessionRecord *session = session_from_json(object, NULL);
    g_assert_nonnull(session);
    return session;
}

/* The template takes these values: a missing one would be an error. */
static char *render(const char *template, const json_t *values)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = source_path("html");
    char *page = template_render(folder, template, values, &error);
    g_assert_no_error(error);
    g_assert_null(strstr(page, "<script>alert"));
    return page;
}

static json_t *session_values(const Fixture *f, json_t **session)
{
    g_autoptr(SessionRecord) record = stored(f);
    json_t *values = page_session(&f->context, record);
    g_free(render("session.html", values));
    *session = json_object_get(values, "session");
    return values;
}

static bool is_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* --- one session --- */

static void add_script(SessionRecord *session, const char *source, const char *state, gint64 exit_code)
{
    g_autoptr(JsonValue) object =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:s}", "name", HOSTILE, "source", source, "state", state, "output",
                  HOSTILE, "exit_code", (json_int_t)exit_code, "method", "agent");
    g_ptr_array_add(session->scripts, script_from_json(object));
}

static void test_scripts(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        const char *state;
        gint64 exit_code;
        bool is_over, is_failed, has_code;
    } rows[] = {{"waiting", 0, false, false, false},
                {"running", 0, false, false, false},
                {"done", 0, true, false, true},
                {"done", 3, true, true, true},
                {"failed", -1, true, true, false}};
    json_t *session;
    g_autoptr(JsonValue) none = session_values(f, &session);
    g_assert_true(json_is_null(json_object_get(session, "scripts")));
    add_script(f->session, "qemu:-device x", "waiting", 0);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        add_script(f->session, "exec:true", rows[i].state, rows[i].exit_code);
    g_autoptr(JsonValue) values = session_values(f, &session);
    const json_t *list = json_object_get(json_object_get(session, "scripts"), "list");
    g_assert_cmpint(json_array_size(list), ==, G_N_ELEMENTS(rows));
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const json_t *script = json_array_get(list, i);
        g_assert_true(is_true(script, "is_over") == rows[i].is_over);
        g_assert_true(is_true(script, "is_failed") == rows[i].is_failed);
        g_assert_true(json_is_integer(json_object_get(script, "exit_code")) == rows[i].has_code);
        g_assert_cmpstr(json_get_text(script, "state_text", ""), !=, "");
    }
}

/* In which state the page says what. */
static void test_states(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        SessionState state;
        bool is_waiting, is_stopping, is_over, may_stop, may_extend, refreshes;
    } rows[] = {
        {SESSION_QUEUED, true, false, false, true, false, true},
        {SESSION_STARTING, true, false, false, true, false, true},
        {SESSION_RUNNING, false, false, false, true, true, false},
        {SESSION_STOPPING, false, true, false, false, false, true},
        {SESSION_ENDED, false, false, true, false, false, false},
        {SESSION_FAILED, false, false, true, false, false, false},
    };
    session_set_text(&f->session->reason, HOSTILE);
    session_set_text(&f->session->note, HOSTILE);
    session_set_text(&f->session->owner, HOSTILE);
    f->session->ended_at = session_now();
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        json_t *session;
        f->session->state = rows[i].state;
        g_autoptr(JsonValue) values = session_values(f, &session);
        g_assert_cmpstr(json_get_text(session, "state", ""), ==, session_state_name(rows[i].state));
        g_assert_true(is_true(session, "is_waiting") == rows[i].is_waiting);
        g_assert_true(is_true(session, "is_stopping") == rows[i].is_stopping);
        g_assert_true(json_is_object(json_object_get(session, "over")) == rows[i].is_over);
        g_assert_true(is_true(session, "may_stop") == rows[i].may_stop);
        g_assert_true(is_true(session, "may_extend") == rows[i].may_extend);
        g_assert_true(json_is_integer(json_object_get(values, "refresh")) == rows[i].refreshes);
        g_assert_true(json_is_null(json_object_get(session, "ready"))); /* no link is open */
    }
}

static void test_ready(Fixture *f, gconstpointer unused)
{
    (void)unused;
    json_t *session;
    open_links(f);
    f->session->state = SESSION_STARTING; /* open, and not ready yet */
    g_autoptr(JsonValue) early = session_values(f, &session);
    g_assert_true(json_is_null(json_object_get(session, "ready")));
    f->session->state = SESSION_RUNNING;
    g_autoptr(JsonValue) values = session_values(f, &session);
    const json_t *ready = json_object_get(session, "ready");
    g_assert_true(g_str_has_prefix(json_get_text(ready, "url", ""), "http://desk.example:8080/darts/vnc.html?"));
    g_assert_nonnull(strstr(json_get_text(ready, "url", ""), f->tokens[ROLE_CONTROL]));
    g_assert_nonnull(strstr(json_get_text(ready, "view_url", ""), f->tokens[ROLE_VIEW]));
    g_assert_nonnull(json_object_get(json_object_get(ready, "qr"), "path"));
    g_assert_true(
        g_str_has_prefix(json_get_text(ready, "viewer_url", ""), "http://desk.example:8080/darts/viewer#token="));
    g_assert_true(g_str_has_suffix(json_get_text(ready, "viewer_url", ""), f->tokens[ROLE_CONTROL]));
    g_assert_true(g_str_has_suffix(json_get_text(ready, "watch_url", ""), f->tokens[ROLE_VIEW]));
    g_assert_true(g_str_has_suffix(json_get_text(ready, "connect", ""), f->session->id));
    f->session->plan->oneshot = true;
    g_autoptr(JsonValue) oneshot = session_values(f, &session);
    g_assert_true(is_true(json_object_get(session, "ready"), "is_oneshot"));
    g_assert_true(json_is_null(json_object_get(json_object_get(session, "ready"), "view_url")));
    g_assert_true(json_is_null(json_object_get(json_object_get(session, "ready"), "watch_url")));
}

/* Where our page could not connect, all ways lead to noVNC's. */
static void test_ready_without_viewer(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(Settings) settings = temp_settings(f->folder, "service_path=", NULL);
    f->context.settings = settings;
    f->context.base = "https://desk.example";
    open_links(f);
    f->session->state = SESSION_RUNNING;
    json_t *session;
    g_autoptr(JsonValue) values = session_values(f, &session);
    const json_t *ready = json_object_get(session, "ready");
    g_assert_cmpstr(json_get_text(ready, "viewer_url", ""), ==, json_get_text(ready, "url", "?"));
    g_assert_cmpstr(json_get_text(ready, "watch_url", ""), ==, json_get_text(ready, "view_url", "?"));
    g_assert_cmpstr(json_get_text(ready, "connect", ""), ==, json_get_text(ready, "url", "?"));
}

/* The holder of a link sees this and no more: no id, no owner, no addresses, no labels. */
static void test_link_state(Fixture *f, gconstpointer unused)
{
    (void)unused;
    open_links(f);
    f->session->state = SESSION_RUNNING;
    f->session->ends_at = 2000;
    session_set_text(&f->session->owner, HOSTILE);
    SessionLink *link = f->session->links->pdata[1];
    session_add_viewer(f->session, &(SessionViewer){.link_id = link->id, .address = (char *)"192.0.2.7"});
    g_autoptr(JsonValue) state = page_link_state(f->session, link);
    char *text = json_dumps(state, 0);
    const char *const secrets[] = {f->session->id, "192.0.2.7", "script", link->id, f->tokens[ROLE_VIEW]};
    for (size_t i = 0; i < G_N_ELEMENTS(secrets); i++)
        g_assert_null(strstr(text, secrets[i]));
    free(text);
    g_assert_cmpstr(json_get_text(state, "role", ""), ==, "view");
    g_assert_cmpint(json_get_integer(state, "viewers", 0), ==, 1);
    g_assert_cmpstr(json_get_text(json_object_get(state, "end"), "iso", ""), ==, "1970-01-01T00:33:20Z");
    link->expires_at = 1000; /* its own end comes first */
    g_autoptr(JsonValue) shorter = page_link_state(f->session, link);
    g_assert_cmpstr(json_get_text(json_object_get(shorter, "end"), "iso", ""), ==, "1970-01-01T00:16:40Z");
}

static void test_viewer(Fixture *f, gconstpointer unused)
{
    (void)unused;
    session_set_text(&f->session->owner, HOSTILE);
    g_autoptr(JsonValue) own = page_viewer(&f->context, f->session), shared = page_viewer(&f->context, NULL);
    g_free(render("viewer.html", own));
    g_free(render("viewer.html", shared));
    g_assert_cmpstr(json_get_text(own, "session", ""), ==, f->session->id);
    g_assert_cmpstr(json_get_text(own, "static", ""), ==, "/qemu-web-desktop/static");
    g_assert_cmpstr(json_get_text(own, "socket", ""), ==, "/darts/websockify");
    g_assert_cmpstr(json_get_text(shared, "session", "?"), ==, "");
    g_assert_cmpstr(json_get_text(shared, "static", ""), ==, "/darts/static");
}

static void test_steps(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        const char *step;
        size_t now;
    } rows[] = {{"prepare", 1},  {"accelerator", 1}, {"disk", 1},    {"network", 1},
                {"starting", 2}, {"display", 2},     {"unknown", 1}, {"", 1}};
    f->session->state = SESSION_STARTING;
    session_add_step(f->session, "prepare", 100);
    session_add_step(f->session, "disk", 250);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        json_t *session;
        session_set_text(&f->session->step, rows[i].step);
        g_autoptr(JsonValue) values = session_values(f, &session);
        const json_t *steps = json_object_get(session, "steps");
        g_assert_cmpint(json_array_size(steps), ==, 4);
        for (size_t k = 0; k < 4; k++) {
            g_assert_true(is_true(json_array_get(steps, k), "is_now") == (k == rows[i].now));
            g_assert_true(is_true(json_array_get(steps, k), "is_done") == (k < rows[i].now));
        }
        if (rows[i].now == 2)
            g_assert_cmpstr(json_get_text(json_array_get(steps, 1), "took", ""), ==, "0.3 s");
    }
}

/* A record that somebody has tampered with gives a page all the same. */
static void test_odd_record(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const odd[] = {"{\"plan\": null}", "{\"created_at\": -1, \"ends_at\": 9000000000000000000}",
                                      "{\"links\": [{\"role\": \"view\"}], \"viewers\": [{}], \"steps\": [{}]}"};
    for (size_t i = 0; i < G_N_ELEMENTS(odd); i++) {
        g_autoptr(JsonValue) object = session_to_json(f->session), more = json_loads(odd[i], 0, NULL);
        json_object_update(object, more);
        json_object_set_new(object, "state", json_string("running"));
        g_autoptr(SessionRecord) session = session_from_json(object, NULL);
        g_autoptr(JsonValue) values = page_session(&f->context, session);
        g_free(render("session.html", values));
    }
}

/* --- many sessions --- */

static void test_sessions(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GPtrArray) sessions = g_ptr_array_new_with_free_func((GDestroyNotify)session_free);
    g_autoptr(GPtrArray) history = g_ptr_array_new();
    g_autoptr(JsonValue) none = page_sessions(&f->context, sessions, history, 0);
    g_free(render("sessions.html", none));
    g_assert_false(is_true(none, "may_purge"));
    for (int state = 0; state < SESSION_STATES; state++) {
        f->session->state = (SessionState)state;
        g_ptr_array_add(sessions, stored(f));
    }
    f->who.is_admin = true;
    session_set_text(&f->session->reason, HOSTILE);
    g_ptr_array_add(history, f->session);
    g_autoptr(JsonValue) values = page_sessions(&f->context, sessions, history, 1);
    g_free(render("sessions.html", values));
    g_assert_true(is_true(values, "may_purge"));
    g_assert_cmpint(json_array_size(json_object_get(values, "sessions")), ==, SESSION_ENDED);
    g_assert_cmpint(json_array_size(json_object_get(values, "kept")), ==, SESSION_STATES - SESSION_ENDED);
    g_assert_cmpint(json_array_size(json_object_get(values, "history")), ==, 1);
    g_assert_true(json_is_null(json_object_get(values, "pager")));
    static const char *const lists[] = {"sessions", "kept", "saved", "history"};
    g_autoptr(JsonValue) news = page_sessions_state(values);
    for (size_t i = 0; i < G_N_ELEMENTS(lists); i++)
        g_assert_true(json_equal(json_object_get(news, lists[i]), json_object_get(values, lists[i])));
    g_autoptr(JsonValue) all = page_sessions_list(&f->context, sessions);
    g_assert_cmpint(json_array_size(json_object_get(all, "sessions")), ==, SESSION_ENDED);
}

static size_t size_of(const json_t *values, const char *key)
{
    return json_array_size(json_object_get(values, key));
}

/* Fifty on a page; what is beyond the last one is the last one. */
static void test_sessions_pages(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        gint64 wanted;
        int page;
        size_t count;
        bool has_before, has_next;
    } rows[] = {
        {0, 1, 50, false, true}, {2, 2, 50, true, true}, {3, 3, 20, true, false}, {G_MAXINT64, 3, 20, true, false}};
    g_autoptr(GPtrArray) sessions = g_ptr_array_new(), history = g_ptr_array_new();
    f->session->state = SESSION_RUNNING;
    session_set_text(&f->session->reason, "");
    for (int i = 0; i < 120; i++)
        g_ptr_array_add(sessions, f->session);
    g_ptr_array_add(history, f->session);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(JsonValue) values = page_sessions(&f->context, sessions, history, rows[i].wanted);
        const json_t *pager = json_object_get(values, "pager");
        g_assert_cmpint(json_get_integer(pager, "page", 0), ==, rows[i].page);
        g_assert_cmpint(json_get_integer(pager, "pages", 0), ==, 3);
        g_assert_cmpint(size_of(values, "sessions"), ==, rows[i].count);
        g_assert_true(json_is_string(json_object_get(pager, "before")) == rows[i].has_before);
        g_assert_true(json_is_string(json_object_get(pager, "next")) == rows[i].has_next);
        g_assert_cmpint(size_of(values, "history"), ==, rows[i].page == 1 ? 1 : 0);
        g_assert_cmpstr(json_get_text(values, "count_text", ""), ==, "120 sessions");
    }
}

/* The one row of a page that shows this session alone. */
static json_t *only_row(Fixture *f, JsonValue **values)
{
    g_autoptr(SessionRecord) session = stored(f);
    g_autoptr(GPtrArray) sessions = g_ptr_array_new(), history = g_ptr_array_new();
    g_ptr_array_add(sessions, session);
    json_decref(*values);
    *values = page_sessions(&f->context, sessions, history, 1);
    g_free(render("sessions.html", *values));
    return json_array_get(json_object_get(*values, "sessions"), 0);
}

/* Who is connected, how long nobody has used it, what is left, and that a card is not news with each second. */
static void test_sessions_row(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(JsonValue) values = NULL;
    gint64 now = session_now();
    f->session->state = SESSION_RUNNING;
    f->session->ready_at = now - 30;
    f->session->ends_at = now + 3601;
    const json_t *row = only_row(f, &values);
    g_assert_true(json_is_null(json_object_get(row, "idle")) && json_is_null(json_object_get(row, "viewers")));
    g_assert_cmpstr(json_get_text(row, "left", ""), ==, "1 h 1 min");
    g_assert_true(is_true(row, "may_share") && !is_true(row, "is_new"));
    g_assert_true(g_str_has_suffix(json_get_text(json_object_get(row, "picture"), "url", ""), "&picture=10"));
    f->session->ready_at = now - 330;
    session_add_viewer(f->session, &(SessionViewer){.link_id = (char *)"x", .address = (char *)HOSTILE});
    SessionLink *link = session_add_link(f->session, ROLE_VIEW, HOSTILE, 0);
    session_add_viewer(f->session, &(SessionViewer){.link_id = link->id, .address = (char *)""});
    row = only_row(f, &values);
    g_assert_cmpstr(json_get_text(row, "idle", ""), ==, "5 min");
    const json_t *viewers = json_object_get(row, "viewers");
    g_assert_cmpstr(json_get_text(viewers, "count_text", ""), ==, "2 viewers");
    g_assert_cmpstr(json_string_value(json_array_get(json_object_get(viewers, "names"), 0)), ==, "a link");
    g_assert_cmpstr(json_string_value(json_array_get(json_object_get(viewers, "names"), 1)), ==, HOSTILE);
    f->session->plan->oneshot = true;
    g_assert_false(is_true(only_row(f, &values), "may_share"));
    f->session->state = SESSION_STARTING;
    row = only_row(f, &values);
    g_assert_true(is_true(row, "is_new") && json_is_null(json_object_get(row, "picture")));
}

/* What one can do is said when a step takes long, and of that step. */
static void test_advice(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        SessionState state;
        const char *step;
        gint64 ago_s;
        const char *part; /* NULL: nothing is said */
    } rows[] = {{SESSION_QUEUED, "", 10, NULL},
                {SESSION_QUEUED, "", 400, "takes long to get room"},
                {SESSION_STARTING, "disk", 10, NULL},
                {SESSION_STARTING, "disk", 30, "the disk is large"},
                {SESSION_STARTING, "display", 30, NULL}, /* the steps before took most of that */
                {SESSION_STARTING, "display", 60, "less memory"},
                {SESSION_RUNNING, "", 4000, NULL},
                {SESSION_ENDED, "", 4000, NULL}};
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        json_t *session;
        f->session->state = rows[i].state;
        f->session->created_at = session_now() - rows[i].ago_s;
        f->session->started_at = rows[i].state == SESSION_QUEUED ? 0 : f->session->created_at;
        session_set_text(&f->session->step, rows[i].step);
        if (i == 4)
            session_add_step(f->session, "disk", 25000);
        g_autoptr(JsonValue) values = session_values(f, &session);
        const char *advice = json_get_text(session, "advice", NULL);
        g_assert_true(rows[i].part ? advice && strstr(advice, rows[i].part) : advice == NULL);
    }
}

/* News each second as long as the machine boots; later, and when somebody looks at the desktop itself, less often. */
static void test_picture(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        SessionState state;
        const char *step;
        gint64 ready_ago_s, input_ago_s;
        int period_s; /* 0: there is no screen */
    } rows[] = {{SESSION_QUEUED, "", 0, 0, 0},
                {SESSION_STARTING, "disk", 0, 0, 0},
                {SESSION_STARTING, "starting", 0, 0, 0},
                {SESSION_STARTING, "display", 0, 0, 1},
                {SESSION_RUNNING, "", 5, 0, 1},
                {SESSION_RUNNING, "", 5, 3, 10},
                {SESSION_RUNNING, "", 3600, 0, 10},
                {SESSION_STOPPING, "", 5, 0, 0},
                {SESSION_ENDED, "", 5, 0, 0}};
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        json_t *session;
        gint64 now = session_now();
        f->session->state = rows[i].state;
        f->session->ready_at = rows[i].ready_ago_s ? now - rows[i].ready_ago_s : 0;
        f->session->last_input_at = rows[i].input_ago_s ? now - rows[i].input_ago_s : 0;
        session_set_text(&f->session->step, rows[i].step);
        g_autoptr(JsonValue) values = session_values(f, &session);
        const json_t *picture = json_object_get(session, "picture");
        g_assert_cmpint(json_get_integer(picture, "period", 0), ==, rows[i].period_s);
        g_assert_true(json_is_null(picture) == (rows[i].period_s == 0));
    }
}

/* --- the times of a session --- */

static const json_t *ending_of(Fixture *f, JsonValue **values)
{
    json_t *session;
    json_decref(*values);
    *values = session_values(f, &session);
    return json_object_get(session, "ending");
}

/* Which end is near, and what one can do about it. */
static void test_ending(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(JsonValue) values = NULL;
    gint64 now = session_now();
    f->session->state = SESSION_RUNNING;
    g_assert_true(json_is_null(ending_of(f, &values)));
    f->session->unused_stop_at = now + 100;
    g_assert_cmpstr(json_get_text(ending_of(f, &values), "kind", ""), ==, "unused");
    f->session->created_at = now - 86400;
    f->session->ends_at = now + 600; /* within the default warning of 15 minutes */
    const json_t *ending = ending_of(f, &values);
    g_assert_cmpstr(json_get_text(ending, "kind", ""), ==, "time");
    g_assert_true(is_true(ending, "offers_extension") && !is_true(ending, "may_stay"));
    g_assert_nonnull(json_get_text(json_object_get(ending, "time"), "iso", NULL));
    f->session->idle_stop_at = now + 60;
    ending = ending_of(f, &values);
    g_assert_cmpstr(json_get_text(ending, "kind", ""), ==, "idle");
    g_assert_true(is_true(ending, "may_stay") && !is_true(ending, "offers_extension"));
    f->session->state = SESSION_STOPPING;
    g_assert_true(json_is_null(ending_of(f, &values)));
}

/* Where sessions cannot be extended, nobody is told to. */
static void test_ending_without_extension(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(JsonValue) values = NULL;
    settings_free(f->settings);
    f->context.settings = f->settings = temp_settings(f->folder, "session_extension=0", NULL);
    f->session->state = SESSION_RUNNING;
    f->session->created_at = session_now() - 86400;
    f->session->ends_at = session_now() + 600;
    const json_t *ending = ending_of(f, &values);
    g_assert_false(is_true(ending, "offers_extension"));
    g_assert_nonnull(strstr(json_get_text(ending, "help", ""), "Save what you need"));
    g_assert_false(is_true(json_object_get(values, "session"), "may_extend"));
    settings_free(f->settings);
    f->context.settings = f->settings = temp_settings(f->folder, "session_total_max=1d", NULL); /* that is over */
    ending = ending_of(f, &values);
    g_assert_false(is_true(ending, "offers_extension"));
    f->who.is_admin = true;
    ending = ending_of(f, &values);
    g_assert_true(is_true(ending, "offers_extension"));
    g_assert_cmpstr(json_get_text(json_object_get(values, "session"), "extension", ""), ==, "1 day");
}

static void test_extension_text(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const cases[][2] = {{"session_extension=1d", "1 day"},  {"session_extension=12h", "12 hours"},
                                           {"session_extension=1h", "1 hour"}, {"session_extension=30m", "30 minutes"},
                                           {"session_extension=4d", "4 days"}, {"session_extension=90m", "90 minutes"}};
    f->session->state = SESSION_RUNNING;
    f->session->ends_at = session_now() + 600;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        json_t *session;
        g_autoptr(Settings) settings = temp_settings(f->folder, cases[i][0], "snapshot_lifetime=5d", NULL);
        f->context.settings = settings;
        g_autoptr(JsonValue) values = session_values(f, &session);
        g_assert_cmpstr(json_get_text(session, "extension", ""), ==, cases[i][1]);
    }
}

/* What a press adds where the longest life-time is near, at least. */
static void test_extension_part(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        gint64 left_s; /* of 12 hours */
        const char *user, *admin;
    } rows[] = {{600, "11 hours", "1 day"},
                {12 * 3600 - 1810, "30 minutes", "1 day"},
                {12 * 3600 - 30, "1 day", "1 day"}}; /* nothing now, as much later */
    g_autoptr(Settings) settings = temp_settings(f->folder, "snapshot_lifetime=12h", "session_extension=1d", NULL);
    f->context.settings = settings;
    f->session->state = SESSION_RUNNING;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        for (int admin = 0; admin < 2; admin++) {
            json_t *session;
            f->who.is_admin = admin;
            f->session->ends_at = session_now() + rows[i].left_s;
            g_autoptr(JsonValue) values = session_values(f, &session);
            g_assert_cmpstr(json_get_text(session, "extension", ""), ==, admin ? rows[i].admin : rows[i].user);
        }
    }
}

static bool offers_resume(Fixture *f)
{
    json_t *session;
    g_autoptr(JsonValue) values = session_values(f, &session);
    g_autofree char *page = render("session.html", values);
    const json_t *kept = json_object_get(json_object_get(session, "over"), "kept");
    bool offered = json_is_object(kept) && json_is_null(json_object_get(kept, "obstacle"));
    g_assert_true(offered == (strstr(page, "session_resume") != NULL));
    return offered;
}

static void test_kept(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *image = g_build_filename(f->folder, "kept.raw", NULL);
    char *files[] = {image, NULL};
    g_assert_true(g_file_set_contents(image, "as it was", -1, NULL));
    session_set_text(&f->session->plan->image, image);
    g_free(f->session->image_version);
    f->session->image_version = image_version_of(files);
    f->session->state = SESSION_ENDED;
    f->session->ended_at = session_now() - 10;
    g_assert_false(offers_resume(f));
    f->session->kept_until = session_now() + 100;
    g_assert_true(offers_resume(f));
    f->session->state = SESSION_FAILED;
    g_assert_true(offers_resume(f));
    g_assert_true(g_file_set_contents(image, "as it is now", -1, NULL));
    g_assert_false(offers_resume(f));
    g_remove(image);
    g_assert_false(offers_resume(f));
    f->session->kept_until = session_now();
    g_assert_false(offers_resume(f));
}

/* --- the form --- */

static GPtrArray *example_machines(const Fixture *f)
{
    GPtrArray *machines = g_ptr_array_new_with_free_func((GDestroyNotify)machine_free);
    static const char *const names[] = {"a.iso", "absent.iso", "b.iso"};
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(f->folder, names[i], NULL);
        if (!g_str_equal(names[i], "absent.iso"))
            g_assert_true(g_file_set_contents(path, "", 0, NULL));
        g_ptr_array_add(machines, machine_from_path(path));
    }
    Machine *last = machines->pdata[2];
    g_free(last->description);
    last->description = g_strdup(HOSTILE);
    return machines;
}

static size_t count_of(const json_t *list, const char *key)
{
    size_t i, count = 0;
    json_t *item;
    json_array_foreach(list, i, item) count += is_true(item, key);
    return count;
}

static void test_landing(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GPtrArray) machines = example_machines(f), none = g_ptr_array_new();
    g_autoptr(JsonValue) empty = page_landing(&f->context, none, NULL);
    g_free(render("landing.html", empty));
    g_autoptr(JsonValue) values = page_landing(&f->context, machines, NULL);
    g_free(render("landing.html", values));
    const json_t *list = json_object_get(values, "machines");
    g_assert_cmpint(json_array_size(list), ==, 2); /* those that are there */
    g_assert_cmpint(count_of(list, "checked"), ==, 1);
    g_assert_true(is_true(json_array_get(list, 0), "checked"));
    g_autoptr(Settings) settings = temp_settings(f->folder, "machine=b.iso", "form_cpu=1,nonsense,100000", NULL);
    f->context.settings = settings;
    g_autoptr(JsonValue) proposed = page_landing(&f->context, machines, NULL);
    g_assert_true(is_true(json_array_get(json_object_get(proposed, "machines"), 1), "checked"));
    g_assert_cmpint(json_array_size(json_object_get(proposed, "cpus")), ==,
                    1); /* what this host cannot is not offered */
    static const char *const choices[] = {"cpus", "memories", "lifetimes"};
    for (size_t i = 0; i < G_N_ELEMENTS(choices); i++)
        g_assert_cmpint(count_of(json_object_get(values, choices[i]), "selected"), ==, 1);
}

/* A start page with the original's placeholders. */
static void test_landing_placeholders(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) machines = example_machines(f);
    g_autoptr(Settings) settings =
        temp_settings(f->folder, "form_cpu=1", "form_memory=512M", "form_lifetime=1h,2h", NULL);
    f->context.settings = settings;
    g_autoptr(JsonValue) values = page_landing(&f->context, machines, NULL);
    g_autofree char *folder = source_path("html");
    g_autofree char *page = template_render_text(
        folder, "landing.html",
        "<select>\n{{layout_machines_list}}\n</select>\n{{ layout_cpu }}{{layout_memory}}{{layout_lifetime}}", values,
        &error);
    g_assert_no_error(error);
    g_autoptr(GString) hostile = g_string_new(NULL);
    template_escape(hostile, HOSTILE, strlen(HOSTILE));
    g_assert_true(g_str_has_prefix(page, "<select>\n<option value=\"a.iso\" selected=\"selected\">a.iso</option>\n"
                                         "<option value=\"b.iso\">"));
    g_assert_nonnull(strstr(page, hostile->str));
    g_assert_true(
        g_str_has_suffix(page, "</option>\n</select>\n"
                               "<option value=\"1\" data-amount=\"1\" selected=\"selected\">1 core</option>\n"
                               "<option value=\"512M\" data-amount=\"512\" selected=\"selected\">512 MB</option>\n"
                               "<option value=\"1h\" data-amount=\"3600\">1 hour</option>\n"
                               "<option value=\"2h\" data-amount=\"7200\" selected=\"selected\">2 hours</option>\n"));
}

/* The page that is a file has what is for everybody; whoever is known sees their own as well. */
static void test_landing_of_some(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        Identity who;
        size_t count;
    } rows[] = {{{.user = ""}, 1},
                {{.user = "alice"}, 1},
                {{.user = "alice", .is_authenticated = true}, 2},
                {{.user = "bob", .is_authenticated = true}, 1},
                {{.user = "root", .is_admin = true}, 2}};
    g_autoptr(GPtrArray) machines = example_machines(f);
    Machine *last = machines->pdata[2];
    g_free(last->users);
    last->users = g_strdup("alice");
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        f->who = rows[i].who;
        g_autoptr(JsonValue) values = page_landing(&f->context, machines, NULL);
        g_assert_cmpint(json_array_size(json_object_get(values, "machines")), ==, rows[i].count);
    }
}

/* What stands on top for who is known, and what the file and others do not show. */
static void test_landing_visitor(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GPtrArray) machines = example_machines(f);
    g_autoptr(GPtrArray) sessions = g_ptr_array_new_with_free_func((GDestroyNotify)session_free);
    g_autoptr(Settings) settings =
        temp_settings(f->folder, "service_open=yes", "service_max_session_nb=2", "service_max_load=0",
                      "snapshot_alloc_mem=32M", "service_queue=yes", "service_max_cpu_fraction_nb_per_user=0", NULL);
    f->context.settings = settings;
    static const SessionState states[] = {SESSION_RUNNING, SESSION_QUEUED, SESSION_ENDED};
    for (size_t i = 0; i < G_N_ELEMENTS(states); i++) {
        f->session->state = states[i];
        g_ptr_array_add(sessions, stored(f));
    }
    g_autoptr(JsonValue) values = page_landing(&f->context, machines, sessions);
    g_free(render("landing.html", values));
    const json_t *visitor = json_object_get(values, "visitor"), *capacity = json_object_get(visitor, "capacity");
    g_assert_cmpint(json_array_size(json_object_get(visitor, "sessions")), ==, 2);
    g_assert_cmpint(json_get_integer(capacity, "free", -1), ==, 1);
    g_assert_cmpint(json_get_integer(capacity, "waiting", -1), ==, 1);
    const json_t *obstacle = json_object_get(capacity, "obstacle"); /* who waits already goes first */
    g_assert_cmpstr(json_string_value(json_object_get(obstacle, "text")), ==, "Other sessions wait for room already.");
    g_assert_true(is_true(obstacle, "would_wait"));
    settings->service_max_session_nb_per_user = 1;
    g_autoptr(JsonValue) own = page_landing(&f->context, machines, sessions);
    capacity = json_object_get(json_object_get(own, "visitor"), "capacity");
    obstacle = json_object_get(capacity, "obstacle");
    g_assert_cmpstr(json_string_value(json_object_get(obstacle, "text")), ==, "Sessions for one user: 1 at once; you have 1.");
    g_assert_true(is_true(obstacle, "would_wait"));
    f->who.user = "";
    g_autoptr(JsonValue) nobody = page_landing(&f->context, machines, sessions);
    g_assert_cmpint(json_array_size(json_object_get(json_object_get(nobody, "visitor"), "sessions")), ==, 0);
    f->context.base = "";
    g_autoptr(JsonValue) file = page_landing(&f->context, machines, NULL);
    g_free(render("landing.html", file));
    g_assert_true(json_is_null(json_object_get(file, "visitor")));
}

static size_t offered(const Fixture *f, const GPtrArray *machines, const char *key)
{
    g_autoptr(JsonValue) values = page_landing(&f->context, machines, NULL);
    g_free(render("landing.html", values));
    const json_t *list = json_object_get(values, key);
    g_assert_cmpint(count_of(list, "selected"), ==, json_array_size(list) > 0);
    return json_array_size(list);
}

/* A GPU is offered where one machine or another may have one. */
static void test_landing_gpu(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(TempFolder) root = sysfs_machine("nvidia");
    g_autoptr(GPtrArray) machines = example_machines(f);
    g_autoptr(Settings) settings = temp_settings(f->folder, "layout_level=2", NULL);
    f->context.settings = settings;
    g_setenv("QWD_SYSROOT", root, TRUE);
    g_autoptr(JsonValue) values = page_landing(&f->context, machines, NULL);
    for (guint i = 0; i < machines->len; i++)
        session_set_text(&((Machine *)machines->pdata[i])->gpu, "no");
    g_autoptr(JsonValue) without = page_landing(&f->context, machines, NULL);
    g_unsetenv("QWD_SYSROOT");
    g_assert_true(is_true(values, "gpu"));
    g_assert_false(is_true(without, "gpu"));
}

/* Only what one's groups and the machines allow is offered; how much of the form there is, layout_level says. */
static void test_landing_choices(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GPtrArray) machines = example_machines(f);
    g_autofree char *groups = temp_file(f->folder, "groups.conf", "[physics]\nlifetime=2d\n[guests]\nlifetime=90m\n");
    g_autofree char *setting = g_strconcat("file_groups=", groups, NULL);
    g_autoptr(Settings) settings = temp_settings(f->folder, setting, "form_lifetime=2h,8h", "layout_level=0", NULL);
    const char *physics[] = {"physics", NULL}, *guests[] = {"guests", NULL};
    f->context.settings = settings;
    g_assert_cmpint(offered(f, machines, "lifetimes"), ==, 2);
    f->who.groups = physics;
    g_assert_cmpint(offered(f, machines, "lifetimes"), ==, 3); /* 2 days as well */
    f->who.groups = guests;
    g_assert_cmpint(offered(f, machines, "lifetimes"), ==, 1); /* 90 minutes */
    f->who.groups = NULL;
    for (guint i = 0; i < machines->len; i++) {
        Machine *machine = machines->pdata[i];
        g_free(machine->lifetime);
        machine->lifetime = g_strdup("2h");
    }
    g_assert_cmpint(offered(f, machines, "lifetimes"), ==, 1);
    g_autoptr(JsonValue) values = page_landing(&f->context, machines, NULL);
    g_assert_cmpstr(json_get_text(json_array_get(json_object_get(values, "machines"), 0), "lifetime_most", ""), ==,
                    "2 hours");
    static const char *const hidden[] = {"takes_size", "oneshot", "takes_script", "gpu"};
    for (size_t i = 0; i < G_N_ELEMENTS(hidden); i++)
        g_assert_false(is_true(values, hidden[i]));
}

/* What the limits for one user never allow is not offered, but to administrators and in the page for everybody. */
static void test_landing_share(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GPtrArray) machines = example_machines(f);
    g_autoptr(Settings) settings =
        temp_settings(f->folder, "form_memory=64M,96M,128M", "snapshot_alloc_mem=96M",
                      "service_max_mem_fraction_nb_per_user=0.000001", "layout_level=1", NULL);
    f->context.settings = settings;
    g_assert_cmpint(offered(f, machines, "memories"), ==, 2);
    f->who.is_admin = true;
    g_assert_cmpint(offered(f, machines, "memories"), ==, 3);
    f->who.is_admin = false;
    f->context.base = "";
    g_assert_cmpint(offered(f, machines, "memories"), ==, 3);
    f->context.base = "http://desk.example:8080";
    settings->service_max_mem_fraction_nb_per_user = 0;
    g_assert_cmpint(offered(f, machines, "memories"), ==, 3);
}

/* --- saving --- */

static void test_saving(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        const char *state;
        gint64 percent;
        bool is_busy, is_done, is_failed;
    } rows[] = {{"", 0, false, false, false},
                {"asked", 0, true, false, false},
                {"running", 42, true, false, false},
                {"done", 100, false, true, false},
                {"failed", 0, false, false, true}};
    json_t *session;
    f->session->state = SESSION_RUNNING;
    f->session->ready_at = session_now();
    f->who.is_authenticated = true;
    g_autoptr(JsonValue) none = session_values(f, &session);
    g_assert_true(json_is_null(json_object_get(session, "saving")));
    g_autoptr(Settings) settings = temp_settings(f->folder, "session_save=owner", "check_user_with_local=yes", NULL);
    f->context.settings = settings;
    session_set_text(&f->session->save_owner, "alice");
    session_set_text(&f->session->save_name, HOSTILE);
    session_set_text(&f->session->save_reason, HOSTILE);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        session_set_text(&f->session->save_state, rows[i].state);
        f->session->save_percent = rows[i].percent;
        g_autoptr(JsonValue) values = session_values(f, &session);
        const json_t *saving = json_object_get(session, "saving");
        g_assert_cmpstr(json_get_text(saving, "prefix", ""), ==, "alice:");
        g_assert_true(is_true(saving, "is_busy") == rows[i].is_busy);
        g_assert_true(is_true(saving, "is_done") == rows[i].is_done);
        g_assert_true(json_is_string(json_object_get(saving, "failure")) == rows[i].is_failed);
        g_assert_true(json_is_integer(json_object_get(saving, "percent")) == (rows[i].percent == 42));
    }
    f->who.user = "bob";
    g_autoptr(JsonValue) foreign = session_values(f, &session);
    g_assert_true(json_is_null(json_object_get(session, "saving")));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(Fixture *, gconstpointer);
    } tests[] = {
        {"/page-values/states", test_states},
        {"/page-values/ready", test_ready},
        {"/page-values/steps", test_steps},
        {"/page-values/odd-record", test_odd_record},
        {"/page-values/sessions", test_sessions},
        {"/page-values/sessions-pages", test_sessions_pages},
        {"/page-values/sessions-row", test_sessions_row},
        {"/page-values/advice", test_advice},
        {"/page-values/picture", test_picture},
        {"/page-values/scripts", test_scripts},
        {"/page-values/landing", test_landing},
        {"/page-values/landing-placeholders", test_landing_placeholders},
        {"/page-values/landing-of-some", test_landing_of_some},
        {"/page-values/landing-visitor", test_landing_visitor},
        {"/page-values/landing-choices", test_landing_choices},
        {"/page-values/landing-share", test_landing_share},
        {"/page-values/landing-gpu", test_landing_gpu},
        {"/page-values/saving", test_saving},
        {"/page-values/ending", test_ending},
        {"/page-values/ending-without-extension", test_ending_without_extension},
        {"/page-values/extension-text", test_extension_text},
        {"/page-values/extension-part", test_extension_part},
        {"/page-values/kept", test_kept},
        {"/page-values/no-viewer", test_ready_without_viewer},
        {"/page-values/viewer", test_viewer},
        {"/page-values/link-state", test_link_state},
    };
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].name, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
