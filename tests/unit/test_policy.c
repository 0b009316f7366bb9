/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Who may what, and where a display is. */
#include <string.h>

#include "base/error.h"
#include "core/link.h"
#include "core/policy.h"
#include "records.h"
#include "temp.h"

#define TOKEN "0123456789abcdef0123456789abcdef"

static void check(const Settings *settings, const Identity *who, Action action, const SessionRecord *session,
                  int expected)
{
    g_autoptr(GError) error = NULL;
    g_test_message("%s does %d, expected %d", who->user, action, expected);
    g_assert_true(policy_allows(settings, who, action, session, &error) == (expected < 0));
    if (expected >= 0)
        g_assert_error(error, QWD_ERROR, expected);
}

#define NO_LOGIN "service_open=no"
#define OPEN "service_open=yes"
#define LOGIN "check_user_with_local=yes"

enum { ALLOWED = -1 };

/* Who asks; whether for the form, for things of their own or new ones, for other people's sessions, for everything. */
static void test_matrix(void)
{
    static const struct {
        const char *setting;
        Identity who;
        int form, own, foreign, purge; /* ALLOWED, or the kind of the refusal */
    } rows[] = {
        {NO_LOGIN, {.user = "alice"}, QWD_ERROR_DENIED, QWD_ERROR_DENIED, QWD_ERROR_DENIED, QWD_ERROR_DENIED},
        {NO_LOGIN, {.user = ""}, QWD_ERROR_DENIED, QWD_ERROR_DENIED, QWD_ERROR_DENIED, QWD_ERROR_DENIED},
        {NO_LOGIN, {.user = "alice", .is_local = true}, ALLOWED, ALLOWED, ALLOWED, QWD_ERROR_DENIED},
        {OPEN, {.user = "alice"}, ALLOWED, ALLOWED, ALLOWED, QWD_ERROR_DENIED},
        {LOGIN, {.user = ""}, ALLOWED, QWD_ERROR_LOGIN, QWD_ERROR_LOGIN, QWD_ERROR_LOGIN},
        {LOGIN, {.user = "alice"}, ALLOWED, QWD_ERROR_LOGIN, QWD_ERROR_LOGIN, QWD_ERROR_LOGIN},
        {LOGIN, {.user = "alice", .is_local = true}, ALLOWED, QWD_ERROR_LOGIN, QWD_ERROR_LOGIN, QWD_ERROR_LOGIN},
        {LOGIN, {.user = "alice", .is_authenticated = true}, ALLOWED, ALLOWED, QWD_ERROR_NOT_FOUND, QWD_ERROR_DENIED},
        {LOGIN, {.user = "alice", .is_authenticated = true, .is_admin = true}, ALLOWED, ALLOWED, ALLOWED, ALLOWED},
        {NO_LOGIN, {.user = "alice", .is_admin = true}, ALLOWED, ALLOWED, ALLOWED, ALLOWED},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(Settings) settings = temp_settings("/nonexistent", rows[i].setting, NULL);
        g_autoptr(SessionRecord) own = test_session_new(settings, "alice");
        g_autoptr(SessionRecord) foreign = test_session_new(settings, "alice2");
        for (int action = 0; action < ACTION_COUNT; action++) {
            if (action == ACTION_METRICS) /* has a rule of its own */
                continue;
            bool of_session = action >= ACTION_SEE && action <= ACTION_SHARE;
            bool is_keeper = g_str_equal(rows[i].setting, NO_LOGIN) && rows[i].who.is_local;
            bool is_admins = action == ACTION_PURGE || action == ACTION_SAVE || action == ACTION_MONITOR;
            int expected = action == ACTION_FORM                   ? rows[i].form
                           : action == ACTION_MONITOR && is_keeper ? ALLOWED
                           : is_admins                             ? rows[i].purge
                                                                   : rows[i].own;
            check(settings, &rows[i].who, (Action)action, of_session ? own : NULL, expected);
            if (of_session)
                check(settings, &rows[i].who, (Action)action, foreign, rows[i].foreign);
        }
    }
}

