/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Forms as multipart/form-data, with the program that reads them. */
#include <string.h>

#include "base/error.h"
#include "requests.h"
#include "web/multipart.h"

#define TYPE "multipart/form-data; boundary=x"
#define FIELD(name, value) "--x\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define FILE_PART(file, value)                                                                                         \
    "--x\r\nContent-Disposition: form-data; name=\"upload\"; filename=\"" file                                         \
    "\"\r\nContent-Type: application/octet-stream\r\n\r\n" value "\r\n"
#define END "--x--\r\n"

/* The programs are beside the folder of the tests. */
static Settings *settings_with_programs(void)
{
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL), *tests = g_path_get_dirname(program);
    Settings *settings = test_settings();
    g_free(settings->dir_lib);
    settings->dir_lib = g_path_get_dirname(tests);
    return settings;
}

static char *decode(const char *type, const char *body, size_t length, GError **error)
{
    g_autoptr(Settings) settings = settings_with_programs();
    return multipart_decode(settings, type, body, length, error);
}

static void test_forms(void)
{
    static const struct {
        const char *type, *body, *fields;
        int error; /* -1: none */
    } rows[] = {
        {TYPE, FIELD("user", "alice") FIELD("create", "Create") END, "user=alice&create=Create", -1},
        {"Multipart/Form-Data; Boundary=\"x\"", FIELD("user", "alice") END, "user=alice", -1},
        {TYPE, FIELD("password", "a b&c=d%\xc3\xa9+") END, "password=a%20b%26c%3Dd%25%C3%A9%2B", -1},
        {TYPE, FIELD("empty", "") END, "empty=", -1},
        {TYPE, FIELD("script", "a\r\n--\r\n--y\r\n") END, "script=a%0D%0A%2D%2D%0D%0A%2D%2Dy%0D%0A", -1},
        {TYPE, "a preamble\r\n" FIELD("user", "alice") END "and an end", "user=alice", -1},
        {TYPE, FIELD("user", "alice") FILE_PART("", "") END, "user=alice", -1}, /* a file that nobody has chosen */
        {TYPE, END, "", -1},
        {TYPE, FIELD("user", "alice") FILE_PART("a.txt", "text") END, NULL, QWD_ERROR_MEDIA_TYPE},
        {TYPE, FIELD("user", "alice") FILE_PART("a.txt", "") END, NULL, QWD_ERROR_MEDIA_TYPE},
        {TYPE, FIELD("user", "alice") FILE_PART("", "text") END, NULL, QWD_ERROR_MEDIA_TYPE},
        {TYPE, "user=alice", NULL, QWD_ERROR_USAGE},
        {TYPE, "", NULL, QWD_ERROR_USAGE},
        {TYPE, FIELD("user", "alice"), NULL, QWD_ERROR_USAGE}, /* breaks off */
        {TYPE, FIELD("user", "alice") "--x", NULL, QWD_ERROR_USAGE},
        {TYPE, "--x\r\n\r\nalice\r\n" END, NULL, QWD_ERROR_USAGE}, /* without a name */
        {TYPE, FIELD("", "alice") END, NULL, QWD_ERROR_USAGE},
        {TYPE, "--x\r\nContent-Disposition: attachment; name=\"user\"\r\n\r\nalice\r\n" END, NULL, QWD_ERROR_USAGE},
        {TYPE,
         "--x\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Type: multipart/mixed; "
         "boundary=y\r\n\r\n--y\r\n\r\nb\r\n--y--\r\n" END,
         NULL, QWD_ERROR_USAGE},
        {TYPE,
         "--x\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Type: message/rfc822\r\n\r\nSubject: "
         "b\r\n\r\nc\r\n" END,
         NULL, QWD_ERROR_USAGE},
        {"multipart/form-data", FIELD("user", "alice") END, NULL, QWD_ERROR_USAGE},
        {"multipart/form-data; boundary=", FIELD("user", "alice") END, NULL, QWD_ERROR_USAGE},
        {"multipart/form-data; boundary=y", FIELD("user", "alice") END, NULL, QWD_ERROR_USAGE},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *fields = decode(rows[i].type, rows[i].body, strlen(rows[i].body), &error);
        g_assert_cmpstr(fields, ==, rows[i].fields);
        if (rows[i].error >= 0)
            g_assert_error(error, QWD_ERROR, rows[i].error);
    }
}

/* Forms within forms: the parser calls itself for each. */
static void test_deep(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GString) body = g_string_new("--x\r\n");
    for (int i = 0; body->len < 16 * 1024 * 1024 - 100; i++)
        g_string_append_printf(body, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i);
    g_autofree char *fields = decode(TYPE, body->str, body->len, &error);
    g_assert_null(fields);
    g_assert_error(error, QWD_ERROR, QWD_ERROR_USAGE);
}

static void test_large(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *dots = g_strnfill(400 * 1024, '.');
    g_autofree char *body = g_strdup_printf(FIELD("script", "%s") END, dots);
    g_autofree char *fields = decode(TYPE, body, strlen(body), &error);
    g_assert_null(fields);
    g_assert_error(error, QWD_ERROR, QWD_ERROR_TOO_LARGE);
}

/* As a request: what a field may be is the same as in the other type. */
static void test_requests(void)
{
    static const struct {
        const char *body;
        int error;
    } rows[] = {
        {FIELD("user", "alice") FIELD("script", "a\r\nb") END, -1},
        {FIELD("user", "alice") FIELD("user", "bob") END, QWD_ERROR_USAGE},
        {FIELD("user", "al\x01ice") END, QWD_ERROR_USAGE},
        {FIELD("user", "al\xff") END, QWD_ERROR_USAGE},
        {FIELD("user", "alice") FILE_PART("a", "b") END, QWD_ERROR_MEDIA_TYPE},
    };
    g_autoptr(Settings) settings = settings_with_programs();
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *length = g_strdup_printf("CONTENT_LENGTH=%zu", strlen(rows[i].body));
        const char *environment[] = {"REQUEST_METHOD=POST", "CONTENT_TYPE=" TYPE, length, NULL};
        g_autoptr(GError) error = NULL;
        g_autoptr(Request) request = test_request_new(environment, rows[i].body, strlen(rows[i].body));
        g_assert_true(request_load(request, settings, &error) == (rows[i].error < 0));
        if (rows[i].error >= 0)
            g_assert_error(error, QWD_ERROR, rows[i].error);
        else
            g_assert_cmpstr(request_field(request, "user"), ==, "alice");
    }
}

static void test_many(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GString) body = g_string_new(NULL);
    for (int i = 0; i < 1000; i++)
        g_string_append_printf(body, FIELD("f%d", ""), i);
    g_string_append(body, END);
    g_autofree char *length = g_strdup_printf("CONTENT_LENGTH=%zu", body->len);
    const char *environment[] = {"REQUEST_METHOD=POST", "CONTENT_TYPE=" TYPE, length, NULL};
    g_autoptr(Settings) settings = settings_with_programs();
    settings->service_max_request_length = 1024 * 1024;
    g_autoptr(Request) request = test_request_new(environment, body->str, body->len);
    g_assert_false(request_load(request, settings, &error));
    g_assert_error(error, QWD_ERROR, QWD_ERROR_USAGE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/multipart/forms", test_forms);
    g_test_add_func("/multipart/deep", test_deep);
    g_test_add_func("/multipart/large", test_large);
    g_test_add_func("/multipart/requests", test_requests);
    g_test_add_func("/multipart/many", test_many);
    return g_test_run();
}
