/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "core/choices.h"
#include "core/policy.h"
#include "temp.h"

#define HOST G_MAXINT64

typedef struct {
    char *folder;
    Settings *settings;
    Machine *machine;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    (void)data;
    f->folder = temp_folder();
    g_autofree char *groups = g_strdup_printf("file_groups=%s/groups.conf", f->folder);
    f->settings = temp_settings(f->folder, groups, "form_cpu=1,2,4", "form_memory=1,4", "form_lifetime=", NULL);
    f->machine = machine_from_path("/machines/tiny.iso");
}

static void tear_down(Fixture *f, gconstpointer data)
{
    (void)data;
    machine_free(f->machine);
    settings_free(f->settings);
    folder_remove(f->folder, NULL);
    g_free(f->folder);
}

static void write_groups(Fixture *f, const char *text)
{
    g_assert_true(file_write_atomic(f->settings->file_groups, text, strlen(text), 0644, FILE_WRITE_FAST, NULL));
}

static const char *const *words(const char *text)
{
    static char **last;
    g_strfreev(last);
    last = g_strsplit(text, " ", -1);
    return (const char *const *)last;
}

static void check(Fixture *f, const char *groups, Choices expected)
{
    g_autoptr(GError) error = NULL;
    Choices found;
    Identity who = {.user = "alice", .groups = words(groups)};
    choices_read(f->settings, f->machine, &who, &found, &error);
    g_assert_no_error(error);
    g_assert_cmpint(found.cpus_max, ==, expected.cpus_max);
    g_assert_cmpint(found.memory_max_mib, ==, expected.memory_max_mib);
    g_assert_cmpint(found.lifetime_max_s, ==, expected.lifetime_max_s);
    g_assert_cmpint(found.sessions_max, ==, expected.sessions_max);
}

/* The form's lists; an empty one leaves it to the host. */
static void test_settings(Fixture *f, gconstpointer data)
{
    (void)data;
    check(f, "", (Choices){4, 4096, HOST, 0});
}

static void test_groups(Fixture *f, gconstpointer data)
{
    (void)data;
    write_groups(f, "; for courses\n[students]\ncpu = 1,2\nlifetime = 1h,2h\nsessions = 1\n"
                    "[physics]\ncpu = 16 8\nmemory = 512M\n");
    check(f, "others", (Choices){4, 4096, HOST, 0});
    check(f, "students", (Choices){2, 4096, 7200, 1});
    check(f, "physics", (Choices){16, 512, HOST, 0});
    check(f, "students physics", (Choices){16, 512, 7200, 1}); /* the most generous */
}

/* The machine's lists hold for everybody, administrators too. */
static void test_machine(Fixture *f, gconstpointer data)
{
    Choices found;
    (void)data;
    write_groups(f, "[physics]\ncpu=16\n");
    g_free(f->machine->cpu);
    f->machine->cpu = g_strdup("1,8");
    check(f, "", (Choices){4, 4096, HOST, 0});
    check(f, "physics", (Choices){8, 4096, HOST, 0});
    Identity admin = {.user = "root", .is_admin = true};
    g_assert_true(choices_read(f->settings, f->machine, &admin, &found, NULL));
    g_assert_cmpint(found.cpus_max, ==, 8);
    g_assert_cmpint(found.memory_max_mib, ==, HOST);
}

/* A machine of other groups is as good as absent. */
static void test_members(Fixture *f, gconstpointer data)
{
    static const struct {
        const char *groups;
        bool is_admin, may;
    } cases[] = {{"", false, false}, {"physic", false, false},      {"physics", false, true},
                 {"", true, true},   {"a beam line", false, false}, {"staff", false, true}};
    (void)data;
    g_free(f->machine->groups);
    f->machine->groups = g_strdup("physics, staff");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        Choices found;
        Identity who = {.user = "alice", .groups = words(cases[i].groups), .is_admin = cases[i].is_admin};
        bool may = choices_read(f->settings, f->machine, &who, &found, &error);
        g_assert_cmpint(may, ==, cases[i].may);
        if (!may)
            g_assert_error(error, QWD_ERROR, QWD_ERROR_NOT_FOUND);
    }
}

