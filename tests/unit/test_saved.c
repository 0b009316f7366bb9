/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Machines that users have saved: their names, and their entries among the others. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "core/entries.h"
#include "core/inventory.h"
#include "core/machine.h"
#include "core/saved.h"
#include "temp.h"

static void test_names(void)
{
    static const struct {
        const char *user, *name, *machine;
    } rows[] = {
        {"alice", "course", "alice:course.qcow2"},
        {"alice", "course.qcow2", "alice:course.qcow2"},
        {"me@example.org", "a-b_c.d", "me@example.org:a-b_c.d.qcow2"},
        {"al:ice", "x", "al+3Aice:x.qcow2"},
        {"al+3Aice", "x", "al+2B3Aice:x.qcow2"},
        {"al%3Aice", "x", "al+253Aice:x.qcow2"},
        {"me+tag", "x", "me+2Btag:x.qcow2"},
        {"-me", "x", "+2Dme:x.qcow2"},
        {".", "x", "+2E:x.qcow2"},
        {"../etc", "x", "+2E.+2Fetc:x.qcow2"},
        {"a b", "-x", "a+20b:-x.qcow2"},
        {"caf\xc3\xa9", "x", "caf+C3+A9:x.qcow2"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *machine = saved_name(rows[i].user, rows[i].name, NULL);
        g_assert_cmpstr(machine, ==, rows[i].machine);
        g_assert_true(machine_name_is_valid(machine));
    }
}

static void test_no_names(void)
{
    static const char *const names[] = {"", "a b", "a/b", "..//", "a:b", "a\nb", "a,b", "a]b", "\xc3\xa9"};
    g_autofree char *longest = g_strnfill(60, 'x'), *longer = g_strnfill(61, 'x');
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        GError *error = NULL;
        g_assert_null(saved_name("alice", names[i], &error));
        assert_error(error, QWD_ERROR_USAGE, "no name for a machine");
    }
    g_autofree char *good = saved_name("alice", longest, NULL), *bad = saved_name("alice", longer, NULL);
    g_assert_nonnull(good);
    g_assert_null(bad);
    g_assert_null(saved_name("", "x", NULL));
}

static const char *description_of(const GPtrArray *machines, const char *name)
{
    const Machine *machine = machines_find(machines, name, NULL);
    return machine ? machine->description : NULL;
}

/* What is broken, or names another machine than its own, is passed over; administrators have the last word. */
static void test_entries(void)
{
    static const struct {
        const char *file, *text;
    } entries[] = {
        {"alice:a.qcow2", "[alice:a.qcow2]\ndescription=A\nusers=alice\n"},
        {"alice:b.qcow2", "[alice:b.qcow2]\ndescription=B\n"},
        {"alice:broken.qcow2", "[alice:broken.qcow2\n"},
        {"alice:two.qcow2", "[alice:two.qcow2]\n[debian.qcow2]\n"},
        {"alice:other.qcow2", "[base.qcow2]\ndescription=Taken\n"},
        {"alice:free.qcow2", "[free.qcow2]\ndescription=Taken\n"},
        {"al+2Bice:c.qcow2", "[al+2Bice:c.qcow2]\ndescription=C\n"},
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(Settings) settings = temp_settings(folder, NULL);
    g_free(
        temp_file(folder, "machines.conf", "[base.qcow2]\ndescription=Base\n[alice:b.qcow2]\ndescription=For all\n"));
    g_assert_cmpint(saved_count(settings, "alice"), ==, 0);
    g_assert_cmpint(g_mkdir_with_parents(settings->dir_machines, 0755), ==, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(entries); i++)
        g_assert_true(saved_write(settings, entries[i].file, entries[i].text, NULL));
    g_autoptr(GPtrArray) machines = machines_load(settings, &error);
    g_assert_no_error(error);
    g_assert_cmpint(machines->len, ==, 4);
    g_assert_cmpstr(description_of(machines, "base.qcow2"), ==, "Base");
    g_assert_cmpstr(description_of(machines, "alice:a.qcow2"), ==, "A");
    g_assert_cmpstr(description_of(machines, "alice:b.qcow2"), ==, "For all");
    g_assert_cmpstr(description_of(machines, "al+2Bice:c.qcow2"), ==, "C");
    g_assert_cmpint(saved_count(settings, "alice"), ==, 6);
    g_assert_cmpint(saved_count(settings, "al+ice"), ==, 1);
    g_assert_cmpint(saved_count(settings, "ali"), ==, 0);
}

static EntryState state_of(const Settings *settings, const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) inventory = inventory_load(settings, &error);
    g_assert_no_error(error);
    const InventoryItem *item = inventory_find(inventory, name);
    return item ? item->entry : ENTRY_NONE;
}

