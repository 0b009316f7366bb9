/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Golden files: what a test makes is compared with a file of tests/fixtures. With BLESS=1 the file is written instead.
 * A difference fails the case and is printed on standard error; the other cases still run. */
#pragma once

#include <glib.h>
#include <glib/gstdio.h>

#include "paths.h"

#define GOLDEN_DIFF_LINES_MAX 30

/* g_test_init for programs with golden files: GLib ends a program at its first failed case otherwise. */
static inline void golden_test_init(int *argc, char ***argv)
{
    static char *words[64];
    g_assert_cmpint(*argc + 2, <=, (int)G_N_ELEMENTS(words));
    for (int i = 0; i < *argc; i++)
        words[i] = (*argv)[i];
    words[(*argc)++] = (char *)"--keep-going";
    *argv = words;
    g_test_init(argc, argv, NULL);
}

static inline void golden_print(const char *diff)
{
    g_auto(GStrv) lines = g_strsplit(diff, "\n", -1);
    guint count = g_strv_length(lines);
    for (guint i = 0; i < MIN(count, GOLDEN_DIFF_LINES_MAX); i++) {
        if (*lines[i])
            g_printerr("# %s\n", lines[i]);
    }
    if (count > GOLDEN_DIFF_LINES_MAX)
        g_printerr("# ... and %u more lines\n", count - GOLDEN_DIFF_LINES_MAX);
}

static inline void golden_print_diff(const char *name, const char *path, const char *text)
{
    g_autofree char *actual = NULL, *diff = NULL;
    g_assert_true(g_close(g_file_open_tmp("qwd-golden-XXXXXX", &actual, NULL), NULL));
    g_assert_true(g_file_set_contents(actual, text, -1, NULL));
    const char *argv[] = {"diff", "-u", "--label", name, "--label", "this build", path, actual, NULL};
    if (g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &diff, NULL, NULL, NULL))
        golden_print(diff);
    g_remove(actual);
}

/* `name` is the path of the file in the source tree. */
static inline void golden_compare(const char *name, const char *text)
{
    g_autofree char *path = source_path(name), *expected = NULL;
    if (g_getenv("BLESS"))
        g_assert_true(g_file_set_contents(path, text, -1, NULL));
    if (!g_file_get_contents(path, &expected, NULL, NULL)) {
        g_test_fail_printf("There is no %s. Run `make bless` and review the new file.", name);
    } else if (!g_str_equal(expected, text)) {
        golden_print_diff(name, path, text);
        g_test_fail_printf("%s differs. Run `make bless` and review the diff of tests/fixtures.", name);
    }
}

/* Each file of the folder `name` must be one of `expected`, names of files without their folder. */
static inline void golden_check_orphans(const char *name, const char *const *expected)
{
    g_autofree char *folder = source_path(name);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    g_assert_nonnull(dir);
    for (const char *file; (file = g_dir_read_name(dir));) {
        if (!g_strv_contains(expected, file))
            g_test_fail_printf("%s/%s belongs to no case of this test. Remove it.", name, file);
    }
}
