/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <errno.h>
#include <stdlib.h>

#include "base/error.h"

/* What scripts and clients rely on: HTTP status and exit code of each kind. */
static void test_traits(void)
{
    static const struct {
        QwdErrorKind kind;
        const char *name;
        int http_status, exit_code;
    } expected[] = {
        {QWD_ERROR_USAGE, "usage", 400, 2},
        {QWD_ERROR_CONFIG, "config", 500, 2},
        {QWD_ERROR_LOGIN, "login", 401, 4},
        {QWD_ERROR_DENIED, "denied", 403, 4},
        {QWD_ERROR_NOT_FOUND, "not-found", 404, 3},
        {QWD_ERROR_METHOD, "method", 405, 2},
        {QWD_ERROR_CONFLICT, "conflict", 409, 4},
        {QWD_ERROR_TOO_LARGE, "too-large", 413, 2},
        {QWD_ERROR_MEDIA_TYPE, "media-type", 415, 2},
        {QWD_ERROR_LIMIT, "limit", 429, 5},
        {QWD_ERROR_ATTEMPTS, "too-many-attempts", 429, 5},
        {QWD_ERROR_BUSY, "busy", 503, 5},
        {QWD_ERROR_UNAVAILABLE, "unavailable", 503, 5},
        {QWD_ERROR_TIMEOUT, "timeout", 503, 5},
        {QWD_ERROR_CANCELLED, "cancelled", 409, 1},
        {QWD_ERROR_INTERNAL, "internal", 500, 1},
    };
    G_STATIC_ASSERT(G_N_ELEMENTS(expected) == QWD_ERROR_KINDS);
    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
        g_autoptr(GError) error = g_error_new(QWD_ERROR, (int)expected[i].kind, "x");
        const QwdErrorTraits *traits = qwd_error_traits(error);
        g_assert_cmpstr(traits->name, ==, expected[i].name);
        g_assert_cmpint(traits->http_status, ==, expected[i].http_status);
        g_assert_cmpint(traits->exit_code, ==, expected[i].exit_code);
        g_assert_cmpint(traits->log_level, !=, 0);
    }
}

static void test_foreign(void)
{
    g_autoptr(GError) foreign = g_error_new(G_FILE_ERROR, QWD_ERROR_USAGE, "x");
    g_autoptr(GError) unknown = g_error_new(QWD_ERROR, QWD_ERROR_KINDS, "x");
    g_autoptr(GError) negative = g_error_new(QWD_ERROR, -1, "x");
    g_assert_cmpstr(qwd_error_traits(foreign)->name, ==, "internal");
    g_assert_cmpstr(qwd_error_traits(unknown)->name, ==, "internal");
    g_assert_cmpstr(qwd_error_traits(negative)->name, ==, "internal");
}

static void test_messages(void)
{
    g_autoptr(GError) error = NULL;
    g_assert_false(qwd_error_fail(&error, QWD_ERROR_LIMIT, "%s %d %%s", "at most", 3));
    g_assert_error(error, QWD_ERROR, QWD_ERROR_LIMIT);
    g_assert_cmpstr(error->message, ==, "at most 3 %s");
    g_clear_error(&error);
    g_assert_false(qwd_error_errno(&error, ENOENT, "Cannot open %s", "/x"));
    g_assert_error(error, QWD_ERROR, QWD_ERROR_INTERNAL);
    g_assert_cmpstr(error->message, ==, "Cannot open /x: No such file or directory");
    g_clear_error(&error);
    for (const int *full = (const int[]){ENOSPC, EDQUOT, EROFS, 0}; *full; full++) {
        g_assert_false(qwd_error_errno(&error, *full, "Cannot write"));
        g_assert_error(error, QWD_ERROR, QWD_ERROR_UNAVAILABLE);
        g_clear_error(&error);
    }
    g_assert_false(qwd_error_fail(NULL, QWD_ERROR_LIMIT, "nobody listens"));
}

int main(int argc, char **argv)
{
    setenv("LC_ALL", "C.UTF-8", 1);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/error/traits", test_traits);
    g_test_add_func("/error/foreign", test_foreign);
    g_test_add_func("/error/messages", test_messages);
    return g_test_run();
}
