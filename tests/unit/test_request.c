/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <string.h>

#include "base/error.h"
#include "web/accept.h"
#include "web/params.h"
#include "requests.h"
#include "corpus.h"

#include "../fuzz/fuzz_request.c"

#define FORM "CONTENT_TYPE=application/x-www-form-urlencoded"

/* --- fields --- */

static void test_decoding(void)
{
    static const struct {
        const char *text, *name, *value;
    } cases[] = {
        {"user=marie", "user", "marie"},
        {"a=1&user=marie&b=2", "user", "marie"},
        {"&&user=marie&", "user", "marie"},
        {"user=", "user", ""},
        {"user", "user", ""},
        {"user=a+b%20c", "user", "a b c"},
        {"%75ser=x%2By", "user", "x+y"},
        {"user=a=b", "user", "a=b"},
        {"user=%C3%A9%e2%82%ac", "user", "\xc3\xa9\xe2\x82\xac"},
        {"user=%26amp%3B", "user", "&amp;"},
        {"script=a%0D%0Ab%09c", "script", "a\r\nb\tc"},
        {"other=1", "user", NULL},
        {"", "user", NULL},
    };
    static const char *const methods[] = {"GET", "POST", "HEAD"};
    for (size_t i = 0; i < G_N_ELEMENTS(cases) * G_N_ELEMENTS(methods); i++) {
        const char *method = methods[i % G_N_ELEMENTS(methods)];
        size_t row = i / G_N_ELEMENTS(methods);
        bool is_post = g_str_equal(method, "POST");
        g_autoptr(GError) error = NULL;
        g_autoptr(Request) request = test_request(method, cases[row].text, &error);
        g_assert_no_error(error);
        g_assert_cmpstr(request_field(request, cases[row].name), ==, is_post ? cases[row].value : NULL);
        g_assert_cmpstr(request_query_field(request, cases[row].name), ==, is_post ? NULL : cases[row].value);
    }
}

static void test_hostile_fields(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"user=%", "%"},
        {"user=%4", "%"},
        {"user=%zz", "%"},
        {"user=%+1", "%"},
        {"%=1", "%"},
        {"user=a%00b", "user: write text"},
        {"user=a%0Ab", "user: write text"},
        {"user=a%0Db", "user: write text"},
        {"user=a%09b", "user: write text"},
        {"user=%1b[31m", "user: write text"},
        {"user=%7f", "user: write text"},
        {"user=%c2%85", "user: write text"},
        {"user=%ff", "user: write text"},
        {"user=%c0%af", "user: write text"},       /* overlong / */
        {"user=%e0%80%af", "user: write text"},    /* overlong / */
        {"user=%c1%81", "user: write text"},       /* overlong A */
        {"user=%ed%a0%80", "user: write text"},    /* a surrogate */
        {"user=%f4%90%80%80", "user: write text"}, /* above U+10FFFF */
        {"user=%c3", "user: write text"},          /* cut off */
        {"script=a%00", "script: write text"},
        {"user=a&user=a", "user: send it once"},
        {"user=a&%75ser=b", "user: send it once"},
        {"<b>=%00", "A field: write text"},
        {"<b>=1&<b>=2", "A field: send it once"},
        {"=1", "name is not text"},
        {"a%00=1", "name is not text"},
        {"a%0a=1", "name is not text"},
        {"%ff=1", "name is not text"},
    };
    static const char *const methods[] = {"GET", "POST"};
    for (size_t i = 0; i < G_N_ELEMENTS(cases) * 2; i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(test_request(methods[i % 2], cases[i / 2].text, &error));
        g_assert_error(error, QWD_ERROR, QWD_ERROR_USAGE);
        g_assert_nonnull(strstr(error->message, cases[i / 2].message));
    }
}

