/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Checksums of files, and lists of them in the forms that distributions publish. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "fetch/checksum.h"
#include "temp.h"

#define A "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" /* of "abc": FIPS 180-2, B.1 */
#define B "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" /* of nothing */

static void test_file(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *path = temp_file(folder, "x", "abc");
    autofd int fd = open(path, O_RDWR | O_CLOEXEC);
    g_autofree char *sum = checksum_of_file(fd, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(sum, ==, A);
    g_assert_cmpint(ftruncate(fd, 0), ==, 0);
    g_autofree char *empty = checksum_of_file(fd, &error);
    g_assert_cmpstr(empty, ==, B);
}

static void test_form(void)
{
    g_assert_true(checksum_is_well_formed(A));
    g_assert_false(checksum_is_well_formed(""));
    g_assert_false(checksum_is_well_formed(A "0"));
    g_assert_false(checksum_is_well_formed("ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
}

static void test_lists(void)
{
    static const struct {
        const char *list, *found;
    } cases[] = {
        {B "  other.iso\n" A "  x.iso\n", A},
        {B " *other.iso\r\n" A " *x.iso\r\n", A},
        {A "  ./x.iso\n", A},
        {"SHA256 (other.iso) = " B "\nSHA256 (x.iso) = " A "\n", A},
        {A "\n", A},
        {"BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD  x.iso", A},
        {"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n" A "  x.iso\n", A},
        {B "  other.iso\n", NULL},
        {A "  y/x.iso\n", NULL},
        {A "  xx.iso\n", NULL},
        {A " x.iso\n", NULL},
        {"short  x.iso\n", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *found = checksum_find(cases[i].list, "x.iso");
        g_assert_cmpstr(found, ==, cases[i].found);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/checksum/file", test_file);
    g_test_add_func("/checksum/form", test_form);
    g_test_add_func("/checksum/lists", test_lists);
    return g_test_run();
}
