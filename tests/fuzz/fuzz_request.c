/* SPDX-License-Identifier: AGPL-3.0-or-later
 * One request, from CGI variables to forms and answers. Input: lines "NAME=value", an empty line, the body. Held true:
 * - a request that is loaded has only fields that are UTF-8 without control characters;
 * - errors are of the kinds that request.h and form.h name, and their messages are UTF-8 without control characters;
 * - what forms accept is what form.h says;
 * - the answer has one line for each header, whatever the request was. */
#include <glib.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "base/token.h"
#include "web/form.h"
#include "web/params.h"
#include "web/response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const Settings fuzz_settings = {.service_max_request_length = 4096,
                                       .dir_html = (char *)"/nonexistent",
                                       .dir_lib = (char *)"/nonexistent",
                                       .service_page = (char *)"/page"};

/* The request of an input. Its lines must live as long as the call. */
static Request *fuzz_open(char **lines, const char *body, size_t length)
{
    static int fd = -1;
    if (fd < 0)
        fd = memfd_create("body", MFD_CLOEXEC);
    g_assert_cmpint(ftruncate(fd, 0), ==, 0);
    g_assert_cmpint(pwrite(fd, body, length, 0), ==, (ssize_t)length);
    lseek(fd, 0, SEEK_SET);
    RequestSource source = {(const char *const *)lines, fd};
    return request_new(&source);
}

static void check_error(const GError *error, unsigned allowed_kinds)
{
    g_assert_nonnull(error);
    g_assert_true(error->domain == QWD_ERROR && (allowed_kinds & (1u << error->code)));
    g_assert_true(params_text_is_plain(error->message, strlen(error->message), false));
}

static void check_name(const char *text)
{
    g_assert_null(strpbrk(text, "/\\\n\r\"'<>&;|$`,=*?~#%(){}[]"));
    g_assert_true(*text != '-' && *text != ' ');
}

static void check_create(const CreateForm *form)
{
    check_name(form->machine);
    check_name(form->fallback_servers);
    g_assert_true(*form->machine != '.' && !strstr(form->machine, ".."));
    g_assert_true(form->cpus >= 0 && form->cpus <= 256);
    g_assert_true(form->memory_mib == 0 || form->memory_mib >= 32);
    g_assert_true(form->lifetime_s == 0 || form->lifetime_s >= 60);
}

static bool read_forms(const Request *request, GError **error)
{
    FormAction action;
    LoginForm login;
    CreateForm create;
    SessionForm session;
    if (!form_read_action(request, &action, error) || !form_read_login(request, &login, error) ||
        !form_read_create(request, &create, error) || !form_read_session(request, &session, error))
        return false;
    check_name(login.user);
    check_create(&create);
    check_name(session.purge);
    g_assert_true(!*session.session || token_is_well_formed(session.session));
    return true;
}

static void check_answer(const Request *request, const GError *error)
{
    g_autoptr(Response) response = response_error(request, &fuzz_settings, error, NULL);
    response_make_conditional(response, request);
    g_assert_true(g_utf8_validate_len(response->body->str, response->body->len, NULL));
    for (unsigned i = 0; i < response->headers->len; i++)
        g_assert_null(strpbrk(g_ptr_array_index(response->headers, i), "\r\n"));
    if (request_wants_json(request)) {
        g_autoptr(JsonValue) object = json_object_parse(response->body->str, response->body->len, NULL);
        g_assert_nonnull(object);
    }
}

static void check_redirect(const char *path)
{
    g_autoptr(Response) response = path ? response_redirect(path, NULL) : NULL;
    if (response)
        g_assert_true(path[0] == '/' && path[1] != '/' && path[1] != '\\' && !strpbrk(path, "\r\n\t "));
}

static void check_request(Request *request)
{
    const unsigned load_kinds = 1u << QWD_ERROR_USAGE | 1u << QWD_ERROR_METHOD | 1u << QWD_ERROR_TOO_LARGE |
                                1u << QWD_ERROR_MEDIA_TYPE |
                                1u << QWD_ERROR_UNAVAILABLE; /* the program that reads multipart/form-data */
    g_autoptr(GError) error = NULL;
    if (!request_load(request, &fuzz_settings, &error))
        check_error(error, load_kinds);
    else if (!read_forms(request, &error))
        check_error(error, 1u << QWD_ERROR_USAGE);
    if (error)
        check_answer(request, error);
    check_redirect(request_field(request, "user"));
    check_redirect(request_query_field(request, "user"));
    check_redirect(request_variable(request, REQUEST_PATH_INFO));
    request_cookie(request, "session");
    request_scheme(request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *head_end = size ? memmem(data, size, "\n\n", 2) : NULL;
    size_t head = head_end ? (size_t)(head_end - (const char *)data) : size;
    size_t body = head_end ? head + 2 : size;
    g_autofree char *text = g_strndup(size ? (const char *)data : "", head);
    g_auto(GStrv) lines = g_strsplit(text, "\n", 100);
    g_autoptr(Request) request = fuzz_open(lines, (const char *)data + body, size - body);
    check_request(request);
    return 0;
}