static void test_field_count(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (int i = 0; i < PARAMS_MAX; i++)
        g_string_append_printf(text, "f%d=%d&", i, i);
    g_autoptr(GError) error = NULL;
    g_autoptr(Request) request = test_request("POST", text->str, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(request_field(request, "f63"), ==, "63");
    g_string_append(text, "one=more");
    g_assert_null(test_request("POST", text->str, &error));
    g_assert_error(error, QWD_ERROR, QWD_ERROR_USAGE);
    g_assert_nonnull(strstr(error->message, "more than 128 fields"));
}

/* A NUL in the body as it stands, not as a percent code. */
static void test_raw_nul(void)
{
    const char *environment[] = {"REQUEST_METHOD=POST", FORM, "CONTENT_LENGTH=8", NULL};
    g_autoptr(Settings) settings = test_settings();
    g_autoptr(GError) error = NULL;
    g_autoptr(Request) request = test_request_new(environment, "user=a\0b", 8);
    g_assert_false(request_load(request, settings, &error));
    g_assert_error(error, QWD_ERROR, QWD_ERROR_USAGE);
}

/* --- body --- */

static void test_bodies(void)
{
    static const struct {
        const char *method, *type, *length, *more, *body;
        int error; /* -1: none */
    } cases[] = {
        {"POST", "application/x-www-form-urlencoded", "6", "", "user=a", -1},
        {"POST", "application/x-www-form-urlencoded; charset=UTF-8", "6", "", "user=a", -1},
        {"POST", "Application/X-WWW-Form-Urlencoded", "6", "", "user=a", -1},
        {"POST", "application/x-www-form-urlencoded", "6", "", "user=a&user=b",
         -1}, /* no more than announced is read */
        {"POST", "", "0", "", "", -1},
        {"POST", "", "", "", "", -1},
        {"GET", "", "", "", "", -1},
        {"GET", "text/plain", "1000", "", "", -1}, /* the body of a GET is not read */
        {"POST", "application/x-www-form-urlencoded", "7", "", "user=a", QWD_ERROR_USAGE},
        {"POST", "application/x-www-form-urlencoded", "-1", "", "user=a", QWD_ERROR_USAGE},
        {"POST", "application/x-www-form-urlencoded", "+6", "", "user=a", QWD_ERROR_USAGE},
        {"POST", "application/x-www-form-urlencoded", " 6", "", "user=a", QWD_ERROR_USAGE},
        {"POST", "application/x-www-form-urlencoded", "0x6", "", "user=a", QWD_ERROR_USAGE},
        {"POST", "application/x-www-form-urlencoded", "six", "", "user=a", QWD_ERROR_USAGE},
        {"POST", "application/x-www-form-urlencoded", "99999999999999999999", "", "user=a", QWD_ERROR_USAGE},
        {"POST", "application/x-www-form-urlencoded", "65536", "", "user=a", QWD_ERROR_TOO_LARGE},
        {"POST", "application/x-www-form-urlencoded", "999999999999", "", "user=a", QWD_ERROR_TOO_LARGE},
        {"POST", "application/x-www-form-urlencoded", "", "HTTP_TRANSFER_ENCODING=chunked", "user=a", QWD_ERROR_USAGE},
        {"POST", "application/json", "6", "", "user=a", QWD_ERROR_MEDIA_TYPE},
        {"POST", "text/plain", "6", "", "user=a", QWD_ERROR_MEDIA_TYPE},
        {"POST", "", "6", "", "user=a", QWD_ERROR_MEDIA_TYPE},
        {"POST", "application/x-www-form-urlencodedx", "6", "", "user=a", QWD_ERROR_MEDIA_TYPE},
        {"PUT", "application/x-www-form-urlencoded", "6", "", "user=a", QWD_ERROR_METHOD},
        {"DELETE", "", "", "", "", QWD_ERROR_METHOD},
        {"get", "", "", "", "", QWD_ERROR_METHOD},
        {"", "", "", "", "", QWD_ERROR_METHOD},
    };
    g_autoptr(Settings) settings = test_settings();
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *method = g_strdup_printf("REQUEST_METHOD=%s", cases[i].method);
        g_autofree char *type = g_strdup_printf("CONTENT_TYPE=%s", cases[i].type);
        g_autofree char *length = g_strdup_printf("CONTENT_LENGTH=%s", cases[i].length);
        const char *environment[] = {method, type, length, cases[i].more, NULL};
        g_autoptr(GError) error = NULL;
        g_autoptr(Request) request = test_request_new(environment, cases[i].body, strlen(cases[i].body));
        bool good = request_load(request, settings, &error);
        g_assert_true(good == (cases[i].error < 0));
        if (!good)
            g_assert_error(error, QWD_ERROR, cases[i].error);
        else if (*cases[i].body)
            g_assert_cmpstr(request_field(request, "user"), ==, "a");
    }
}

