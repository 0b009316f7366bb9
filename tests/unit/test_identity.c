/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/error.h"
#include "requests.h"
#include "web/identity.h"

/* A connection of this process to itself on an address of the loopback interface. */
typedef struct {
    int listener, client, port; /* the client's own */
    int server_port;
} Connection;

static Connection connection_open(int family)
{
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } address = {.six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT}};
    if (family == AF_INET)
        address.four = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = family == AF_INET ? sizeof address.four : sizeof address.six;
    Connection connection = {.listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0),
                             .client = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    g_assert_cmpint(bind(connection.listener, &address.any, length), ==, 0);
    g_assert_cmpint(listen(connection.listener, 1), ==, 0);
    g_assert_cmpint(getsockname(connection.listener, &address.any, &length), ==, 0);
    connection.server_port = ntohs(family == AF_INET ? address.four.sin_port : address.six.sin6_port);
    g_assert_cmpint(connect(connection.client, &address.any, length), ==, 0);
    g_assert_cmpint(getsockname(connection.client, &address.any, &length), ==, 0);
    connection.port = ntohs(family == AF_INET ? address.four.sin_port : address.six.sin6_port);
    return connection;
}

static void connection_close(Connection *connection)
{
    close(connection->client);
    close(connection->listener);
}

typedef struct {
    const char *address;
    int port;
    const char *host, *more, *server_name;
} Asked;

static bool is_local(const Asked *asked)
{
    g_autofree char *address = g_strconcat("REMOTE_ADDR=", asked->address, NULL);
    g_autofree char *port = g_strdup_printf("REMOTE_PORT=%d", asked->port);
    g_autofree char *host = g_strconcat("HTTP_HOST=", asked->host, NULL);
    const char *environment[] = {"REQUEST_METHOD=GET", address, port, host, asked->more, NULL};
    g_autoptr(Settings) settings = test_settings();
    g_strfreev(settings->server_name);
    settings->server_name = g_strsplit(asked->server_name ? asked->server_name : "", ",", -1);
    g_autoptr(Request) request = test_request_new(environment, "", 0);
    return identity_is_local(request, settings);
}

static bool is_local_from(const char *address, int port)
{
    Asked asked = {.address = address, .port = port, .host = "localhost:8080"};
    return is_local(&asked);
}

static void test_addresses(void)
{
    static const char *const remote[] = {
        "203.0.113.5", "128.0.0.1",  "::",           "2001:db8::1", "::ffff:203.0.113.5", "",           "localhost",
        "127.0.0.1 ",  " 127.0.0.1", "127.0.0.1:80", "127.1",       "0x7f000001",         "2130706433", "127.0.0.1\n",
        "::1%lo",      "[::1]",      "0177.0.0.1",   "127.0.0.256", "::127.0.0.1.2"};
    Connection connection = connection_open(AF_INET);
    g_assert_true(is_local_from("127.0.0.1", connection.port));
    g_assert_true(is_local_from("::ffff:127.0.0.1", connection.port));
    g_assert_false(is_local_from("127.0.0.2", connection.port)); /* nobody has that end */
    g_assert_false(is_local_from("::1", connection.port));
    g_assert_false(is_local_from("127.0.0.1", 0));
    for (size_t i = 0; i < G_N_ELEMENTS(remote); i++)
        g_assert_false(is_local_from(remote[i], connection.port));
    connection_close(&connection);
    g_assert_false(is_local_from("127.0.0.1", connection.port)); /* nobody has it open any more */
}

