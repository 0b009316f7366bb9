/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <string.h>

#include "base/error.h"
#include "core/origin.h"

static Settings *settings_with(const char *server_name)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *override = g_strconcat("server_name=", server_name, NULL);
    const char *overrides[] = {override, NULL};
    Settings *settings = settings_load("/nonexistent/qwd.conf", false, overrides, &error);
    g_assert_no_error(error);
    return settings;
}

#define CONFIGURED                                                                                                     \
    "desk.example.org https://secure.example.org other.example.org:8443 [2001:db8::1]:8080 "                           \
    "http://plain.example.org:80"

/* Host headers, with server_name set (first flag) and empty (second). */
static void test_host(void)
{
    static const struct {
        const char *host;
        bool configured, own;
    } cases[] = {
        {"desk.example.org", true, false},
        {"DESK.Example.ORG", true, false},
        {"desk.example.org:1", true, false},
        {"desk.example.org:65535", true, false},
        {"secure.example.org", true, false},
        {"other.example.org:8443", true, false},
        {"other.example.org", false, false},
        {"other.example.org:443", false, false},
        {"plain.example.org", true, false},
        {"plain.example.org:81", false, false},
        {"[2001:db8::1]:8080", true, false},
        {"[2001:DB8:0:0::1]:8080", true, false},
        {"[2001:db8::1]", false, false},
        {"localhost", false, true},
        {"LOCALHOST:8080", false, true},
        {"127.0.0.1:8080", false, true},
        {"[::1]", false, true},
        {"[0:0:0:0:0:0:0:1]:80", false, true},
        /* hostile */
        {NULL, false, false},
        {"", false, false},
        {":", false, false},
        {":80", false, false},
        {"evil.example", false, false},
        {"desk.example.org.", false, false},
        {"localhost.", false, false},
        {".localhost", false, false},
        {"desk..example.org", false, false},
        {"desk.example.org.evil.example", false, false},
        {"xdesk.example.org", false, false},
        {"user@localhost", false, false},
        {"localhost@evil.example", false, false},
        {"user:password@localhost", false, false},
        {"http://localhost", false, false},
        {"localhost/", false, false},
        {"localhost?x", false, false},
        {"localhost#x", false, false},
        {"localhost\\evil.example", false, false},
        {"localhost ", false, false},
        {" localhost", false, false},
        {"local host", false, false},
        {"localhost\n", false, false},
        {"localhost\r\nX: y", false, false},
        {"localhost\t", false, false},
        {"localhost\x01", false, false},
        {"localh\xc3\xb6st", false, false},
        {"localhost%00", false, false},
        {"%6cocalhost", false, false},
        {"localhost,evil.example", false, false},
        {"localhost:", false, false},
        {"localhost:0", false, false},
        {"localhost:-1", false, false},
        {"localhost:+80", false, false},
        {"localhost: 80", false, false},
        {"localhost:80 ", false, false},
        {"localhost:65536", false, false},
        {"localhost:4294967376", false, false},
        {"localhost:000000000000000000000000000080", false, false},
        {"localhost:80:80", false, false},
        {"localhost:http", false, false},
        {"127.1", false, false},
        {"0x7f.0.0.1", false, false},
        {"2130706433", false, false},
        {"0177.0.0.1", false, false},
        {"::1", false, false},
        {"[::1", false, false},
        {"[::1]x", false, false},
        {"[::1]]", false, false},
        {"[::1]:", false, false},
        {"[::1%25lo]", false, false},
        {"[::1%lo]", false, false},
        {"[localhost]", false, false},
        {"[127.0.0.1]", false, false},
        {"[]", false, false},
        {"[::ffff:127.0.0.1]", false, false},
        {"null", false, false},
        {"*", false, false},
    };
    g_autoptr(Settings) configured = settings_with(CONFIGURED);
    g_autoptr(Settings) empty = settings_with("");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("%s", cases[i].host ? cases[i].host : "(none)");
        g_assert_cmpint(host_is_known(configured, cases[i].host), ==, cases[i].configured);
        g_assert_cmpint(host_is_known(empty, cases[i].host), ==, cases[i].own);
    }
}