static void test_type_advice(void)
{
    const char *environment[] = {"REQUEST_METHOD=POST", "CONTENT_TYPE=multipart/mixed; boundary=x", "CONTENT_LENGTH=1",
                                 NULL};
    g_autoptr(Settings) settings = test_settings();
    g_autoptr(GError) error = NULL;
    g_autoptr(Request) request = test_request_new(environment, "x", 1);
    g_assert_false(request_load(request, settings, &error));
    g_assert_nonnull(strstr(error->message, "application/x-www-form-urlencoded"));
    g_assert_nonnull(strstr(error->message, "enctype"));
}

/* Where the descriptor stands after a request was refused, or loaded, and its body discarded. */
static off_t position_after_discard(const char *type, const char *length)
{
    static const char body[100000] = {'a', '='};
    autofd int fd = memfd_create("body", MFD_CLOEXEC);
    g_assert_cmpint(pwrite(fd, body, sizeof body, 0), ==, sizeof body);
    g_autofree char *length_variable = g_strconcat("CONTENT_LENGTH=", length, NULL);
    const char *environment[] = {"REQUEST_METHOD=POST", type, length_variable, NULL};
    RequestSource source = {environment, fd};
    g_autoptr(Settings) settings = test_settings();
    g_autoptr(Request) request = request_new(&source);
    request_load(request, settings, NULL);
    request_discard_body(request);
    return lseek(fd, 0, SEEK_CUR);
}

static void test_discard(void)
{
    g_assert_cmpint(position_after_discard(FORM, "90000"), ==, 90000); /* too long */
    g_assert_cmpint(position_after_discard("CONTENT_TYPE=multipart/mixed", "70"), ==, 70);
    g_assert_cmpint(position_after_discard(FORM, "2"), ==, 2);           /* was read */
    g_assert_cmpint(position_after_discard(FORM, "200000"), ==, 100000); /* ends early */
    g_assert_cmpint(position_after_discard(FORM, "many"), ==, 0);
    g_assert_cmpint(position_after_discard(FORM, "999999999999"), ==, 0); /* not for ever */
}

static void test_longest(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GString) text = g_string_new("a=");
    while (text->len < 65535)
        g_string_append_c(text, 'x');
    g_autoptr(Request) body = test_request("POST", text->str, &error);
    g_assert_no_error(error);
    g_autoptr(Request) query = test_request("GET", text->str, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(strlen(request_field(body, "a")), ==, 65533);
    g_assert_cmpuint(strlen(request_query_field(query, "a")), ==, 65533);
    g_string_append_c(text, 'x');
    g_assert_null(test_request("POST", text->str, &error));
    g_assert_error(error, QWD_ERROR, QWD_ERROR_TOO_LARGE);
    g_clear_error(&error);
    g_assert_null(test_request("GET", text->str, &error));
    g_assert_error(error, QWD_ERROR, QWD_ERROR_TOO_LARGE);
}

/* What was wiped, seen by standing in for the C library; the second name is what _FORTIFY_SOURCE makes of the first. */
static GString *wiped;

void __explicit_bzero_chk(void *memory, size_t length, size_t object_length);

void explicit_bzero(void *memory, size_t length)
{
    const volatile char *seen = memory; /* the C library says that this function only writes */
    for (size_t i = 0; wiped && i < length; i++)
        g_string_append_c(wiped, seen[i]);
    memset(memory, 0, length);
}

void __explicit_bzero_chk(void *memory, size_t length, G_GNUC_UNUSED size_t object_length)
{
    explicit_bzero(memory, length);
}

static void test_wipe(void)
{
    g_autoptr(GError) error = NULL;
    Request *request = test_request("POST", "user=a&password=s3%63ret&x=y", &error);
    g_assert_cmpstr(request_field(request, "password"), ==, "s3cret");
    wiped = g_string_new(NULL);
    request_free(request);
    g_assert_nonnull(memmem(wiped->str, wiped->len, "s3cret", 6));
    g_string_free(g_steal_pointer(&wiped), TRUE);
}

