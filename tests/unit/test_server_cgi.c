/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The parts of qwd-server that need neither network nor process. A face is not in the library, so its files are
 * included. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

#include "server/cgi_environment.c"
#include "server/cgi_response.c"
#include "server/gzip.c"
#include "server/head.c"
#include "server/path.c"

/* --- answers --- */

static void test_response_good(void)
{
    static const struct {
        const char *output;
        unsigned status;
        const char *body;
        gint64 body_length;
    } cases[] = {
        {"Content-Type: text/html\n\nhello", 200, "hello", -1},
        {"Content-Type: text/html\r\n\r\nhello", 200, "hello", -1},
        {"Content-Type: text/html\r\nX: y\n\r\nhello", 200, "hello", -1},
        {"content-type:text/html\n\n", 200, "", -1},
        {"Status: 404 Not Found\nContent-Type: text/plain\n\nx", 404, "x", -1},
        {"Status: 204\n\n", 204, "", -1},
        {"Status: 200 \nContent-Type: a/b\n\n", 200, "", -1},
        {"Location: /here\n\n", 302, "", -1},
        {"Status: 303 See Other\nLocation: http://localhost/x\n\n", 303, "", -1},
        {"Content-Type: a/b\nContent-Length: 3\n\nabcdef", 200, "abcdef", 3},
        {"Content-Type: a/b\nContent-Length: 0\n\n", 200, "", 0},
        {"Content-Type: a/b\n\n\n\nrest", 200, "\n\nrest", -1},
        {"Content-Type: a/b\nX-Empty:\n\n", 200, "", -1},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_auto(CgiResponse) response = {0};
        g_assert_true(cgi_response_parse(cases[i].output, strlen(cases[i].output), &response, &error));
        g_assert_no_error(error);
        g_assert_cmpuint(response.status, ==, cases[i].status);
        g_assert_cmpstr(cases[i].output + response.body_at, ==, cases[i].body);
        g_assert_cmpint(response.body_length, ==, cases[i].body_length);
    }
}

static void test_response_hostile(void)
{
#define TEXT(text)                                                                                                     \
    {                                                                                                                  \
        text, sizeof text - 1                                                                                          \
    }
    static const struct {
        const char *output;
        size_t length;
    } cases[] = {
        TEXT(""),
        TEXT("\n"),
        TEXT("\nbody"),
        TEXT("hello world"),
        TEXT("hello world\n\n"),
        TEXT("Content-Type: text/html"),
        TEXT("Content-Type: text/html\n"),
        TEXT("X-Only: 1\n\nbody"),
        TEXT("Error: something broke\n\n"),
        TEXT(": no name\nContent-Type: a/b\n\n"),
        TEXT("Bad Name: x\nContent-Type: a/b\n\n"),
        TEXT("Name : x\nContent-Type: a/b\n\n"),
        TEXT("Content-Type: a/b\n folded\n\n"),
        TEXT("Content-Type: a/b\n\tfolded: x\n\n"),
        TEXT("Content-Type: a\rSet-Cookie: x\n\n"),
        TEXT("Content-Type: a\x01\n\n"),
        TEXT("Content-Type: a\x7f\n\n"),
        TEXT("Content-Type: a\0b\n\n"),
        TEXT("Content\0-Type: a/b\n\n"),
        TEXT("Cont\xc3\xa9nt-Type: a/b\n\n"),
        TEXT("Status: \nContent-Type: a/b\n\n"),
        TEXT("Status: 99\nContent-Type: a/b\n\n"),
        TEXT("Status: 101 Switching Protocols\n\n"),
        TEXT("Status: 600 x\n\n"),
        TEXT("Status: 20\n\n"),
        TEXT("Status: 2000\n\n"),
        TEXT("Status: +20\n\n"),
        TEXT("Status: -200\n\n"),
        TEXT("Status: OK\n\n"),
        TEXT("Status: 200OK\n\n"),
        TEXT("Content-Type: a/b\nContent-Length: -1\n\n"),
        TEXT("Content-Type: a/b\nContent-Length: 1e3\n\n"),
        TEXT("Content-Type: a/b\nContent-Length: 99999999999999999999\n\n"),
        TEXT("Content-Type: a/b\nContent-Length: 3, 3\n\n"),
        TEXT("\x7f"
             "ELF\x02\x01\x01\0\n\n"),
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_auto(CgiResponse) response = {0};
        g_test_message("%" G_GSIZE_FORMAT ": %s", i, cases[i].output);
        g_assert_false(cgi_response_parse(cases[i].output, cases[i].length, &response, &error));
        g_assert_error(error, QWD_ERROR, QWD_ERROR_INTERNAL);
        g_assert_null(response.fields);
    }
}