/* For administrators from anywhere, for programs with the token, and, without one, for those of this host. */
static void test_metrics(void)
{
    static const Identity far = {.user = "alice", .is_authenticated = true}, near = {.user = "", .is_local = true},
                          admin = {.user = "root", .is_authenticated = true, .is_admin = true},
                          program = {.user = "", .has_metrics_token = true};
    static const char *const settings_of[] = {NO_LOGIN, OPEN, LOGIN};
    for (size_t i = 0; i < G_N_ELEMENTS(settings_of); i++) {
        g_autoptr(Settings) settings = temp_settings("/nonexistent", settings_of[i], NULL);
        check(settings, &far, ACTION_METRICS, NULL, QWD_ERROR_DENIED);
        check(settings, &near, ACTION_METRICS, NULL, ALLOWED);
        check(settings, &admin, ACTION_METRICS, NULL, ALLOWED);
        check(settings, &program, ACTION_METRICS, NULL, ALLOWED);
        g_autoptr(Settings) with_token =
            temp_settings("/nonexistent", settings_of[i], "metrics_token_file=/nonexistent/token", NULL);
        check(with_token, &far, ACTION_METRICS, NULL, QWD_ERROR_DENIED);
        check(with_token, &near, ACTION_METRICS, NULL, QWD_ERROR_DENIED);
        check(with_token, &admin, ACTION_METRICS, NULL, ALLOWED);
        check(with_token, &program, ACTION_METRICS, NULL, ALLOWED);
    }
}

/* Nobody can tell somebody else's session from one that does not exist. */
static void test_foreign_words(void)
{
    g_autoptr(GError) error = NULL, absent = session_not_found();
    g_autoptr(Settings) settings = temp_settings("/nonexistent", LOGIN, NULL);
    g_autoptr(SessionRecord) session = test_session_new(settings, "bob");
    const Identity who = {.user = "alice", .is_authenticated = true};
    g_assert_false(policy_allows(settings, &who, ACTION_SEE, session, &error));
    g_assert_cmpstr(error->message, ==, absent->message);
}

static void test_words(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Settings) settings = temp_settings("/nonexistent", NULL);
    const Identity far = {.user = "guest"}, near = {.user = "guest", .is_local = true};
    g_assert_true(policy_is_local_only(settings));
    g_assert_false(policy_allows(settings, &far, ACTION_CREATE, NULL, &error));
    assert_error(error, QWD_ERROR_DENIED, "service_open = yes");
    g_assert_false(policy_allows(settings, &near, ACTION_PURGE, NULL, &error));
    assert_error(error, QWD_ERROR_DENIED, "Only an administrator may end all sessions.");
}

/* --- links --- */

static void check_link(const char *path, const char *base, SessionRole role, const char *url, const char *reference)
{
    g_autoptr(Settings) settings = temp_settings("/nonexistent", path, "service_port=6099", NULL);
    g_autofree char *absolute = link_url(settings, base, TOKEN, role);
    g_autofree char *relative = link_reference(settings, base, TOKEN, role);
    g_assert_cmpstr(absolute, ==, url);
    g_assert_cmpstr(relative, ==, reference);
}

#define CONTROL "/vnc.html?resize=remote&quality=9&autoconnect=true&reconnect=true&path="
#define VIEW "/vnc.html?resize=scale&quality=9&autoconnect=true&reconnect=true&view_only=true&path="
#define SOCKET "websockify%3Ftoken%3D" TOKEN

/* Scheme, host and port are the browser's; the token stays inside the query, escaped for it. */
static void test_links(void)
{
    check_link("service_path=/darts", "https://desk.example:8443", ROLE_CONTROL,
               "https://desk.example:8443/darts" CONTROL "../darts/" SOCKET, "/darts" CONTROL "../darts/" SOCKET);
    check_link("service_path=/darts", "http://[::1]:8080", ROLE_VIEW, "http://[::1]:8080/darts" VIEW "../darts/" SOCKET,
               "/darts" VIEW "../darts/" SOCKET);
    check_link("service_prefix=/desk", "https://h", ROLE_CONTROL,
               "https://h/desk/darts" CONTROL "../../desk/darts/" SOCKET,
               "/desk/darts" CONTROL "../../desk/darts/" SOCKET);
    check_link("service_path=/a/b", "http://h", ROLE_CONTROL, "http://h/a/b" CONTROL "../../a/b/" SOCKET,
               "/a/b" CONTROL "../../a/b/" SOCKET);
}

/* noVNC up to 1.5 resolves it against the root, later ones against the page. */
static void test_socket_paths(void)
{
    static const char *const folders[][2] = {{"/darts", "http://h/darts/websockify"},
                                             {"/a/b", "http://h/a/b/websockify"},
                                             {"/a/", "http://h/a//websockify"}};
    for (size_t i = 0; i < G_N_ELEMENTS(folders); i++) {
        g_autofree char *setting = g_strconcat("service_path=", folders[i][0], NULL);
        g_autofree char *wanted = g_strconcat(folders[i][1], "?token=" TOKEN, NULL);
        g_autoptr(Settings) settings = temp_settings("/nonexistent", setting, NULL);
        g_autofree char *page = link_url(settings, "http://h", TOKEN, ROLE_CONTROL);
        g_autofree char *path = g_uri_unescape_string(strstr(page, "&path=") + strlen("&path="), NULL);
        g_autofree char *by_root = g_uri_resolve_relative("http://h/", path, G_URI_FLAGS_NONE, NULL);
        g_autofree char *by_page = g_uri_resolve_relative(page, path, G_URI_FLAGS_NONE, NULL);
        g_assert_cmpstr(by_root, ==, wanted);
        g_assert_cmpstr(by_page, ==, wanted);
    }
}