/* A body that breaks off is wiped, too. */
static void test_wipe_early_end(void)
{
    const char *environment[] = {"REQUEST_METHOD=POST", FORM, "CONTENT_LENGTH=100", NULL};
    g_autoptr(Settings) settings = test_settings();
    Request *request = test_request_new(environment, "password=s3cret", 15);
    wiped = g_string_new(NULL);
    g_assert_false(request_load(request, settings, NULL));
    g_assert_nonnull(memmem(wiped->str, wiped->len, "s3cret", 6));
    g_string_free(g_steal_pointer(&wiped), TRUE);
    request_free(request);
}

/* --- headers --- */

static Request *request_with(const char *variable, const char *more)
{
    const char *environment[] = {"REQUEST_METHOD=GET", variable, more, NULL};
    return test_request_new(environment, "", 0);
}

static void test_variables(void)
{
    const char *environment[] = {"REQUEST_METHOD=POST",
                                 "SCRIPT_NAME=/cgi-bin/x.cgi",
                                 "PATH_INFO=/a b",
                                 "HTTP_HOST=[::1]:8080",
                                 "HTTP_ORIGIN=http://x",
                                 "REMOTE_ADDR=::1",
                                 "REMOTE_USER=marie",
                                 "HTTP_ACCEPT_LANGUAGE=fr",
                                 "HTTP_IF_NONE_MATCH=\"a\"",
                                 "HTTP_COOKIE=a=1; b = x=y",
                                 NULL};
    g_autoptr(Settings) settings = test_settings();
    g_autoptr(GError) error = NULL;
    g_autoptr(Request) request = test_request_new(environment, "", 0);
    g_assert_true(request_load(request, settings, &error));
    g_assert_cmpint(request_method(request), ==, METHOD_POST);
    g_assert_cmpstr(request_variable(request, REQUEST_SCRIPT_NAME), ==, "/cgi-bin/x.cgi");
    g_assert_cmpstr(request_variable(request, REQUEST_PATH_INFO), ==, "/a b");
    g_assert_cmpstr(request_variable(request, REQUEST_HOST), ==, "[::1]:8080");
    g_assert_cmpstr(request_variable(request, REQUEST_ORIGIN), ==, "http://x");
    g_assert_cmpstr(request_variable(request, REQUEST_REMOTE_ADDR), ==, "::1");
    g_assert_cmpstr(request_variable(request, REQUEST_REMOTE_USER), ==, "marie");
    g_assert_cmpstr(request_variable(request, REQUEST_ACCEPT_LANGUAGE), ==, "fr");
    g_assert_cmpstr(request_variable(request, REQUEST_IF_NONE_MATCH), ==, "\"a\"");
    g_assert_cmpstr(request_scheme(request), ==, "http");
    g_autoptr(Request) empty = request_with("", NULL);
    g_assert_cmpstr(request_variable(empty, REQUEST_HOST), ==, "");
    g_assert_null(request_cookie(empty, "a"));
}

static void test_hostile_headers(void)
{
    static const char *const variables[] = {
        "HTTP_HOST=a b",         "HTTP_HOST=a/b",         "HTTP_HOST=user@host",       "HTTP_HOST=a\r\nX: y",
        "HTTP_HOST=<script>",    "HTTP_HOST=\xc3\xa9",    "PATH_INFO=/\xff",           "SCRIPT_NAME=/a\nb",
        "REMOTE_USER=a\x1b[1m",  "HTTP_ORIGIN=http://\n", "HTTP_ACCEPT_LANGUAGE=\x01", "REMOTE_USER=\xc0\xaf",
        "HTTP_IF_NONE_MATCH=\n",
    };
    g_autoptr(Settings) settings = test_settings();
    for (size_t i = 0; i < G_N_ELEMENTS(variables); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Request) request = request_with(variables[i], NULL);
        g_assert_false(request_load(request, settings, &error));
        g_assert_error(error, QWD_ERROR, QWD_ERROR_USAGE);
    }
}

