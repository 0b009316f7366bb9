/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "web/response.h"
#include "paths.h"
#include "requests.h"

static Settings *settings_with_pages(void)
{
    Settings *settings = test_settings();
    g_free(settings->dir_html);
    settings->dir_html = source_path("html");
    return settings;
}

static Request *request_that_wants(const char *accept, const char *method)
{
    g_autofree char *header = g_strdup_printf("HTTP_ACCEPT=%s", accept);
    g_autofree char *verb = g_strdup_printf("REQUEST_METHOD=%s", method);
    const char *environment[] = {verb, header, "SCRIPT_NAME=/cgi-bin/qwd.cgi", NULL};
    return test_request_new(environment, "", 0);
}

/* What response_write_cgi writes. */
static char *written(const Response *response, bool head_only)
{
    autofd int fd = memfd_create("answer", MFD_CLOEXEC);
    g_autoptr(GError) error = NULL;
    g_assert_true(response_write_cgi(response, fd, head_only, &error));
    off_t length = lseek(fd, 0, SEEK_END);
    char *text = g_malloc0((size_t)length + 1);
    g_assert_cmpint(pread(fd, text, (size_t)length, 0), ==, length);
    return text;
}

/* --- writing --- */

static void test_cgi_form(void)
{
    static const char expected[] = "Status: 200 OK\r\n"
                                   "Content-Security-Policy: default-src 'self'; img-src 'self' data:; form-action "
                                   "'self'; frame-ancestors 'none'; "
                                   "base-uri 'none'\r\n"
                                   "X-Content-Type-Options: nosniff\r\n"
                                   "Referrer-Policy: same-origin\r\n"
                                   "Cache-Control: no-store\r\n"
                                   "Content-Type: text/plain; charset=utf-8\r\n"
                                   "Content-Length: 6\r\n"
                                   "\r\n";
    g_autoptr(Response) response = response_text("text/plain", "hello\n");
    g_autofree char *all = written(response, false);
    g_autofree char *head = written(response, true);
    g_autofree char *whole = g_strconcat(expected, "hello\n", NULL);
    g_assert_cmpstr(all, ==, whole);
    g_assert_cmpstr(head, ==, expected);
}

static void test_json(void)
{
    g_autoptr(JsonValue) object = json_pack("{s:s, s:i}", "a", "<\xc3\xa9>", "b", 1);
    g_autoptr(Response) response = response_json(202, object);
    g_assert_cmpint(response->status, ==, 202);
    g_assert_cmpstr(response_header(response, "content-type"), ==, "application/json; charset=utf-8");
    g_assert_cmpstr(response->body->str, ==, "{\"a\":\"<\xc3\xa9>\",\"b\":1}\n");
    g_autofree char *text = written(response, false);
    g_assert_true(g_str_has_prefix(text, "Status: 202 Accepted\r\n"));
}

static void test_write_error(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Response) response = response_text("text/plain", "x");
    g_assert_false(response_write_cgi(response, -1, false, &error));
    g_assert_error(error, QWD_ERROR, QWD_ERROR_INTERNAL);
}

static void test_page(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Settings) settings = settings_with_pages();
    g_autoptr(Request) request = request_that_wants("text/html", "GET");
    g_autoptr(JsonValue) values = response_page_values(request, settings, "A <title>");
    json_object_set_new(values, "message", json_string("Done & dusted."));
    json_object_set_new(values, "details", json_array());
    json_object_set_new(values, "next", json_null());
    g_autoptr(Response) response = response_page(settings, "message.html", values, &error);
    g_assert_no_error(error);
    g_assert_cmpint(response->status, ==, 200);
    g_assert_cmpstr(response_header(response, "Content-Type"), ==, "text/html; charset=utf-8");
    g_assert_nonnull(strstr(response->body->str, "A &lt;title&gt;"));
    g_assert_nonnull(strstr(response->body->str, "Done &amp; dusted."));
    g_assert_nonnull(strstr(response->body->str, "href=\"/qemu-web-desktop/static/style.css\""));
    g_assert_null(response_page(settings, "none.html", values, &error));
    g_assert_error(error, QWD_ERROR, QWD_ERROR_INTERNAL);
}