/* A name counts when it is proven, and is no part of another one; members of groups come in beside users. */
static void test_users(Fixture *f, gconstpointer data)
{
    static const char *const staff[] = {"staff", NULL};
    static const struct {
        const char *users, *groups;
        Identity who;
        bool may;
    } cases[] = {
        {"alice", "", {.user = "alice", .is_authenticated = true}, true},
        {"alice", "", {.user = "alice"}, false},
        {"alice", "", {.user = "alice", .is_local = true}, false},
        {"alice", "", {.user = "bob", .is_authenticated = true}, false},
        {"alice", "", {.user = "bob", .is_authenticated = true, .groups = staff}, false},
        {"alice", "", {.user = "", .is_authenticated = true}, false},
        {"alice,", "", {.user = "", .is_authenticated = true}, false},
        {"alice", "", {.user = "ali", .is_authenticated = true}, false},
        {"bob, alice", "", {.user = "alice", .is_authenticated = true}, true},
        {"alice", "", {.user = "root", .is_admin = true}, true},
        {"alice", "staff", {.user = "bob", .is_authenticated = true, .groups = staff}, true},
        {"staff", "", {.user = "bob", .is_authenticated = true, .groups = staff}, false},
        {"", "alice", {.user = "alice", .is_authenticated = true}, false},
        {"", "", {.user = ""}, true},
    };
    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        Choices found;
        g_free(f->machine->users);
        g_free(f->machine->groups);
        f->machine->users = g_strdup(cases[i].users);
        f->machine->groups = g_strdup(cases[i].groups);
        g_assert_cmpint(choices_include(f->machine, &cases[i].who), ==, cases[i].may);
        g_assert_cmpint(choices_read(f->settings, f->machine, &cases[i].who, &found, &error), ==, cases[i].may);
        if (!cases[i].may)
            g_assert_error(error, QWD_ERROR, QWD_ERROR_NOT_FOUND);
    }
}

static void test_check(void)
{
    g_assert_true(choices_check_text("", "copy", NULL));
    g_assert_true(choices_check_text("; none\n[students]\ncpu = 1,2\n[physics]\nsessions = 5\n", "copy", NULL));
}

/* What cannot be understood gives nobody more than was meant. */
static void test_broken(Fixture *f, gconstpointer data)
{
    static const char *const texts[] = {"[students]\ncpu = many\n", "[students]\nmemroy = 1\n", "[students]\ncpu = 0\n",
                                        "[students]\nlifetime = -1\n", "students\n"};
    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GError) error = NULL;
        Choices found;
        write_groups(f, texts[i]);
        Identity who = {.user = "alice", .groups = words("students")};
        g_assert_false(choices_read(f->settings, f->machine, &who, &found, &error));
        g_assert_error(error, QWD_ERROR, QWD_ERROR_CONFIG);
        g_assert_nonnull(strstr(error->message, "groups.conf"));
        g_assert_false(choices_check_text(texts[i], "copy", NULL));
    }
}

static void test_dependence(Fixture *f, gconstpointer data)
{
    static const char machines[] = "[tiny.iso]\ngroups = beamline\n";
    (void)data;
    write_groups(f, "[students]\ncpu=1\n");
    g_assert_true(
        file_write_atomic(f->settings->file_machines, machines, strlen(machines), 0644, FILE_WRITE_FAST, NULL));
    g_assert_true(choices_depend_on_group(f->settings, "students"));
    g_assert_true(choices_depend_on_group(f->settings, "beamline"));
    g_assert_false(choices_depend_on_group(f->settings, "others"));
}

#define ADD(path, function) g_test_add(path, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/choices/settings", test_settings);
    ADD("/choices/groups", test_groups);
    ADD("/choices/users", test_users);
    ADD("/choices/machine", test_machine);
    ADD("/choices/members", test_members);
    ADD("/choices/broken", test_broken);
    g_test_add_func("/choices/check", test_check);
    ADD("/choices/dependence", test_dependence);
    return g_test_run();
}