static void test_response_bounds(void)
{
    g_autofree char *many = g_strnfill(HEAD_MAX_BYTES * 2, 'a');
    g_autofree char *long_value = g_strconcat("Content-Type: ", many, "\n\n", NULL);
    GString *fields = g_string_new("Content-Type: a/b\n");
    for (int i = 0; i < HEAD_MAX_FIELDS; i++)
        g_string_append_printf(fields, "X-%d: y\n", i);
    g_string_append(fields, "\n");
    g_auto(CgiResponse) response = {0};
    g_assert_false(cgi_response_parse(long_value, strlen(long_value), &response, NULL));
    g_assert_false(cgi_response_parse(fields->str, fields->len, &response, NULL));
    g_assert_true(cgi_response_is_complete(many, strlen(many)));
    g_assert_false(cgi_response_is_complete(many, HEAD_MAX_BYTES));
    g_string_free(fields, TRUE);
}

static void test_response_fields(void)
{
    static const char output[] = "Status: 200\nContent-Type: a/b\nSet-Cookie: a=1\nSet-Cookie: b=2\nConnection: close\n"
                                 "transfer-encoding: chunked\nContent-Length: 1\nServer: x\nUpgrade: h2c\n\n?";
    g_auto(CgiResponse) response = {0};
    g_assert_true(cgi_response_parse(output, sizeof output - 1, &response, NULL));
    g_assert_cmpuint(response.fields->len, ==, 3);
    g_assert_cmpstr(head_get(response.fields, "CONTENT-TYPE"), ==, "a/b");
    g_assert_cmpstr(((HeadField *)g_ptr_array_index(response.fields, 2))->value, ==, "b=2");
}

static void test_response_complete(void)
{
    static const struct {
        const char *output;
        bool complete;
    } cases[] = {
        {"", false},
        {"Content-Type: a/b\n", false},
        {"Content-Type: a/b\n\n", false},
        {"Content-Type: a/b\nContent-Length: 4\n\nabc", false},
        {"Content-Type: a/b\nContent-Length: 4\n\nabcd", true},
        {"Content-Type: a/b\nContent-Length: 4\n\nabcde", true},
        {"Content-Type: a/b\nContent-Length: 0\n\n", true},
        {"garbage\n\n", true},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        g_assert_cmpint(cgi_response_is_complete(cases[i].output, strlen(cases[i].output)), ==, cases[i].complete);
}

/* --- environment --- */

static char **environment_of(const CgiRequest *request, const char *const headers[][2])
{
    g_autoptr(GPtrArray) fields = head_new();
    for (; headers && (*headers)[0]; headers++)
        head_add(fields, (*headers)[0], (*headers)[1]);
    CgiRequest copy = *request;
    copy.headers = fields;
    return cgi_environment(&copy);
}

static void test_environment(void)
{
    static const char *const overrides[] = {"accel=tcg", "dir_html=/x y", NULL};
    static const char *const headers[][2] = {{"Host", "localhost:8080"},
                                             {"Cookie", "a=1"},
                                             {"Cookie", "b=2"},
                                             {"X-Two", "1"},
                                             {"x-two", "2"},
                                             {"Accept-Language", "fr"},
                                             {"Content-Type", "a/b"},
                                             {"Authorization", "Bearer abc"},
                                             {NULL, NULL}};
    CgiRequest request = {
        .method = "POST",
        .script_name = "/cgi-bin/x",
        .path_info = "/a b",
        .query = "q=%20",
        .uri = "/cgi-bin/x/a%20b?q=%20",
        .protocol = "HTTP/1.1",
        .host_header = "localhost:8080",
        .remote_address = "127.0.0.1",
        .remote_port = 4711,
        .server_address = "127.0.0.2",
        .server_port = 8080,
        .content_type = "a/b",
        .content_length = 12,
        .config_file = "/etc/x.conf",
        .overrides = overrides,
    };
    static const char *const expected[] = {"GATEWAY_INTERFACE=CGI/1.1",
                                           "REQUEST_METHOD=POST",
                                           "SCRIPT_NAME=/cgi-bin/x",
                                           "PATH_INFO=/a b",
                                           "QUERY_STRING=q=%20",
                                           "REQUEST_URI=/cgi-bin/x/a%20b?q=%20",
                                           "SERVER_PROTOCOL=HTTP/1.1",
                                           "SERVER_NAME=localhost",
                                           "SERVER_ADDR=127.0.0.2",
                                           "SERVER_PORT=8080",
                                           "REMOTE_ADDR=127.0.0.1",
                                           "REMOTE_PORT=4711",
                                           "CONTENT_TYPE=a/b",
                                           "CONTENT_LENGTH=12",
                                           "HTTP_HOST=localhost:8080",
                                           "HTTP_COOKIE=a=1; b=2",
                                           "HTTP_X_TWO=1, 2",
                                           "HTTP_ACCEPT_LANGUAGE=fr",
                                           "HTTP_AUTHORIZATION=Bearer abc",
                                           "QWD_SOCKET_TOKEN=protocol",
                                           "QWD_CONFIG=/etc/x.conf",
                                           "QWD_OVERRIDES=accel=tcg\ndir_html=/x y"};
    g_auto(GStrv) environment = environment_of(&request, headers);
    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
        g_test_message("%s", expected[i]);
        g_assert_true(g_strv_contains((const char *const *)environment, expected[i]));
    }
}