/* Our end, as the web server tells it. Apache's port is the client's word. */
static void test_server_end(void)
{
    Connection connection = connection_open(AF_INET);
    g_autofree char *client = g_strdup_printf("REMOTE_PORT=%d", connection.port);
    g_autofree char *right = g_strdup_printf("SERVER_PORT=%d", connection.server_port);
    const char *wrong = "SERVER_PORT=1", *embedded = "QWD_SOCKET_TOKEN=protocol", *apache = "QWD_SOCKET_TOKEN=";
    const struct {
        const char *address, *port, *server;
        bool is_local;
    } rows[] = {
        {"SERVER_ADDR=127.0.0.1", right, embedded, true},
        {"SERVER_ADDR=::ffff:127.0.0.1", right, embedded, true},
        {"SERVER_ADDR=127.0.0.1", wrong, embedded, false},
        {"SERVER_ADDR=127.0.0.1", wrong, apache, true},
        {"SERVER_ADDR=127.0.0.2", right, embedded, false},
        {"SERVER_ADDR=127.0.0.2", wrong, apache, false},
        {"SERVER_ADDR=", wrong, apache, true},
        {"SERVER_ADDR=fe80::1%eth0", wrong, apache, true},
    };
    g_autoptr(Settings) settings = test_settings();
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const char *environment[] = {"REQUEST_METHOD=GET",  "REMOTE_ADDR=127.0.0.1",
                                     "HTTP_HOST=localhost", client,
                                     rows[i].address,       rows[i].port,
                                     rows[i].server,        NULL};
        g_autoptr(Request) request = test_request_new(environment, "", 0);
        g_test_message("%s %s %s", rows[i].address, rows[i].port, rows[i].server);
        g_assert_true(identity_is_local(request, settings) == rows[i].is_local);
    }
    connection_close(&connection);
}

static void test_ipv6(void)
{
    Connection connection = connection_open(AF_INET6);
    g_assert_true(is_local_from("::1", connection.port));
    g_assert_true(is_local_from("0:0:0:0:0:0:0:1", connection.port));
    g_assert_false(is_local_from("127.0.0.1", connection.port));
    connection_close(&connection);
}

static void test_proxies(void)
{
    static const char *const headers[] = {"HTTP_X_FORWARDED_FOR=127.0.0.1",  "HTTP_FORWARDED=for=127.0.0.1",
                                          "HTTP_X_REAL_IP=127.0.0.1",        "HTTP_VIA=1.1 proxy",
                                          "HTTP_X_FORWARDED_HOST=localhost", "HTTP_X_FORWARDED_PROTO=http",
                                          "HTTP_X_FORWARDED_FOR=",           "HTTP_FORWARDED=for=\"_x\";secret=YQ=="};
    Connection connection = connection_open(AF_INET);
    Asked asked = {.address = "127.0.0.1", .port = connection.port, .host = "localhost"};
    for (size_t i = 0; i < G_N_ELEMENTS(headers); i++) {
        asked.more = headers[i];
        g_assert_false(is_local(&asked));
    }
    asked.more = NULL;
    g_assert_true(is_local(&asked));
    connection_close(&connection);
}

static void test_names(void)
{
    static const struct {
        const char *host, *server_name;
        bool is_local;
    } rows[] = {
        {"localhost", NULL, true},
        {"LocalHost:8080", NULL, true},
        {"desk.localhost", NULL, true},
        {"127.0.0.1:80", NULL, true},
        {"[::1]:80", NULL, true},
        {"", NULL, false},
        {"desk.example.org", NULL, false},
        {"localhost.example.org", NULL, false},
        {"127.example.org", NULL, false},
        {"192.0.2.1", NULL, false},
        {"128.0.0.1", NULL, false},
        {"localhost", "localhost", true},
        {"localhost", "http://127.0.0.1:80,localhost", true},
        {"localhost", "localhost,desk.example.org", false},
        {"localhost", "https://localhost", false},
    };
    Connection connection = connection_open(AF_INET);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        Asked asked = {"127.0.0.1", connection.port, rows[i].host, NULL, rows[i].server_name};
        g_assert_true(is_local(&asked) == rows[i].is_local);
    }
    connection_close(&connection);
}

