/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"
#include "core/machine.h"
#include "temp.h"

static GPtrArray *load(const char *folder, const char *text, GError **error)
{
    g_autoptr(Settings) settings = temp_settings(folder, NULL);
    g_free(temp_file(folder, "machines.conf", text));
    return machines_load(settings, error);
}

static void test_names(void)
{
    static const char *const good[] = {
        "tiny.iso", "a", "debian-12.6.0-amd64.qcow2", "a b.iso", "me@home:1.raw", "firmware+nonfree.iso", "_x"};
    static const char *const bad[] = {
        "",    ".",    "..",  ".hidden", "a/b",  "/etc/passwd", "../x",     "-enable-kvm", " x",   "a\nb", "a,b",
        "a=b", "a\\b", "a%b", "a;b",     "$(x)", "`x`",         "\xc3\xa9", "\xff",        "a\tb", "a\"b"};
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++)
        g_assert_true(machine_name_is_valid(good[i]));
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_false(machine_name_is_valid(bad[i]));
    g_autofree char *longest = g_strnfill(200, 'x'), *longer = g_strnfill(201, 'x');
    g_assert_true(machine_name_is_valid(longest));
    g_assert_false(machine_name_is_valid(longer));
}

static void test_defaults(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(GPtrArray) machines = load(folder, "[a.iso]\n", &error);
    g_assert_no_error(error);
    const Machine *machine = machines_find(machines, "a.iso", &error);
    g_autofree char *path = g_build_filename(folder, "machines", "a.iso", NULL);
    g_assert_cmpstr(machine->path, ==, path);
    g_assert_cmpstr(machine->disk, ==, "virtio");
    g_assert_cmpstr(machine->os, ==, "linux");
    g_assert_cmpstr(machine->arch, ==, "");
    g_assert_false(machine_is_present(machine));
    g_assert_null(machines_find(machines, "b.iso", &error));
    assert_error(error, QWD_ERROR_NOT_FOUND, "no machine \"b.iso\"");
}

static void test_attributes(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(GPtrArray) machines = load(folder,
                                         "# comment\n; the original's comment\n  ; and indented\n"
                                         "[w.vhdx]\r\ndescription = Windows; with a \"name\" \xc3\xa9 <b>\r\n"
                                         "url=https://example.org/?a=b;c\n arch = aarch64 \nfirmware=uefi\ndisk=sata\n"
                                         "display=VGA\naccel=kvm\nos=windows\n\n[l.raw]\narch=\n",
                                         &error);
    g_assert_no_error(error);
    g_assert_cmpint(machines->len, ==, 2);
    const Machine *machine = machines->pdata[0];
    g_assert_cmpstr(machine->description, ==, "Windows; with a \"name\" \xc3\xa9 <b>");
    g_assert_cmpstr(machine->url, ==, "https://example.org/?a=b;c");
    g_assert_cmpstr(machine->arch, ==, "aarch64");
    g_assert_cmpstr(machine->firmware, ==, "uefi");
    g_assert_cmpstr(machine->disk, ==, "sata");
    g_assert_cmpstr(machine->display, ==, "VGA");
    g_assert_cmpstr(machine->accel, ==, "kvm");
    g_assert_cmpstr(machine->os, ==, "windows");
    g_assert_cmpstr(((const Machine *)machines->pdata[1])->name, ==, "l.raw");
}

static void test_errors(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"[a.iso]\ncolour = red\n", "[a.iso] has an unknown attribute \"colour\"."},
        {"[a.iso]\narch = z80\n", "[a.iso] arch = z80 is not accepted. Write one of: x86_64 aarch64."},
        {"[a.iso]\ndisk = virtio,file=/etc/passwd\n", "disk = virtio,file=/etc/passwd is not accepted"},
        {"[a.iso]\ndisplay = VGA,x\n", "display = VGA,x is not accepted"},
        {"[../../etc/passwd]\n", "is not the name of a file in"},
        {"[.hidden]\n", "is not the name of a file in"},
        {"no section = 1\n", "machines.conf"},
        {"[a.iso\n", "machines.conf"},
        {"[a.iso]\njust words\n", "machines.conf"},
        {"[a.iso]\ndescription = caf\xe9\n", "not UTF-8"},
    };
    g_autoptr(TempFolder) folder = temp_folder();
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(load(folder, cases[i].text, &error));
        g_assert_nonnull(strstr(error->message, "machines.conf"));
        assert_error(error, QWD_ERROR_CONFIG, cases[i].message);
    }
}

static void test_absent(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(Settings) settings = temp_settings(folder, NULL);
    g_autoptr(GPtrArray) none = machines_load(settings, &error);
    g_assert_no_error(error);
    g_assert_cmpint(none->len, ==, 0);
    g_autoptr(GPtrArray) empty = load(folder, "", &error);
    g_assert_no_error(error);
    g_assert_cmpint(empty->len, ==, 0);
}

/* Files beside it come after it; a later entry replaces an earlier one, in its place. */
static void test_more_files(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *more = g_build_filename(folder, "config.d", NULL);
    g_assert_cmpint(g_mkdir(more, 0700), ==, 0);
    g_free(temp_file(more, "2.ini", "[c.iso]\n[a.iso]\ndescription=second\n"));
    g_free(temp_file(more, "1.ini", "[a.iso]\ndescription=first\nos=other\n"));
    g_free(temp_file(more, "3.ini~", "broken"));
    g_autoptr(GPtrArray) machines = load(folder, "[a.iso]\n[b.iso]\n", &error);
    g_assert_no_error(error);
    g_assert_cmpint(machines->len, ==, 3);
    const Machine *first = machines->pdata[0];
    g_assert_cmpstr(first->name, ==, "a.iso");
    g_assert_cmpstr(first->description, ==, "second");
    g_assert_cmpstr(first->os, ==, "linux");
    g_free(temp_file(more, "9.ini", "[d.iso]\nx=y\n"));
    g_assert_null(load(folder, "", &error));
    assert_error(error, QWD_ERROR_CONFIG, "config.d/9.ini: [d.iso]");
}

static void test_from_path(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *path = temp_file(folder, "x.raw", "");
    g_autoptr(Machine) machine = machine_from_path(path);
    g_assert_cmpstr(machine->name, ==, "x.raw");
    g_assert_cmpstr(machine->path, ==, path);
    g_assert_cmpstr(machine->disk, ==, "virtio");
    g_assert_true(machine_is_present(machine));
    machine_free(NULL);
}

/* The table that documents are made from is whole. */
static void test_table(void)
{
    for (const MachineAttribute *attribute = machine_attributes(); attribute->key; attribute++) {
        g_auto(GStrv) words = g_strsplit(attribute->allowed, " ", -1);
        g_assert_true(strlen(attribute->help) > 10);
        g_assert_true(!*attribute->allowed || !*attribute->default_text ||
                      g_strv_contains((const char *const *)words, attribute->default_text));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/machine/names", test_names);
    g_test_add_func("/machine/defaults", test_defaults);
    g_test_add_func("/machine/attributes", test_attributes);
    g_test_add_func("/machine/errors", test_errors);
    g_test_add_func("/machine/absent", test_absent);
    g_test_add_func("/machine/more-files", test_more_files);
    g_test_add_func("/machine/from-path", test_from_path);
    g_test_add_func("/machine/table", test_table);
    return g_test_run();
}