/* Whatever a client sends, the program sees only what it may. */
static void test_environment_hostile(void)
{
    static const char *const headers[][2] = {{"Proxy", "http://evil"},
                                             {"pRoXy", "http://evil"},
                                             {"Authorization", "Basic c2VjcmV0"},
                                             {"Proxy-Authorization", "Basic c2VjcmV0"},
                                             {"Content-Length", "99"},
                                             {"Content_Length", "99"},
                                             {"X_Forwarded_For", "1"},
                                             {"X=Y", "1"},
                                             {"X Y", "1"},
                                             {"", "1"},
                                             {"X-Line", "a\nREMOTE_ADDR=1"},
                                             {"Transfer-Encoding", "chunked"},
                                             {NULL, NULL}};
    static const char *const allowed[] = {
        "GATEWAY_INTERFACE", "REQUEST_METHOD", "QUERY_STRING", "SERVER_NAME", "SERVER_PORT",      "REMOTE_PORT",
        "SERVER_SOFTWARE",   "PATH",           "LANG",         "TZ",          "QWD_SOCKET_TOKEN", NULL};
    g_setenv("HTTP_PROXY", "http://evil", TRUE);
    g_setenv("LD_PRELOAD_X", "/evil.so", TRUE);
    g_setenv("QWD_SECRET", "x", TRUE);
    CgiRequest request = {.method = "GET", .content_length = -1};
    g_auto(GStrv) environment = environment_of(&request, headers);
    for (char **one = environment; *one; one++) {
        g_auto(GStrv) parts = g_strsplit(*one, "=", 2);
        g_test_message("%s", *one);
        g_assert_true(g_strv_contains(allowed, parts[0]));
    }
    g_assert_cmpstr(g_environ_getenv(environment, "QUERY_STRING"), ==, "");
    g_assert_cmpstr(g_environ_getenv(environment, "SERVER_NAME"), ==, "localhost");
}

static void test_environment_server_name(void)
{
    static const char *const cases[][2] = {
        {"a.example", "a.example"}, {"a.example:80", "a.example"}, {"[::1]", "[::1]"}, {"[::1]:8080", "[::1]"}};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        CgiRequest request = {.method = "GET", .content_length = -1, .host_header = cases[i][0]};
        g_auto(GStrv) environment = environment_of(&request, NULL);
        g_assert_cmpstr(g_environ_getenv(environment, "SERVER_NAME"), ==, cases[i][1]);
    }
}

