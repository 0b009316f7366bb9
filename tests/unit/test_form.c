/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <string.h>

#include "base/error.h"
#include "web/form.h"
#include "requests.h"

#define TOKEN "0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210"

/* A POST with one field, its value encoded. */
static Request *request_of(const char *name, const char *value)
{
    g_autofree char *encoded = g_uri_escape_string(value, NULL, FALSE);
    g_autofree char *body = g_strdup_printf("%s=%s", name, encoded);
    g_autoptr(GError) error = NULL;
    Request *request = test_request("POST", body, &error);
    g_assert_no_error(error);
    return request;
}

/* Reads all forms of a request; false with the first refusal. */
static bool read_all(const Request *request, GError **error)
{
    LoginForm login;
    CreateForm create;
    SessionForm session;
    FormAction action;
    return form_read_action(request, &action, error) && form_read_login(request, &login, error) &&
           form_read_create(request, &create, error) && form_read_session(request, &session, error);
}

static void assert_refused(const char *name, const char *value)
{
    g_autofree char *prefix = g_strdup_printf("%s: write ", name);
    g_autoptr(GError) error = NULL;
    g_autoptr(Request) request = request_of(name, value);
    if (read_all(request, &error))
        g_test_message("%s=%s is not refused", name, value);
    g_assert_error(error, QWD_ERROR, QWD_ERROR_USAGE);
    g_assert_true(g_str_has_prefix(error->message, prefix));
    g_assert_true(g_str_has_suffix(error->message, "."));
    g_assert_true(strlen(value) < 8 || !strstr(error->message, value));
}

/* --- what no field accepts --- */

static void test_hostile(void)
{
    static const char *const fields[] = {
        "user",           "machine", "cpu",           "memory",           "snapshot_lifetime", "session_stop",
        "session_extend", "session", "service_purge", "fallback_servers", "session_stay",      "session_resume",
        "session_discard"};
    static const char *const values[] = {
        "-enable-kvm",
        "-",
        "--help",
        "1;id",
        "1,snapshot=on",
        "a,readonly=on",
        "$(reboot)",
        "`id`",
        "a|b",
        "a&b",
        "<script>alert(1)</script>",
        "\"quoted\"",
        "it's",
        "a\\b",
        "a/b",
        "../../etc/passwd",
        "/etc/passwd",
        " 1",
        "1 ",
        "1\u00a0",
        "a*b",
        "a?b",
        "{a,b}",
        "~root",
        "%s%n",
        "a=b",
        "#",
        "\u0661",    /* a digit elsewhere */
        "\uff11",    /* a wide digit */
        "\u202etxt", /* writes backwards */
        "caf\u00e9",
        "\xf0\x9f\x92\xa5",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(fields) * G_N_ELEMENTS(values); i++)
        assert_refused(fields[i / G_N_ELEMENTS(values)], values[i % G_N_ELEMENTS(values)]);
}

static void test_long(void)
{
    static const char *const fields[] = {"user",   "password",          "machine",      "cpu",
                                         "memory", "snapshot_lifetime", "session_stop", "service_purge"};
    g_autofree char *value = g_strnfill(10240, '1');
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
        assert_refused(fields[i], value);
}