/* --- headers and redirects --- */

static void test_redirect(void)
{
    static const char *const good[] = {"/", "/cgi-bin/qwd.cgi?session=0123&x=%20y#z", "/a//b", "/?next=http://x"};
    static const char *const hostile[] = {
        "",
        "relative",
        "?x",
        "http://example.org/",
        "https:/x",
        "javascript:alert(1)",
        "//example.org/",
        "///example.org/",
        "/\\example.org/",
        "\\\\example.org",
        " /x",
        "/x y",
        "/x\r\nSet-Cookie: a=b",
        "/x\nLocation: http://example.org",
        "/x\rY",
        "/x\tY",
        "/\t/example.org",
        "/x\x7f",
        "/x\xc3\xa9",
        "/x\xff",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(Response) response = response_redirect(good[i], NULL);
        g_assert_cmpint(response->status, ==, 303);
        g_assert_cmpstr(response_header(response, "Location"), ==, good[i]);
        g_assert_null(response_header(response, "Content-Type"));
    }
    for (size_t i = 0; i < G_N_ELEMENTS(hostile); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(response_redirect(hostile[i], &error));
        g_assert_error(error, QWD_ERROR, QWD_ERROR_INTERNAL);
    }
    g_autofree char *longest = g_strnfill(2049, '/');
    longest[1] = 'x';
    g_assert_null(response_redirect(longest, NULL));
}

/* In place of the policy that all answers have, not beside it. */
static void test_connections(void)
{
    g_autoptr(Response) response = response_text("text/plain", "");
    response_allow_connections(response, "'self' ws://h");
    const char *policy = response_header(response, "Content-Security-Policy");
    g_assert_true(g_str_has_prefix(policy, "default-src 'self';"));
    g_assert_true(g_str_has_suffix(policy, "; connect-src 'self' ws://h"));
    int count = 0;
    for (unsigned i = 0; i < response->headers->len; i++)
        count += g_str_has_prefix(response->headers->pdata[i], "Content-Security-Policy:");
    g_assert_cmpint(count, ==, 1);
}

static void test_headers(void)
{
    static const struct {
        const char *name, *value;
        bool good;
    } cases[] = {
        {"Set-Cookie", "a=b; HttpOnly; SameSite=Lax", true},
        {"X-Empty", "", true},
        {"", "x", false},
        {"A B", "x", false},
        {"A:", "x", false},
        {"A\r\nB", "x", false},
        {"A\xc3\xa9", "x", false},
        {"A", "x\r\nB: y", false},
        {"A", "x\n", false},
        {"A", "x\r", false},
        {"A", "x\ty", false},
        {"A", "x\x01", false},
        {"A", "x\x7f", false},
    };
    g_autoptr(Response) response = response_text("text/plain", "");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_true(response_add_header(response, cases[i].name, cases[i].value, &error) == cases[i].good);
        if (cases[i].good)
            g_assert_cmpstr(response_header(response, cases[i].name), ==, cases[i].value);
        else
            g_assert_error(error, QWD_ERROR, QWD_ERROR_INTERNAL);
    }
    g_assert_null(response_header(response, "Set"));
    g_assert_null(response_header(response, "A"));
}

/* --- conditional requests --- */

static Response *answer_to(const char *if_none_match, const char *text)
{
    g_autofree char *header = g_strdup_printf("HTTP_IF_NONE_MATCH=%s", if_none_match);
    const char *environment[] = {"REQUEST_METHOD=GET", header, NULL};
    g_autoptr(Request) request = test_request_new(environment, "", 0);
    Response *response = response_text("text/plain", text);
    response_make_conditional(response, request);
    return response;
}