/* --- paths --- */

static void test_path_decode(void)
{
    static const struct {
        const char *raw, *path; /* NULL: refused */
    } cases[] = {
        {"/", "/"},
        {"/a/b.html", "/a/b.html"},
        {"/a/", "/a/"},
        {"/a%20b", "/a b"},
        {"/%C3%A9", "/\xc3\xa9"},
        {"/a..b", "/a..b"},
        {"/a...", "/a..."},
        {"", NULL},
        {"a", NULL},
        {"*", NULL},
        {"http://localhost/", NULL},
        {"//", NULL},
        {"//evil.example/", NULL},
        {"/a//b", NULL},
        {"/.", NULL},
        {"/..", NULL},
        {"/../x", NULL},
        {"/a/..", NULL},
        {"/a/../b", NULL},
        {"/a/./b", NULL},
        {"/.git/config", NULL},
        {"/a/.htaccess", NULL},
        {"/...", NULL},
        {"/%2e%2e/x", NULL},
        {"/%2E./x", NULL},
        {"/.%2e/x", NULL},
        {"/%2e%2e%2fx", NULL},
        {"/a%2fb", NULL},
        {"/a%2Fb", NULL},
        {"/a%5c..%5cb", NULL},
        {"/a\\b", NULL},
        {"/a%00", NULL},
        {"/a%00.html", NULL},
        {"/a%0a", NULL},
        {"/a%0d%0aX:y", NULL},
        {"/a%7f", NULL},
        {"/a\n", NULL},
        {"/a%", NULL},
        {"/a%2", NULL},
        {"/a%zz", NULL},
        {"/a%u002e", NULL},
        {"/%c0%ae%c0%ae/", NULL},
        {"/%ff", NULL},
        {"/%252e%252e/x", "/%2e%2e/x"}, /* decoded once only */
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *path = path_decode(cases[i].raw, &error);
        g_test_message("%s", cases[i].raw);
        g_assert_cmpstr(path, ==, cases[i].path);
        if (!cases[i].path)
            g_assert_error(error, QWD_ERROR, QWD_ERROR_USAGE);
    }
}

static void touch(const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_assert_true(g_file_set_contents(path, "x", 1, NULL));
}

static void link_to(const char *folder, const char *name, const char *target)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_assert_cmpint(symlink(target, path), ==, 0);
}

/* site/ is served, shared/ may be linked to, other/ and site2/ may not. */
static char *make_tree(void)
{
    char *top = g_dir_make_tmp("qwd-path-XXXXXX", NULL);
    static const char *const folders[] = {"site", "site/sub", "site2", "shared", "other"};
    for (size_t i = 0; i < G_N_ELEMENTS(folders); i++) {
        g_autofree char *folder = g_build_filename(top, folders[i], NULL);
        g_assert_cmpint(mkdir(folder, 0700), ==, 0);
        touch(folder, "file.html");
    }
    link_to(top, "site/inside.html", "sub/file.html");
    link_to(top, "site/shared.html", "../shared/file.html");
    link_to(top, "site/shared", "../shared");
    link_to(top, "site/other.html", "../other/file.html");
    link_to(top, "site/other", "../other");
    link_to(top, "site/site2.html", "../site2/file.html");
    link_to(top, "site/loop", "loop");
    return top;
}

static void test_path_resolve(void)
{
    static const struct {
        const char *relative, *target; /* NULL: refused */
    } cases[] = {
        {"file.html", "site/file.html"},
        {"sub/file.html", "site/sub/file.html"},
        {"inside.html", "site/sub/file.html"},
        {"shared.html", "shared/file.html"},
        {"shared/file.html", "shared/file.html"},
        {"", NULL},
        {"absent.html", NULL},
        {"file.html/", NULL},
        {"file.html/x", NULL},
        {"other.html", NULL},
        {"other/file.html", NULL},
        {"site2.html", NULL},
        {"loop", NULL},
        {"../other/file.html", NULL},
        {"/etc/passwd", NULL},
        {"../../../../../../etc/passwd", NULL},
    };
    g_autofree char *top = make_tree();
    g_autofree char *site = g_build_filename(top, "site/", NULL);
    g_autofree char *shared = g_build_filename(top, "shared", NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *path = path_resolve(site, cases[i].relative, shared, &error);
        g_autofree char *target = cases[i].target ? g_build_filename(top, cases[i].target, NULL) : NULL;
        g_test_message("%s", cases[i].relative);
        g_assert_cmpstr(path, ==, target);
        if (!target)
            g_assert_error(error, QWD_ERROR, QWD_ERROR_NOT_FOUND);
    }
    g_assert_null(path_resolve(site, "shared.html", NULL, NULL));
    g_assert_true(folder_remove(top, NULL));
}