static void test_numbers(void)
{
    static const struct {
        const char *field, *value;
    } cases[] = {
        {"cpu", "0"},
        {"cpu", "257"},
        {"cpu", "-1"},
        {"cpu", "+1"},
        {"cpu", "1.5"},
        {"cpu", "1e2"},
        {"cpu", "0x10"},
        {"cpu", "abc"},
        {"cpu", "1 2"},
        {"cpu", "1,2"},
        {"cpu", "9999"},
        {"cpu", "1000000000000"},
        {"cpu", "4G"},
        {"cpu", "inf"},
        {"cpu", "NaN"},
        {"cpu", "99999999999999999999999"},
        {"memory", "0"},
        {"memory", "31M"},
        {"memory", "-4"},
        {"memory", "+4"},
        {"memory", "4 G"},
        {"memory", "1e3"},
        {"memory", "abc"},
        {"memory", "1000000000000"},
        {"memory", "5T"},
        {"memory", "4K"},
        {"memory", "0x4"},
        {"memory", "inf"},
        {"memory", "nan"},
        {"memory", "4G,maxmem=8G"},
        {"snapshot_lifetime", "0"},
        {"snapshot_lifetime", "59"},
        {"snapshot_lifetime", "59s"},
        {"snapshot_lifetime", "-3600"},
        {"snapshot_lifetime", "1000000000000"},
        {"snapshot_lifetime", "366d"},
        {"snapshot_lifetime", "5195y"},
        {"snapshot_lifetime", "1 d"},
        {"snapshot_lifetime", "abc"},
        {"snapshot_lifetime", "1e9"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        assert_refused(cases[i].field, cases[i].value);
}

static void test_names(void)
{
    static const struct {
        const char *field, *value;
    } cases[] = {
        {"user", " marie"},
        {"user", "marie "},
        {"user", "-marie"},
        {"user", " "},
        {"machine", ".hidden"},
        {"machine", ".."},
        {"machine", "."},
        {"machine", "-drive"},
        {"machine", " a"},
        {"session_stop", "1"},
        {"session_stop", TOKEN "0"},
        {"session_stop", "0123456789ABCDEF0123456789ABCDEF"},
        {"session_extend", "qemu-web-desktop_aB3dE5gH"},
        {"session", "../" TOKEN},
        {"session_stop", ".*"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        assert_refused(cases[i].field, cases[i].value);
}

/* --- what is accepted --- */

static void test_create(void)
{
    static const struct {
        const char *body;
        CreateForm form;
    } cases[] = {
        {"", {"", 0, 0, 0, false, false, "", "", false}},
        {"machine=&cpu=&memory=&snapshot_lifetime=", {"", 0, 0, 0, false, false, "", "", false}},
        {"machine=tiny.iso&cpu=1&memory=4&snapshot_lifetime=60",
         {"tiny.iso", 1, 4096, 60, false, false, "", "", false}},
        {"machine=My+VM_2%40x%3Ay-z.qcow2&cpu=256&memory=32M&snapshot_lifetime=365d",
         {"My VM_2@x:y-z.qcow2", 256, 32, 365 * 86400, false, false, "", "", false}},
        {"machine=a..b.iso", {"a..b.iso", 0, 0, 0, false, false, "", "", false}},
        {"gpu=gpu&oneshot=oneshot&memory=0.5", {"", 0, 512, 0, true, true, "", "", false}},
        {"gpu=&oneshot=&terms=yes", {"", 0, 0, 0, true, true, "", "", true}},
        {"fallback_servers=a.example.org&memory=4T&script=rm+-rf&unknown=%3Cb%3E",
         {"", 0, 4 * 1024 * 1024, 0, false, false, "a.example.org", "rm -rf", false}},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Request) request = test_request("POST", cases[i].body, &error);
        CreateForm form;
        g_assert_true(form_read_create(request, &form, &error));
        g_assert_cmpstr(form.machine, ==, cases[i].form.machine);
        g_assert_cmpint(form.cpus, ==, cases[i].form.cpus);
        g_assert_cmpint(form.memory_mib, ==, cases[i].form.memory_mib);
        g_assert_cmpint(form.lifetime_s, ==, cases[i].form.lifetime_s);
        g_assert_true(form.gpu == cases[i].form.gpu && form.oneshot == cases[i].form.oneshot);
        g_assert_true(form.terms == cases[i].form.terms);
        g_assert_cmpstr(form.fallback_servers, ==, cases[i].form.fallback_servers);
        g_assert_cmpstr(form.script, ==, cases[i].form.script);
    }
}

static void test_login(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Request) request =
        test_request("POST", "user=Marie.Curie%40example.org&password=+%22%26%3C%27%5C%C3%A9%24%28x%29+", &error);
    LoginForm form;
    g_assert_true(form_read_login(request, &form, &error));
    g_assert_cmpstr(form.user, ==, "Marie.Curie@example.org");
    g_assert_cmpstr(form.password, ==, " \"&<'\\\xc3\xa9$(x) ");
    g_autoptr(Request) none = test_request("POST", "user=&x=1", &error);
    g_assert_true(form_read_login(none, &form, &error));
    g_assert_cmpstr(form.user, ==, "");
    g_assert_cmpstr(form.password, ==, "");
    g_autofree char *longest = g_strnfill(256, 'x');
    g_autoptr(Request) full = request_of("user", longest);
    g_assert_true(form_read_login(full, &form, &error));
}

static void test_session(void)
{
    static const struct {
        const char *body, *session, *purge;
        bool confirm;
    } cases[] = {
        {"session_stop=" TOKEN, TOKEN, "", false},
        {"session_extend=" TOKEN "&confirm=yes", TOKEN, "", true},
        {"session=" TOKEN, TOKEN, "", false},
        {"session=" OTHER "&session_stop=" TOKEN, TOKEN, "", false},
        {"session_stay=" TOKEN, TOKEN, "", false},
        {"session_resume=" TOKEN, TOKEN, "", false},
        {"session_discard=" TOKEN, TOKEN, "", false},
        {"view=" TOKEN, TOKEN, "", false},
        {"token=" TOKEN, "", "", false},
        {"service_purge=1&confirm=", "", "1", true},
        {"", "", "", false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Request) request = test_request("POST", cases[i].body, &error);
        SessionForm form;
        g_assert_true(form_read_session(request, &form, &error));
        g_assert_cmpstr(form.session, ==, cases[i].session);
        g_assert_cmpstr(form.purge, ==, cases[i].purge);
        g_assert_true(form.confirm == cases[i].confirm);
    }
}

/* Base64 for URLs has - and _ anywhere, at the beginning as well. */
/* --- the monitor --- */

static void test_monitor(void)
{
    g_autoptr(GError) error = NULL;
    MonitorForm form;
    g_autoptr(Request) none = test_request("GET", "monitor=1", &error);
    g_assert_true(form_read_monitor(none, &form, &error));
    g_assert_cmpstr(form.sort, ==, "");
    g_assert_cmpstr(form.find, ==, "");
    g_assert_cmpint(form.page, ==, 0);
    g_autoptr(Request) all = test_request(
        "GET", "monitor=1&sort=user&order=desc&find=J%C3%BCrgen+%26+Co&state=running&page=3&result=stop-1-2", &error);
    g_assert_true(form_read_monitor(all, &form, &error));
    g_assert_cmpstr(form.sort, ==, "user");
    g_assert_cmpstr(form.order, ==, "desc");
    g_assert_cmpstr(form.find, ==, "J\303\274rgen & Co");
    g_assert_cmpstr(form.state, ==, "running");
    g_assert_cmpstr(form.result, ==, "stop-1-2");
    g_assert_cmpint(form.page, ==, 3);
    static const char *const bad[] = {"sort=User", "sort=a%20b", "order=../x",       "state=%3Cb%3E", "page=0",
                                      "page=-1",   "page=x",     "page=99999999999", "result=%22"};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(Request) request = test_request("GET", bad[i], NULL);
        g_assert_false(form_read_monitor(request, &form, &error));
        g_assert_error(error, QWD_ERROR, QWD_ERROR_USAGE);
        g_clear_error(&error);
    }
}

static void test_selection(void)
{
    static const struct {
        const char *body;
        int count; /* -1: refused */
    } rows[] = {
        {"sessions_stop=selected&sessions=" TOKEN "&sessions=" OTHER, 2},
        {"sessions_extend=selected&sessions=" TOKEN, 1},
        {"sessions_stop=" TOKEN "&sessions=" OTHER "&sessions=" OTHER, 1}, /* the button of one row */
        {"sessions_stop=selected", -1},
        {"sessions_stop=all&sessions=" TOKEN, -1},
        {"sessions_stop=selected&sessions=" TOKEN "&sessions=", -1},
        {"sessions_stop=selected&sessions=../../etc", -1},
        {"sessions=" TOKEN, 1},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Request) request = test_request("POST", rows[i].body, &error);
        g_assert_no_error(error);
        g_autoptr(GPtrArray) ids = form_read_selection(request, &error);
        g_assert_cmpint(ids ? (int)ids->len : -1, ==, rows[i].count);
        g_assert_true((error != NULL) == (rows[i].count < 0));
        if (ids)
            g_assert_cmpstr(ids->pdata[0], ==, TOKEN);
    }
}

