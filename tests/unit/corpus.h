/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Replays the corpus of a fuzz target that the test includes. */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "paths.h"

/* Gives every file of tests/fuzz/corpus/NAME to the target. */
static inline void replay_corpus(const char *name, int (*target)(const uint8_t *data, size_t size))
{
    g_autofree char *relative = g_build_filename("tests/fuzz/corpus", name, NULL);
    g_autofree char *path = source_path(relative);
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    g_assert_nonnull(folder);
    for (const char *file; (file = g_dir_read_name(folder));) {
        g_autofree char *file_path = g_build_filename(path, file, NULL);
        g_autofree char *data = NULL;
        size_t length;
        g_test_message("%s", file);
        g_assert_true(g_file_get_contents(file_path, &data, &length, NULL));
        g_autofree char *exact = g_memdup2(data, length); /* no byte more, for the address sanitizer */
        target((const uint8_t *)exact, length);
    }
}