static void test_cookies(void)
{
    static const struct {
        const char *cookie, *name, *value;
    } cases[] = {
        {"a=1", "a", "1"},      {"a=1; b=2", "b", "2"},        {"a=1;b=2", "b", "2"}, {" a=x=y ", "a", "x=y"},
        {"a=1; a=2", "a", "1"}, {"a; b=2", "a", NULL},         {"a; b=2", "b", "2"},  {";;=;a=", "a", ""},
        {"ab=1", "a", NULL},    {"other=\xe9; a=1", "a", "1"}, {"", "a", NULL},
    };
    g_autoptr(Settings) settings = test_settings();
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *variable = g_strdup_printf("HTTP_COOKIE=%s", cases[i].cookie);
        g_autoptr(GError) error = NULL;
        g_autoptr(Request) request = request_with(variable, NULL);
        g_assert_true(request_load(request, settings, &error));
        g_assert_cmpstr(request_cookie(request, cases[i].name), ==, cases[i].value);
    }
}

static void test_scheme(void)
{
    static const struct {
        const char *variable, *scheme;
    } cases[] = {
        {"HTTPS=on", "https"},           {"HTTPS=ON", "https"},
        {"HTTPS=off", "http"},           {"REQUEST_SCHEME=https", "https"},
        {"REQUEST_SCHEME=http", "http"}, {"HTTP_X_FORWARDED_PROTO=https", "http"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(Request) request = request_with(cases[i].variable, NULL);
        g_assert_cmpstr(request_scheme(request), ==, cases[i].scheme);
    }
}

static void test_accept(void)
{
    static const struct {
        const char *accept;
        enum { JSON, PAGE, PICTURE } wanted;
    } cases[] = {
        {"application/json", JSON},
        {"Application/JSON", JSON},
        {"application/json, text/html;q=0.9", JSON},
        {"application/json, text/plain, */*", JSON},
        {"text/html;q=0.5, application/json;q=0.6", JSON},
        {"application/*, text/html;q=0.1", JSON},
        {"text/*;q=0.3, application/*;q=0.5", JSON},
        {"application/json;charset=utf-8;q=1, text/html;q=0.2", JSON},
        {"text/html;q=0, */*", JSON},
        {"", PAGE},
        {"*/*", PAGE},
        {"text/html", PAGE},
        {"text/html, application/json", PAGE},
        {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", PAGE},
        {"application/json;q=0", PAGE},
        {"application/json;q=0.5, text/html", PAGE},
        {"application/json;q=abc, text/html;q=0.1", PAGE},
        {"application/jsonx", PAGE},
        {"application/json;q=-1", PAGE},
        {"application/json;q=1e9, text/html", PAGE},
        {",,;;q=1,", PAGE},
        {"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8", PAGE},
        {"image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", PICTURE},
        {"image/avif,image/webp,*/*", PICTURE},
        {"image/webp,image/avif,video/*;q=0.8,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5", PICTURE},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *variable = g_strdup_printf("HTTP_ACCEPT=%s", cases[i].accept);
        g_autoptr(Request) request = request_with(variable, NULL);
        g_test_message("%s", cases[i].accept);
        g_assert_cmpint(request_wants_json(request), ==, cases[i].wanted == JSON);
        g_assert_cmpint(request_wants_page(request), ==, cases[i].wanted == PAGE);
    }
}

static void test_corpus(void)
{
    replay_corpus("request", LLVMFuzzerTestOneInput);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/request/decoding", test_decoding);
    g_test_add_func("/request/hostile-fields", test_hostile_fields);
    g_test_add_func("/request/field-count", test_field_count);
    g_test_add_func("/request/raw-nul", test_raw_nul);
    g_test_add_func("/request/bodies", test_bodies);
    g_test_add_func("/request/type-advice", test_type_advice);
    g_test_add_func("/request/discard", test_discard);
    g_test_add_func("/request/longest", test_longest);
    g_test_add_func("/request/wipe", test_wipe);
    g_test_add_func("/request/wipe-early-end", test_wipe_early_end);
    g_test_add_func("/request/variables", test_variables);
    g_test_add_func("/request/hostile-headers", test_hostile_headers);
    g_test_add_func("/request/cookies", test_cookies);
    g_test_add_func("/request/scheme", test_scheme);
    g_test_add_func("/request/accept", test_accept);
    g_test_add_func("/request/corpus", test_corpus);
    return g_test_run();
}