static void test_form_token(void)
{
    static const char *const tokens[] = {"-k7YfVAeQ_-", "_abc", "a.b", "0"};
    for (size_t i = 0; i < G_N_ELEMENTS(tokens); i++) {
        g_autoptr(Request) request = request_of("csrf", tokens[i]);
        SessionForm form;
        g_assert_true(form_read_session(request, &form, NULL));
        g_assert_cmpstr(form.csrf, ==, tokens[i]);
    }
    g_autoptr(GError) error = NULL;
    g_autoptr(Request) request = request_of("csrf", "a b");
    SessionForm form;
    g_assert_false(form_read_session(request, &form, &error));
    g_assert_error(error, QWD_ERROR, QWD_ERROR_USAGE);
}

static void test_action(void)
{
    static const struct {
        const char *method, *text;
        int action; /* -1: refused */
    } cases[] = {
        {"POST", "create=Create&machine=x", FORM_CREATE},
        {"POST", "machine=x&user=marie", FORM_CREATE},
        {"POST", "machine=x&manage=Manage+sessions", FORM_MANAGE},
        {"GET", "manage=1", FORM_MANAGE},
        {"GET", "manage", FORM_MANAGE},
        {"GET", "metrics=1", FORM_METRICS},
        {"GET", "machine=x", FORM_NOTHING},
        {"GET", "session=" TOKEN, FORM_NOTHING},
        {"GET", "session_stop=" TOKEN, FORM_STOP},
        {"POST", "session_stop=" TOKEN, FORM_STOP},
        {"POST", "session_extend=" TOKEN, FORM_EXTEND},
        {"POST", "session_stay=" TOKEN, FORM_STAY},
        {"POST", "session_resume=" TOKEN, FORM_AGAIN},
        {"POST", "session_discard=" TOKEN, FORM_DISCARD},
        {"POST", "session_resume=" TOKEN "&session_discard=" TOKEN, -1},
        {"POST", "service_purge=1", FORM_PURGE},
        {"GET", "monitor=1", FORM_MONITOR},
        {"POST", "machine=monitor", FORM_MONITOR},
        {"POST", "create=1&machine=monitor", FORM_MONITOR},
        {"POST", "machine=monitor.iso", FORM_CREATE},
        {"POST", "sessions_stop=selected&sessions=" TOKEN, FORM_STOP_SELECTION},
        {"POST", "sessions_extend=selected&sessions=" TOKEN, FORM_EXTEND_SELECTION},
        {"POST", "", FORM_NOTHING},
        {"GET", "view=" TOKEN, FORM_VIEWER},
        {"GET", "shared=1", FORM_SHARED_VIEWER},
        {"POST", "token=" TOKEN, FORM_LINK_STATE},
        {"POST", "token=", FORM_LINK_STATE},
        {"GET", "view=" TOKEN "&shared=1", -1},
        {"POST", "create=1&manage=1", -1},
        {"GET", "manage=1&metrics=1", -1},
        {"POST", "session_stop=" TOKEN "&session_extend=" TOKEN, -1},
        {"POST", "create=1&service_purge=1", -1},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Request) request = test_request(cases[i].method, cases[i].text, &error);
        FormAction action;
        bool good = form_read_action(request, &action, &error);
        g_assert_true(good == (cases[i].action >= 0));
        if (good)
            g_assert_cmpint(action, ==, cases[i].action);
        else
            g_assert_error(error, QWD_ERROR, QWD_ERROR_USAGE);
    }
}