static void test_origin_configured(void)
{
    static const struct {
        const char *origin;
        bool allowed;
    } cases[] = {
        {NULL, true},
        {"http://desk.example.org", true},
        {"https://desk.example.org", true},
        {"HTTPS://Desk.Example.Org:8080", true},
        {"https://secure.example.org", true},
        {"https://secure.example.org:444", true},
        {"http://secure.example.org", false},
        {"http://other.example.org:8443", true},
        {"https://other.example.org:8443", true},
        {"https://other.example.org", false},
        {"http://plain.example.org", true},
        {"https://plain.example.org", false},
        {"http://plain.example.org:8080", false},
        {"http://[2001:db8::1]:8080", true},
        {"http://[2001:db8::1]:8081", false},
        {"", false},
        {"null", false},
        {"desk.example.org", false},
        {"//desk.example.org", false},
        {"://desk.example.org", false},
        {"ws://desk.example.org", false},
        {"file://", false},
        {"javascript://desk.example.org", false},
        {"http:desk.example.org", false},
        {"http:/desk.example.org", false},
        {"http:///desk.example.org", false},
        {"http://desk.example.org/", false},
        {"http://desk.example.org/x", false},
        {"http://desk.example.org.", false},
        {"http://desk.example.org.evil.example", false},
        {"http://evil.example://desk.example.org", false},
        {"http://evil.example#desk.example.org", false},
        {"http://desk.example.org@evil.example", false},
        {"http://evil@desk.example.org", false},
        {"http://desk.example.org http://evil.example", false},
        {"http://evil.example http://desk.example.org", false},
        {"http://desk.example.org\n", false},
        {"http://desk.example.org:99999", false},
        {"http://localhost", false},
        {"xhttp://desk.example.org", false},
        {"http ://desk.example.org", false},
    };
    g_autoptr(Settings) settings = settings_with(CONFIGURED);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("%s", cases[i].origin ? cases[i].origin : "(none)");
        g_assert_cmpint(origin_is_allowed(settings, cases[i].origin, "desk.example.org"), ==, cases[i].allowed);
        /* A poisoned Host header changes nothing. */
        g_assert_cmpint(origin_is_allowed(settings, cases[i].origin, "evil.example"), ==, cases[i].allowed);
    }
}

/* Without server_name the origin is one of this host's names and the place that the browser asked for. */
static void test_origin_own(void)
{
    static const struct {
        const char *origin, *host;
        bool allowed;
    } cases[] = {
        {NULL, "localhost:8080", true},
        {"http://localhost:8080", "localhost:8080", true},
        {"http://LOCALHOST:8080", "localhost:8080", true},
        {"http://127.0.0.1:8080", "127.0.0.1:8080", true},
        {"http://[::1]:8080", "[0::1]:8080", true},
        {"http://localhost", "localhost", true},
        {"http://localhost:80", "localhost", true},
        {"http://localhost", "localhost:80", true},
        {"https://localhost", "localhost", true},
        {"https://localhost", "localhost:443", true},
        {"https://localhost", "localhost:80", false},
        {"http://localhost:3000", "localhost:8080", false},
        {"http://localhost", "localhost:8080", false},
        {"http://127.0.0.1:8080", "localhost:8080", false},
        {"http://evil.example", "evil.example", false},
        {"http://evil.example:8080", "localhost:8080", false},
        {"http://localhost:8080", NULL, false},
        {"http://localhost:8080", "", false},
        {"http://localhost:8080", "localhost:8080\n", false},
        {"null", "localhost:8080", false},
    };
    g_autoptr(Settings) settings = settings_with("");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("%s at %s", cases[i].origin, cases[i].host);
        g_assert_cmpint(origin_is_allowed(settings, cases[i].origin, cases[i].host), ==, cases[i].allowed);
    }
}