static void test_prefix(void)
{
    static const char *const good[] = {"", "/desk", "/a/b-c.d_e~f"};
    static const char *const bad[] = {"/",    "desk", "/desk/", "//desk", "/a//b",
                                      "/a b", "/a?b", "/a#b",   "/a\"b",  "/\303\244"};
    g_autoptr(Settings) settings = temp_settings("/nonexistent", "service_prefix=/desk", NULL);
    g_autofree char *page = link_page(settings, ""), *file = link_page(settings, "static/style.css");
    g_autofree char *script = link_script(settings);
    g_assert_cmpstr(page, ==, "/desk/qemu-web-desktop/");
    g_assert_cmpstr(file, ==, "/desk/qemu-web-desktop/static/style.css");
    g_assert_cmpstr(script, ==, "/desk/cgi-bin/qemu-web-desktop.cgi");
    for (size_t i = 0; i < G_N_ELEMENTS(good) + G_N_ELEMENTS(bad); i++) {
        bool is_good = i < G_N_ELEMENTS(good);
        g_autofree char *row = g_strconcat("service_prefix=", is_good ? good[i] : bad[i - G_N_ELEMENTS(good)], NULL);
        g_autoptr(Settings) one = temp_settings("/nonexistent", row, NULL);
        g_assert_cmpint(link_check_settings(one, NULL), ==, is_good);
    }
}

/* Without a path of the web server's: websockify's own port, on the same host. */
static void test_direct_links(void)
{
    static const char *const bases[][2] = {{"http://h", "http://h:6099"},
                                           {"http://h:8080", "http://h:6099"},
                                           {"https://h:443", "http://h:6099"},
                                           {"http://[::1]", "http://[::1]:6099"},
                                           {"http://[::1]:80", "http://[::1]:6099"},
                                           {"http://127.0.0.1:1", "http://127.0.0.1:6099"}};
    for (size_t i = 0; i < G_N_ELEMENTS(bases); i++) {
        g_autofree char *url = g_strconcat(bases[i][1], CONTROL SOCKET, NULL);
        check_link("service_path=", bases[i][0], ROLE_CONTROL, url, url);
    }
}

/* Our own page: the token behind the '#', and where it connects to. */
static void test_viewer_links(void)
{
    static const struct {
        const char *path, *base, *url, *socket, *policy;
    } rows[] = {
        {"service_path=/darts", "https://h:8443", "https://h:8443/darts/viewer#token=" TOKEN, "/darts/websockify",
         "'self' ws://h:8443 wss://h:8443"},
        {"service_path=", "http://h:8080", "http://h:8080/s.cgi?shared=1#token=" TOKEN, "ws://h:6099/websockify",
         "'self' ws://h:6099"},
        {"service_path=", "http://[::1]", "http://[::1]/s.cgi?shared=1#token=" TOKEN, "ws://[::1]:6099/websockify",
         "'self' ws://[::1]:6099"},
        {"service_prefix=/desk", "https://h", "https://h/desk/darts/viewer#token=" TOKEN, "/desk/darts/websockify",
         "'self' ws://h wss://h"},
        {"service_path=", "https://h", NULL, "ws://h:6099/websockify", "'self' ws://h:6099"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(Settings) settings =
            temp_settings("/nonexistent", rows[i].path, "service_port=6099", "service_script=/s.cgi", NULL);
        g_autofree char *url = link_viewer_url(settings, rows[i].base, TOKEN);
        g_autofree char *socket = link_socket(settings, rows[i].base);
        g_autofree char *policy = link_connect_policy(settings, rows[i].base);
        g_assert_cmpstr(url, ==, rows[i].url);
        g_assert_cmpstr(socket, ==, rows[i].socket);
        g_assert_cmpstr(policy, ==, rows[i].policy);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/policy/matrix", test_matrix);
    g_test_add_func("/policy/metrics", test_metrics);
    g_test_add_func("/policy/foreign-words", test_foreign_words);
    g_test_add_func("/policy/words", test_words);
    g_test_add_func("/link/proxied", test_links);
    g_test_add_func("/link/socket-paths", test_socket_paths);
    g_test_add_func("/link/prefix", test_prefix);
    g_test_add_func("/link/direct", test_direct_links);
    g_test_add_func("/link/viewer", test_viewer_links);
    return g_test_run();
}