static void test_media_type(void)
{
    g_assert_cmpstr(path_media_type("vnc.html"), ==, "text/html; charset=utf-8");
    g_assert_cmpstr(path_media_type("app/ui.js"), ==, "text/javascript; charset=utf-8");
    g_assert_cmpstr(path_media_type("a.svg"), ==, "image/svg+xml");
    g_assert_null(path_media_type("utils/validate"));
    g_assert_null(path_media_type("a.pl"));
    g_assert_null(path_media_type("html"));
    g_assert_null(path_media_type("a.html~"));
}

/* --- compression --- */

static void test_gzip_asked_for(void)
{
    static const struct {
        const char *header;
        bool accepted;
    } cases[] = {
        {NULL, false},       {"", false},        {"gzip", true},     {"GZIP", true},        {"br, gzip;q=0.5", true},
        {"gzip;q=0", false}, {"deflate", false}, {"x-gzip", false},  {" gzip ; q=1", true}, {"gzip;q=0.000", false},
        {"gzip;q", false},   {"*", false},       {",,;,gzip", true}, {"gzip;x=1", false},   {"gzipx, identity", false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("%s", cases[i].header);
        g_assert_cmpint(gzip_is_accepted(cases[i].header), ==, cases[i].accepted);
    }
    g_assert_true(gzip_is_worthwhile("text/javascript; charset=utf-8", 4096));
    g_assert_false(gzip_is_worthwhile("text/css; charset=utf-8", 100));
    g_assert_false(gzip_is_worthwhile("text/plain; charset=utf-8", 100 << 20));
    g_assert_false(gzip_is_worthwhile("image/png", 4096));
}

static void test_gzip_file(void)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp(NULL, &path, NULL);
    char text[100000], back[sizeof text];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i * i % 23);
    g_assert_cmpint(write(fd, text, sizeof text), ==, sizeof text);
    g_autoptr(GByteArray) small = gzip_file(fd, sizeof text);
    g_assert_cmpint(small->len, <, sizeof text / 10);
    z_stream stream = {
        .next_in = small->data, .avail_in = small->len, .next_out = (Bytef *)back, .avail_out = sizeof back};
    g_assert_cmpint(inflateInit2(&stream, GZIP_WINDOW_BITS), ==, Z_OK);
    g_assert_cmpint(inflate(&stream, Z_FINISH), ==, Z_STREAM_END);
    inflateEnd(&stream);
    g_assert_cmpmem(back, stream.total_out, text, sizeof text);
    g_assert_null(gzip_file(fd, sizeof text + 1)); /* it has become shorter */
    close(fd);
    unlink(path);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/server/response/good", test_response_good);
    g_test_add_func("/server/response/hostile", test_response_hostile);
    g_test_add_func("/server/response/bounds", test_response_bounds);
    g_test_add_func("/server/response/fields", test_response_fields);
    g_test_add_func("/server/response/complete", test_response_complete);
    g_test_add_func("/server/environment/all", test_environment);
    g_test_add_func("/server/environment/hostile", test_environment_hostile);
    g_test_add_func("/server/environment/server-name", test_environment_server_name);
    g_test_add_func("/server/path/decode", test_path_decode);
    g_test_add_func("/server/path/resolve", test_path_resolve);
    g_test_add_func("/server/path/media-type", test_media_type);
    g_test_add_func("/server/gzip/asked-for", test_gzip_asked_for);
    g_test_add_func("/server/gzip/file", test_gzip_file);
    return g_test_run();
}