static void test_conditional(void)
{
    g_autoptr(Response) first = answer_to("", "one");
    g_autofree char *tag = g_strdup(response_header(first, "ETag"));
    g_assert_cmpint(first->status, ==, 200);
    g_assert_true(*tag == '"' && strlen(tag) == 34);
    g_autofree char *weak = g_strdup_printf("W/%s", tag);
    g_autofree char *list = g_strdup_printf("\"x\" , %s", tag);
    const char *matching[] = {tag, weak, list, "*"};
    for (size_t i = 0; i < G_N_ELEMENTS(matching); i++) {
        g_autoptr(Response) same = answer_to(matching[i], "one");
        g_assert_cmpint(same->status, ==, 304);
        g_assert_cmpstr(response_header(same, "ETag"), ==, tag);
        g_autofree char *text = written(same, false);
        g_assert_true(g_str_has_prefix(text, "Status: 304 Not Modified\r\n"));
        g_assert_true(g_str_has_suffix(text, "\r\n\r\n"));
        g_assert_null(strstr(text, "\nContent-Type"));
        g_assert_null(strstr(text, "\nContent-Length"));
        g_autoptr(Response) other = answer_to(matching[i], "two");
        g_assert_cmpint(other->status, ==, i < 3 ? 200 : 304);
    }
    g_autoptr(Response) unquoted = answer_to("abc, \"", "one");
    g_assert_cmpint(unquoted->status, ==, 200);
}

static void test_errors_have_no_tag(void)
{
    g_autoptr(Request) request = request_that_wants("application/json", "GET");
    g_autoptr(Settings) settings = settings_with_pages();
    g_autoptr(GError) error = g_error_new_literal(QWD_ERROR, QWD_ERROR_NOT_FOUND, "There is no such session.");
    g_autoptr(Response) response = response_error(request, settings, error, NULL);
    response_make_conditional(response, request);
    g_assert_cmpint(response->status, ==, 404);
    g_assert_null(response_header(response, "ETag"));
}

/* --- errors --- */

/* Every kind of error, as page and as JSON. */
static void test_error_kinds(void)
{
    g_autoptr(Settings) settings = settings_with_pages();
    g_autoptr(Request) page_wanted = request_that_wants("text/html", "GET");
    g_autoptr(Request) json_wanted = request_that_wants("application/json", "GET");
    for (int kind = 0; kind < QWD_ERROR_KINDS; kind++) {
        bool is_secret = kind == QWD_ERROR_INTERNAL || kind == QWD_ERROR_CONFIG;
        g_autoptr(GError) error = g_error_new(QWD_ERROR, kind, "Trouble with <%d>.", kind);
        g_autofree char *escaped = g_strdup_printf("Trouble with &lt;%d&gt;.", kind);
        g_autoptr(Response) page = response_error(page_wanted, settings, error, NULL);
        g_autoptr(Response) json = response_error(json_wanted, settings, error, NULL);
        g_autoptr(JsonValue) object = json_object_parse(json->body->str, json->body->len, NULL);
        const json_t *inner = json_object_get(object, "error");
        g_assert_cmpint(page->status, ==, qwd_error_traits(error)->http_status);
        g_assert_cmpint(json->status, ==, page->status);
        g_assert_cmpstr(response_header(page, "Content-Type"), ==, "text/html; charset=utf-8");
        g_assert_cmpstr(response_header(json, "Content-Type"), ==, "application/json; charset=utf-8");
        g_assert_true((strstr(page->body->str, escaped) == NULL) == is_secret);
        g_assert_cmpstr(json_get_text(inner, "kind", ""), ==, qwd_error_traits(error)->name);
        g_assert_cmpint(json_get_integer(inner, "status", 0), ==, page->status);
        g_assert_true(g_str_equal(json_get_text(inner, "message", ""), error->message) != is_secret);
        g_assert_cmpstr(json_get_text(inner, "advice", ""), !=, "");
    }
}