/* websockify's own port is another place than the page's, on the same host. */
static void test_display(void)
{
    static const struct {
        const char *origin, *host;
        bool proxied, direct;
    } cases[] = {
        {"http://localhost:8080", "localhost:8080", true, true},
        {"http://localhost:8080", "localhost:6080", false, true},
        {"http://localhost", "localhost:6080", false, true},
        {"http://127.0.0.1:8080", "localhost:6080", false, false},
        {"http://evil.example", "localhost:6080", false, false},
        {"http://evil.example", "evil.example:6080", false, false},
        {"null", "localhost:6080", false, false},
    };
    g_autoptr(Settings) proxied = settings_with(""), direct = settings_with("");
    g_free(direct->service_path);
    direct->service_path = g_strdup("");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("%s at %s", cases[i].origin, cases[i].host);
        g_assert_cmpint(origin_may_open_display(proxied, cases[i].origin, cases[i].host), ==, cases[i].proxied);
        g_assert_cmpint(origin_may_open_display(direct, cases[i].origin, cases[i].host), ==, cases[i].direct);
    }
}

static void test_long(void)
{
    g_autoptr(Settings) settings = settings_with("");
    g_autofree char *name = g_strnfill(1000000, 'a');
    g_autofree char *digits = g_strnfill(1000000, '1');
    g_autofree char *brackets = g_strnfill(1000000, '[');
    g_autofree char *port = g_strconcat("localhost:", digits, NULL);
    g_autofree char *six = g_strconcat("[", digits, "]", NULL);
    g_autofree char *origin = g_strconcat("http://", name, NULL);
    const char *hosts[] = {name, digits, brackets, port, six};
    for (size_t i = 0; i < G_N_ELEMENTS(hosts); i++)
        g_assert_false(host_is_known(settings, hosts[i]));
    g_assert_false(origin_is_allowed(settings, origin, name));
    name[253] = '\0';
    g_assert_false(host_is_known(settings, name));
}

static void test_public_base(void)
{
    static const struct {
        const char *names, *scheme, *host, *base; /* base NULL: refused */
    } cases[] = {
        {"", "http", "localhost:8080", "http://localhost:8080"},
        {"", "https", "LocalHost:443", "https://localhost"},
        {"", "http", "[0:0::1]:80", "http://[::1]"},
        {"", NULL, "127.0.0.1", "http://127.0.0.1"},
        {"", "gopher", "127.0.0.1", "http://127.0.0.1"},
        {"", "http", NULL, "http://localhost"},
        {"", "http", "evil.example", NULL},
        {"", "http", "localhost\n", NULL},
        {"", "http", "", NULL},
        {"a.example b.example", "https", "b.example:8443", "https://b.example:8443"},
        {"a.example b.example", "https", NULL, "https://a.example"},
        {"https://a.example", "http", "a.example", "https://a.example"},
        {"https://a.example:8443", "http", NULL, "https://a.example:8443"},
        {"https://a.example:8443", "http", "a.example", NULL},
        {"a.example", "http", "localhost", NULL},
        {"http://a.example/page", "http", "a.example", NULL},
        {"http://a.example/page", "http", NULL, NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Settings) settings = settings_with(cases[i].names);
        g_autofree char *base = public_base(settings, cases[i].scheme, cases[i].host, &error);
        g_assert_cmpstr(base, ==, cases[i].base);
        if (!cases[i].base)
            g_assert_error(error, QWD_ERROR, QWD_ERROR_USAGE);
    }
}

static void test_sentence(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Settings) settings = settings_with("");
    g_assert_null(public_base(settings, "http", "desk.example.org", &error));
    g_assert_nonnull(strstr(error->message, "desk.example.org"));
    g_assert_nonnull(strstr(error->message, "server_name"));
}

static void test_check_settings(void)
{
    static const struct {
        const char *names;
        bool good;
    } cases[] = {
        {"", true},
        {CONFIGURED, true},
        {"http://a.example/", false},
        {"a.example:0", false},
        {"a.example ftp://b.example", false},
        {"*.example.org", false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Settings) settings = settings_with(cases[i].names);
        g_assert_cmpint(origin_check_settings(settings, &error), ==, cases[i].good);
        if (!cases[i].good)
            g_assert_error(error, QWD_ERROR, QWD_ERROR_CONFIG);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/origin/host", test_host);
    g_test_add_func("/origin/configured", test_origin_configured);
    g_test_add_func("/origin/own", test_origin_own);
    g_test_add_func("/origin/long", test_long);
    g_test_add_func("/origin/display", test_display);
    g_test_add_func("/origin/public-base", test_public_base);
    g_test_add_func("/origin/sentence", test_sentence);
    g_test_add_func("/origin/check-settings", test_check_settings);
    return g_test_run();
}