static void test_token(void)
{
    g_autoptr(Settings) settings = test_settings();
    g_autofree char *file = g_strdup("/tmp/qwd-token-XXXXXX");
    close(g_mkstemp(file));
    g_assert_true(g_file_set_contents(file, "0123456789abcdef\n", -1, NULL));
    g_assert_cmpint(chmod(file, 0600), ==, 0);
    static const struct {
        const char *header;
        bool has;
    } rows[] = {
        {"HTTP_AUTHORIZATION=Bearer 0123456789abcdef", true},   {"HTTP_AUTHORIZATION=bearer 0123456789abcdef", true},
        {"HTTP_AUTHORIZATION=Bearer 0123456789abcdeg", false},  {"HTTP_AUTHORIZATION=Bearer ", false},
        {"HTTP_AUTHORIZATION=Bearer 0123456789abcde", false},   {"HTTP_AUTHORIZATION=Basic 0123456789abcdef", false},
        {"HTTP_AUTHORIZATION=Bearer 0123456789abcdef0", false}, {"HTTP_X=0", false}};
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        const char *environment[] = {"REQUEST_METHOD=GET", rows[i].header, NULL};
        g_autoptr(Request) request = test_request_new(environment, "", 0);
        g_assert_false(identity_has_metrics_token(request, settings, NULL)); /* no such setting */
        g_autofree char *before = settings->metrics_token_file;
        settings->metrics_token_file = g_strdup(file);
        g_assert_true(identity_has_metrics_token(request, settings, NULL) == rows[i].has);
        g_free(settings->metrics_token_file);
        settings->metrics_token_file = g_steal_pointer(&before);
    }
    unlink(file);
}

static void test_bad_token_files(void)
{
    static const struct {
        const char *text;
        int mode;
    } rows[] = {{"0123456789abcdef\n", 0644}, {"short\n", 0600}, {"", 0600}};
    const char *environment[] = {"REQUEST_METHOD=GET", "HTTP_AUTHORIZATION=Bearer short", NULL};
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(Settings) settings = test_settings();
        g_autoptr(GError) error = NULL;
        g_autoptr(Request) request = test_request_new(environment, "", 0);
        g_free(settings->metrics_token_file);
        settings->metrics_token_file = g_strdup("/tmp/qwd-token-XXXXXX");
        close(g_mkstemp(settings->metrics_token_file));
        g_assert_true(g_file_set_contents(settings->metrics_token_file, rows[i].text, -1, NULL));
        g_assert_cmpint(chmod(settings->metrics_token_file, (mode_t)rows[i].mode), ==, 0);
        g_assert_false(identity_has_metrics_token(request, settings, &error));
        g_assert_error(error, QWD_ERROR, QWD_ERROR_CONFIG);
        unlink(settings->metrics_token_file);
    }
}

/* A name is only what the form claims: it proves nothing. */
static void test_claims(void)
{
    Connection connection = connection_open(AF_INET);
    g_autofree char *port = g_strdup_printf("REMOTE_PORT=%d", connection.port);
    const char *environment[] = {"REQUEST_METHOD=GET",  "REMOTE_ADDR=127.0.0.1", port,
                                 "HTTP_HOST=localhost", "REMOTE_USER=root",      NULL};
    g_autoptr(Settings) settings = test_settings();
    g_autoptr(Request) request = test_request_new(environment, "", 0);
    Identity who = identity_of(request, settings, "root"), nobody = identity_of(request, settings, "");
    g_assert_cmpstr(who.user, ==, "root");
    g_assert_true(who.is_local && !who.is_admin && !who.is_authenticated);
    g_assert_cmpstr(nobody.user, ==, "guest");
    g_assert_true(nobody.is_local && !nobody.is_admin && !nobody.is_authenticated);
    connection_close(&connection);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/identity/addresses", test_addresses);
    g_test_add_func("/identity/server-end", test_server_end);
    g_test_add_func("/identity/ipv6", test_ipv6);
    g_test_add_func("/identity/proxies", test_proxies);
    g_test_add_func("/identity/names", test_names);
    g_test_add_func("/identity/token", test_token);
    g_test_add_func("/identity/bad-token-files", test_bad_token_files);
    g_test_add_func("/identity/claims", test_claims);
    return g_test_run();
}
