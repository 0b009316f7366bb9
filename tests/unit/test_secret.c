/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <string.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/secret.h"

static Secret *read_text(const char *bytes, size_t length, mode_t mode, GError **error)
{
    g_autofree char *folder = g_dir_make_tmp("qwd-secret-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "password", NULL);
    g_assert_true(g_file_set_contents(path, bytes, (gssize)length, NULL));
    g_assert_cmpint(chmod(path, mode), ==, 0);
    Secret *secret = secret_read_file(path, error);
    remove(path);
    remove(folder);
    return secret;
}

static void test_good(void)
{
    static const struct {
        const char *text;
        mode_t mode;
        const char *expected;
    } cases[] = {
        {"secret", 0600, "secret"},         {"secret\n", 0640, "secret"},
        {"secret\r\n", 0400, "secret"},     {" two words \n", 0600, " two words "},
        {"secret\nmore\n", 0600, "secret"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Secret) secret = read_text(cases[i].text, strlen(cases[i].text), cases[i].mode, &error);
        g_assert_no_error(error);
        g_assert_cmpstr(secret, ==, cases[i].expected);
    }
}

static void test_refused(void)
{
    g_autofree char *longest = g_strnfill(SECRET_MAX_BYTES, 'x'), *longer = g_strnfill(SECRET_MAX_BYTES + 1, 'x');
    const struct {
        const char *bytes;
        size_t length;
        mode_t mode;
        const char *message; /* NULL: fine */
    } cases[] = {
        {"secret", 6, 0644, "chmod o="},
        {"secret", 6, 0602, "chmod o="},
        {"", 0, 0600, "one line"},
        {"\n", 1, 0600, "one line"},
        {"\nsecret\n", 8, 0600, "one line"},
        {"sec\0ret", 7, 0600, "one line"},
        {longest, SECRET_MAX_BYTES, 0600, NULL},
        {longer, SECRET_MAX_BYTES + 1, 0600, "one line"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Secret) secret = read_text(cases[i].bytes, cases[i].length, cases[i].mode, &error);
        g_assert_true((secret != NULL) == (cases[i].message == NULL));
        if (!cases[i].message)
            continue;
        g_assert_error(error, QWD_ERROR, QWD_ERROR_CONFIG);
        g_assert_nonnull(strstr(error->message, cases[i].message));
        g_assert_null(strstr(error->message, "secret\n"));
    }
}

static void test_no_file(void)
{
    static const char *const paths[] = {"/nonexistent/password", "/dev/null", "/tmp"};
    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(secret_read_file(paths[i], &error));
        g_assert_error(error, QWD_ERROR, QWD_ERROR_CONFIG);
        g_assert_nonnull(strstr(error->message, paths[i]));
    }
    secret_free(NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/secret/good", test_good);
    g_test_add_func("/secret/refused", test_refused);
    g_test_add_func("/secret/no-file", test_no_file);
    return g_test_run();
}