/* Errors of another domain, and texts that are not UTF-8, do not stop the answer. */
static void test_foreign_error(void)
{
    g_autoptr(Settings) settings = settings_with_pages();
    g_autoptr(Request) request = request_that_wants("application/json", "GET");
    g_autoptr(GError) error = g_error_new_literal(G_FILE_ERROR, G_FILE_ERROR_IO, "secret path /etc/x");
    g_autoptr(Response) response = response_error(request, settings, error, NULL);
    g_assert_cmpint(response->status, ==, 500);
    g_assert_null(strstr(response->body->str, "secret"));
    g_autoptr(GError) broken = g_error_new_literal(QWD_ERROR, QWD_ERROR_USAGE,
                                                   "a\xff"
                                                   "b");
    g_autoptr(Response) answer = response_error(request, settings, broken, NULL);
    g_assert_cmpint(answer->status, ==, 400);
    g_assert_true(g_utf8_validate(answer->body->str, -1, NULL));
}

static void test_without_templates(void)
{
    g_autoptr(Settings) settings = settings_with_pages();
    g_free(settings->dir_html);
    settings->dir_html = g_strdup("/nonexistent");
    g_autoptr(Request) request = request_that_wants("text/html", "GET");
    g_autoptr(GError) error = g_error_new_literal(QWD_ERROR, QWD_ERROR_DENIED, "Not <yours>.");
    g_autoptr(Response) response = response_error(request, settings, error, NULL);
    g_assert_cmpint(response->status, ==, 403);
    g_assert_cmpstr(response_header(response, "Content-Type"), ==, "text/plain; charset=utf-8");
    g_assert_nonnull(strstr(response->body->str, "Not <yours>."));
}

static void test_status_headers(void)
{
    static const struct {
        const char *method;
        int kind;
        const char *allow, *retry;
    } cases[] = {
        {"PUT", QWD_ERROR_METHOD, "GET, HEAD, POST", NULL},
        {"GET", QWD_ERROR_METHOD, "POST", NULL},
        {"HEAD", QWD_ERROR_METHOD, "POST", NULL},
        {"POST", QWD_ERROR_METHOD, "GET, HEAD", NULL},
        {"POST", QWD_ERROR_LIMIT, NULL, "10"},
        {"POST", QWD_ERROR_UNAVAILABLE, NULL, "10"},
        {"POST", QWD_ERROR_TIMEOUT, NULL, "10"},
        {"POST", QWD_ERROR_USAGE, NULL, NULL},
    };
    g_autoptr(Settings) settings = settings_with_pages();
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(Request) request = request_that_wants("text/html", cases[i].method);
        g_autoptr(GError) error = g_error_new_literal(QWD_ERROR, cases[i].kind, "x");
        g_autoptr(Response) response = response_error(request, settings, error, NULL);
        g_assert_cmpstr(response_header(response, "Allow"), ==, cases[i].allow);
        g_assert_cmpstr(response_header(response, "Retry-After"), ==, cases[i].retry);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/response/cgi-form", test_cgi_form);
    g_test_add_func("/response/json", test_json);
    g_test_add_func("/response/write-error", test_write_error);
    g_test_add_func("/response/page", test_page);
    g_test_add_func("/response/redirect", test_redirect);
    g_test_add_func("/response/headers", test_headers);
    g_test_add_func("/response/connections", test_connections);
    g_test_add_func("/response/conditional", test_conditional);
    g_test_add_func("/response/errors-have-no-tag", test_errors_have_no_tag);
    g_test_add_func("/response/error-kinds", test_error_kinds);
    g_test_add_func("/response/foreign-error", test_foreign_error);
    g_test_add_func("/response/without-templates", test_without_templates);
    g_test_add_func("/response/status-headers", test_status_headers);
    return g_test_run();
}
