/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The cloud-init seed, read by a program that knows ISO 9660. */
#include <string.h>

#include "base/process.h"
#include "temp.h"
#include "vm/seed.h"

#define DEADLINE_MS 60000

static char *output_of(const char *const *argv)
{
    g_autoptr(GError) error = NULL;
    g_auto(ProcessResult) result = {0};
    process_run_checked(argv, DEADLINE_MS, &result, &error);
    g_assert_no_error(error);
    return g_strconcat(result.output, result.errors, NULL);
}

static void test_seed(const void *data)
{
    gsize length = GPOINTER_TO_SIZE(data);
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *image = g_build_filename(folder, "seed.iso", NULL), *out = g_build_filename(folder, "out", NULL);
    g_autofree char *big = g_strnfill(length, 'x');
    const SeedFile files[] = {{"meta-data", "instance-id: x\n"}, {"user-data", big}};
    g_autoptr(GByteArray) bytes = seed_image(files, 2);
    g_assert_cmpint(bytes->len % 2048, ==, 0);
    g_assert_true(g_file_set_contents(image, (const char *)bytes->data, bytes->len, NULL));

    const char *label[] = {"blkid", "-p", "-o", "export", image, NULL};
    g_autofree char *words = output_of(label);
    g_assert_nonnull(strstr(words, "LABEL=cidata\n"));
    g_assert_nonnull(strstr(words, "TYPE=iso9660\n"));
    const char *extract[] = {"xorriso", "-no_rc", "-indev", image, "-osirrox", "on", "-extract", "/", out, NULL};
    g_free(output_of(extract));
    for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *upper = g_ascii_strup(files[i].name, -1); /* Linux shows it in lower case: scripts.test.mjs */
        g_autofree char *path = g_build_filename(out, upper, NULL), *content = NULL;
        g_assert_true(g_file_get_contents(path, &content, NULL, NULL));
        g_assert_cmpstr(content, ==, files[i].content);
    }
    g_assert_cmpint(chmod(out, 0700), ==, 0); /* the folder is read-only in the image */
}

int main(int argc, char **argv)
{
    static const gsize lengths[] = {0, 1, 2047, 2048, 2049, 100000};
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_autofree char *name = g_strdup_printf("/seed/%zu", lengths[i]);
        g_test_add_data_func(name, GSIZE_TO_POINTER(lengths[i]), test_seed);
    }
    return g_test_run();
}