/* In its own file, which says for whom it is; a broken one gets no other beside it, which would be for everybody. */
static void test_disable_and_enable(void)
{
    static const char name[] = "alice:a.qcow2", before[] = "[alice:a.qcow2]\ndescription=A\nmemory=1G\nusers=alice\n";
    GError *error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(Settings) settings = temp_settings(folder, NULL);
    g_autofree char *path = saved_path(settings, name), *off = NULL, *on = NULL, *again = NULL, *none = NULL;
    g_assert_cmpint(g_mkdir_with_parents(settings->dir_machines, 0755), ==, 0);
    g_assert_true(saved_write(settings, name, before, NULL));
    g_assert_true(machines_disable(settings, name, &off, NULL));
    g_assert_cmpstr(off, ==, path);
    g_assert_cmpint(state_of(settings, name), ==, ENTRY_DISABLED);
    g_assert_true(machines_enable(settings, &(MachineEntry){.name = name}, &on, NULL));
    g_assert_cmpstr(on, ==, path);
    g_autofree char *text = entries_read(settings, path, NULL);
    g_assert_cmpstr(text, ==, before);
    g_assert_true(machines_enable(settings, &(MachineEntry){.name = name, .description = "B"}, &again, NULL));
    g_autofree char *changed = entries_read(settings, path, NULL);
    g_assert_cmpstr(changed, ==, "[alice:a.qcow2]\ndescription=B\nmemory=1G\nusers=alice\n");
    g_assert_true(saved_write(settings, name, "[alice:a.qcow2\n", NULL));
    g_assert_false(machines_enable(settings, &(MachineEntry){.name = name}, &none, &error));
    assert_error(error, QWD_ERROR_CONFIG, "has no entry for it");
    g_assert_true(saved_write(settings, name, "[alice:a.qcow2]\ncolour=red\n", NULL));
    g_assert_false(machines_enable(settings, &(MachineEntry){.name = name}, &none, &error));
    assert_error(error, QWD_ERROR_CONFIG, "line 2");
    g_assert_cmpint(state_of(settings, name), ==, ENTRY_NONE);
}

/* What administrators have written of it counts. */
static void test_disable_both(void)
{
    static const char name[] = "alice:a.qcow2";
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(Settings) settings = temp_settings(folder, NULL);
    g_autofree char *path = temp_file(folder, "machines.conf", "[alice:a.qcow2]\ngroups=all\n"), *file = NULL;
    g_assert_cmpint(g_mkdir_with_parents(settings->dir_machines, 0755), ==, 0);
    g_assert_true(saved_write(settings, name, "[alice:a.qcow2]\nusers=alice\n", NULL));
    g_assert_true(machines_disable(settings, name, &file, NULL));
    g_assert_cmpint(state_of(settings, name), ==, ENTRY_DISABLED);
    g_clear_pointer(&file, g_free);
    g_assert_true(machines_enable(settings, &(MachineEntry){.name = name}, &file, NULL));
    g_assert_cmpstr(file, ==, path);
}

static int mode_of(const char *path)
{
    struct stat st;
    g_assert_cmpint(stat(path, &st), ==, 0);
    return st.st_mode & 0777;
}

/* What earlier versions left open is closed, and what administrators have linked or written is not. */
static void test_close(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(Settings) settings = temp_settings(folder, NULL);
    g_autofree char *entries = g_build_filename(settings->dir_machines, "saved.d", NULL);
    g_assert_cmpint(g_mkdir_with_parents(settings->dir_machines, 0755), ==, 0);
    g_assert_cmpuint(saved_close(settings), ==, 0);
    g_autofree char *entry = saved_path(settings, "alice:a.qcow2");
    g_autofree char *image = temp_file(settings->dir_machines, "alice:a.qcow2", "x");
    g_autofree char *other = temp_file(settings->dir_machines, "debian.qcow2", "x");
    g_autofree char *link = g_build_filename(settings->dir_machines, "alice:b.qcow2", NULL);
    g_assert_cmpint(symlink(other, link), ==, 0);
    g_assert_true(saved_write(settings, "alice:a.qcow2", "[alice:a.qcow2]\n", NULL));
    g_assert_true(saved_write(settings, "alice:b.qcow2", "[alice:b.qcow2]\n", NULL));
    g_assert_cmpint(mode_of(entries), ==, 0700);
    g_assert_cmpint(mode_of(entry), ==, 0600);
    g_assert_true(chmod(entries, 0755) == 0 && chmod(entry, 0644) == 0 && chmod(image, 0644) == 0);
    g_assert_true(chmod(other, 0644) == 0);
    g_assert_cmpuint(saved_close(settings), ==, 3);
    g_assert_cmpint(mode_of(entries), ==, 0700);
    g_assert_cmpint(mode_of(entry), ==, 0600);
    g_assert_cmpint(mode_of(image), ==, 0600);
    g_assert_cmpint(mode_of(other), ==, 0644);
    g_assert_cmpuint(saved_close(settings), ==, 0);
    g_assert_cmpint(chmod(entries, 0755), ==, 0);
    g_assert_true(saved_write(settings, "alice:c.qcow2", "[alice:c.qcow2]\n", NULL));
    g_assert_cmpint(mode_of(entries), ==, 0700);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/saved/names", test_names);
    g_test_add_func("/saved/no-names", test_no_names);
    g_test_add_func("/saved/entries", test_entries);
    g_test_add_func("/saved/disable-and-enable", test_disable_and_enable);
    g_test_add_func("/saved/disable-both", test_disable_both);
    g_test_add_func("/saved/close", test_close);
    return g_test_run();
}
