/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "core/arguments.h"
#include "temp.h"

static bool parse(Arguments *arguments, const char *const *argv, GError **error)
{
    arguments_clear(arguments);
    return arguments_read(arguments, (int)g_strv_length((char **)argv), (char **)argv, error);
}

static void clear_environment(void)
{
    unsetenv("QWD_CONFIG");
    unsetenv("QWD_OVERRIDES");
}

static void test_sorting(void)
{
    clear_environment();
    g_autoptr(GError) error = NULL;
    g_auto(Arguments) arguments = {0};
    const char *argv[] = {"x",  "start",       "--accel=tcg",       "--json",    "--machine", "--unknown=1", "a.iso",
                          "--", "-enable-kvm", "--machine=b=c.iso", "machine=d", "--=x",      "--config",    NULL};
    g_assert_true(parse(&arguments, argv, &error));
    g_assert_cmpstr(arguments.settings->accel, ==, "tcg");
    g_assert_cmpstr(arguments.settings->machine, ==, "b=c.iso");
    g_autofree char *rest = g_strjoinv(" ", arguments.rest);
    g_assert_cmpstr(rest, ==, "start --json --machine --unknown=1 a.iso -- -enable-kvm machine=d --=x --config");
    arguments_clear(&arguments);
    arguments_clear(&arguments);
}

static void test_errors(void)
{
    clear_environment();
    g_autoptr(GError) error = NULL;
    g_auto(Arguments) arguments = {0};
    const char *value[] = {"x", "--accel=fast", NULL}, *file[] = {"x", "--config=/nonexistent/qwd.conf", NULL};
    g_assert_false(parse(&arguments, value, &error));
    assert_error(error, QWD_ERROR_USAGE, "accel = fast is not accepted");
    g_assert_false(parse(&arguments, file, &error));
    assert_error(error, QWD_ERROR_CONFIG, "/nonexistent/qwd.conf");
    g_setenv("QWD_CONFIG", "/nonexistent/other.conf", TRUE); /* named, so it must be there */
    const char *none[] = {"x", NULL};
    g_assert_false(parse(&arguments, none, &error));
    assert_error(error, QWD_ERROR_CONFIG, "/nonexistent/other.conf");
}

/* A program started by this one, with these variables and no arguments, has the same settings. */
static void test_handing_on(void)
{
    clear_environment();
    g_autoptr(GError) error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *file = temp_file(folder, "x.conf", "snapshot_alloc_cpu=3\naccel=kvm\n");
    g_autofree char *config = g_strdup_printf("--config=%s", file);
    g_auto(Arguments) arguments = {0};
    const char *argv[] = {"x", config, "--accel=tcg", "--machine=a.iso", NULL}, *none[] = {"x", NULL};
    g_assert_true(parse(&arguments, argv, &error));
    g_assert_true(parse(&arguments, none, &error));
    g_assert_cmpint(arguments.settings->snapshot_alloc_cpu, ==, 3);
    g_assert_cmpstr(arguments.settings->accel, ==, "tcg");
    g_assert_cmpstr(arguments.settings->machine, ==, "a.iso");
    const char *more[] = {"x", "--accel=hvf", NULL}; /* the nearest wins, and is handed on in turn */
    g_assert_true(parse(&arguments, more, &error));
    g_assert_true(parse(&arguments, none, &error));
    g_assert_cmpstr(arguments.settings->accel, ==, "hvf");
    g_assert_cmpstr(arguments.settings->machine, ==, "a.iso");
    g_assert_cmpstr(g_getenv("QWD_CONFIG"), ==, file);
    clear_environment();
}

static void test_relative_file(void)
{
    clear_environment();
    g_autoptr(GError) error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *file = temp_file(folder, "x.conf", ""), *before = g_get_current_dir();
    g_auto(Arguments) arguments = {0};
    const char *argv[] = {"x", "--config=x.conf", NULL};
    g_assert_cmpint(chdir(folder), ==, 0);
    g_assert_true(parse(&arguments, argv, &error));
    g_assert_cmpint(chdir(before), ==, 0);
    g_assert_cmpstr(g_getenv("QWD_CONFIG"), ==, file);
    clear_environment();
}

static void test_help(void)
{
    g_autofree char *help = arguments_settings_help();
    for (const SettingRow *row = settings_rows(); row->key || row->chapter; row++)
        g_assert_nonnull(strstr(help, row->key ? row->key : row->chapter));
    g_assert_true(g_utf8_validate(help, -1, NULL));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/arguments/sorting", test_sorting);
    g_test_add_func("/arguments/errors", test_errors);
    g_test_add_func("/arguments/handing-on", test_handing_on);
    g_test_add_func("/arguments/relative-file", test_relative_file);
    g_test_add_func("/arguments/help", test_help);
    return g_test_run();
}