/* Fields of a query are none of a POST: a link cannot add to a form. */
static void test_query_of_post(void)
{
    const char *environment[] = {"REQUEST_METHOD=POST", "QUERY_STRING=session_stop=" TOKEN "&cpu=9999", NULL};
    g_autoptr(Settings) settings = test_settings();
    g_autoptr(GError) error = NULL;
    g_autoptr(Request) request = test_request_new(environment, "", 0);
    FormAction action;
    CreateForm form;
    g_assert_true(request_load(request, settings, &error));
    g_assert_true(form_read_action(request, &action, &error));
    g_assert_cmpint(action, ==, FORM_NOTHING);
    g_assert_true(form_read_create(request, &form, &error));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/form/monitor", test_monitor);
    g_test_add_func("/form/selection", test_selection);
    g_test_add_func("/form/hostile", test_hostile);
    g_test_add_func("/form/long", test_long);
    g_test_add_func("/form/numbers", test_numbers);
    g_test_add_func("/form/names", test_names);
    g_test_add_func("/form/create", test_create);
    g_test_add_func("/form/login", test_login);
    g_test_add_func("/form/session", test_session);
    g_test_add_func("/form/token", test_form_token);
    g_test_add_func("/form/action", test_action);
    g_test_add_func("/form/query-of-post", test_query_of_post);
    return g_test_run();
}
