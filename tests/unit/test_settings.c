/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "core/settings.h"

static Settings *load_text(const char *text, const char *const *overrides, GError **error)
{
    g_autofree char *folder = g_dir_make_tmp("qwd-settings-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "test.conf", NULL);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    Settings *settings = settings_load(path, true, overrides, error);
    remove(path);
    remove(folder);
    return settings;
}

static void test_defaults(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Settings) settings = settings_load("/nonexistent/qwd.conf", false, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(settings->dir_machines, ==, "/var/lib/qemu-web-desktop/machines");
    g_assert_cmpint(settings->snapshot_lifetime, ==, 4 * 86400);
    g_assert_cmpint(settings->snapshot_alloc_mem, ==, 4096);
    g_assert_cmpint(g_strv_length(settings->form_cpu), ==, 4);
}

static void test_values(void)
{
    g_autoptr(GError) error = NULL;
    const char *overrides[] = {"snapshot_alloc_cpu=3", "accel=tcg", NULL};
    g_autoptr(Settings) settings =
        load_text("# comment\n\n dir_service = /srv/x \nsnapshot_lifetime=8h\n"
                  "snapshot_alloc_mem = 512M\nsnapshot_use_master = on\nsnapshot_alloc_cpu=2\n",
                  overrides, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(settings->dir_snapshots, ==, "/srv/x/snapshots");
    g_assert_cmpint(settings->snapshot_lifetime, ==, 8 * 3600);
    g_assert_cmpint(settings->snapshot_alloc_mem, ==, 512);
    g_assert_true(settings->snapshot_use_master);
    g_assert_cmpint(settings->snapshot_alloc_cpu, ==, 3);
    g_assert_cmpstr(settings->accel, ==, "tcg");
}

static void test_errors(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"no_such_key = 1\n", "line 1: There is no setting \"no_such_key\""},
        {"\nsnapshot_alloc_cpu = 0\n",
         "line 2: snapshot_alloc_cpu = 0 is not accepted. Write a whole number from 1 to 256."},
        {"snapshot_alloc_cpu = -1\n", "from 1 to 256"},
        {"snapshot_alloc_cpu = 2 cores\n", "from 1 to 256"},
        {"snapshot_lifetime = 5195y\n", "a duration such as"},
        {"snapshot_lifetime = 999999999999\n", "a duration such as"},
        {"accel = fast\n", "one of: auto kvm tcg hvf"},
        {"service_open = maybe\n", "yes or no"},
        {"just words\n", "not of the form key = value"},
        {"dir_machines = {dir_snapshots}/x\n", "not the key of an earlier path"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(load_text(cases[i].text, NULL, &error));
        g_assert_error(error, QWD_ERROR, QWD_ERROR_CONFIG);
        g_assert_nonnull(strstr(error->message, cases[i].message));
        g_assert_nonnull(strstr(error->message, "test.conf"));
    }
    g_autoptr(GError) error = NULL;
    const char *overrides[] = {"nonsense=1", NULL};
    g_assert_null(load_text("", overrides, &error));
    g_assert_error(error, QWD_ERROR, QWD_ERROR_USAGE);
}

/* What a setting is after key=text, as text. Free with g_free. */
static char *value_after(const SettingRow *row, const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *override = g_strdup_printf("%s=%s", row->key, text);
    const char *overrides[] = {override, NULL};
    g_autoptr(Settings) settings = settings_load("/nonexistent/qwd.conf", false, overrides, &error);
    g_assert_no_error(error);
    return settings_value_text(settings, row);
}

static const char *number_suffix(const SettingRow *row)
{
    return row->kind == SETTING_DURATION ? "s" : row->kind == SETTING_SIZE ? "M" : "";
}

/* Values that the row accepts, as settings_value_text writes them. Free with g_strfreev. */
static char **accepted_values(const SettingRow *row)
{
    char **values = g_new0(char *, 3);
    switch (row->kind) {
    case SETTING_CHOICE:
        g_free(values);
        return g_strsplit(row->allowed, " ", -1);
    case SETTING_BOOL:
        values[0] = g_strdup("yes");
        values[1] = g_strdup("no");
        return values;
    case SETTING_PATH:
    case SETTING_TEXT:
    case SETTING_LIST:
        values[0] = g_strdup("something");
        values[1] = g_strdup("else");
        return values;
    default:
        values[0] = g_strdup_printf("%" G_GINT64_FORMAT "%s", row->min, number_suffix(row));
        values[1] = g_strdup_printf("%" G_GINT64_FORMAT "%s", row->max, number_suffix(row));
        return values;
    }
}

/* Each value, written as text, is read back: the default, and others, wherever the default stands among them. */
static void test_round_trip(void)
{
    g_autoptr(Settings) settings = settings_load("/nonexistent/qwd.conf", false, NULL, NULL);
    for (const SettingRow *row = settings_rows(); row->key || row->chapter; row++) {
        if (!row->key)
            continue;
        bool has_other = false;
        g_autofree char *by_default = settings_value_text(settings, row), *again = value_after(row, by_default);
        g_auto(GStrv) values = accepted_values(row);
        g_assert_cmpstr(again, ==, by_default);
        for (char **value = values; *value; value++) {
            g_autofree char *text = value_after(row, *value);
            g_assert_cmpstr(text, ==, *value);
            has_other = has_other || !g_str_equal(text, by_default);
        }
        if (!has_other)
            g_test_fail_printf("settings.def: %s accepts nothing but its default. Add a value, or remove the row.",
                               row->key);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/settings/defaults", test_defaults);
    g_test_add_func("/settings/values", test_values);
    g_test_add_func("/settings/errors", test_errors);
    g_test_add_func("/settings/round-trip", test_round_trip);
    return g_test_run();
}
