/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What would refuse sessions is found in settings and tables before one starts. */
#include <string.h>

#include "app/troubles.h"
#include "temp.h"

/* All that is wrong, a line each, with the table in front where it stands in one. */
static char *troubles_of(const char *folder, const char *override)
{
    g_autofree char *scripts = g_strdup_printf("file_scripts=%s/scripts.conf", folder);
    g_autofree char *folders = g_strdup_printf("file_folders=%s/folders.conf", folder);
    g_autofree char *groups = g_strdup_printf("file_groups=%s/groups.conf", folder);
    g_autoptr(Settings) settings = temp_settings(folder, scripts, folders, groups, override, NULL);
    g_autoptr(GPtrArray) troubles = troubles_find(settings);
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < troubles->len; i++) {
        const Trouble *trouble = troubles->pdata[i];
        g_string_append_printf(text, "%s|%s\n", trouble->table ? trouble->table : "", trouble->text);
    }
    return g_string_free(text, FALSE);
}

static void test_settings(void)
{
    static const struct {
        const char *override, *words; /* NULL: accepted */
    } cases[] = {
        {"qemu_exec_options=-smbios type=1", NULL},
        {"qemu_exec_options=-vnc :1", "|qemu_exec_options: -vnc is refused."},
        {"gpu_blacklist=10de:1eb8,01:00.0", NULL},
        {"gpu_blacklist=nvidia", "|gpu_blacklist: \"nvidia\" is neither"},
        {"form_cpu=1,2,4", NULL},
        {"form_cpu=1,many", "|form_cpu: cpu = 1,many is no list"},
        {"form_lifetime=a while", "|form_lifetime: "},
        {"config_script=exec:touch /x", NULL},
        {"config_script=touch /x", "|[config_script] script: write exec:"},
        {"config_script=qemu:-smbios type=1,serial=@SESSION_NAME@", NULL},
        {"config_script=qemu:-smbios 'type=1", "|qemu:-smbios 'type=1: "},
        {"file_mount_script=mount-folders.sh", "|[folders] script: write exec:"},
        {"file_mount_script=", NULL},
        {"dir_mounts=/srv/data:rw,b=/srv/c", NULL},
        {"dir_mounts=data:rw", "|dir_mounts: The folder data needs a path"},
        {"dir_mounts=/a/x,/b/x", "|dir_mounts: Two folders have the name x"},
    };
    g_autoptr(TempFolder) folder = temp_folder();
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *found = troubles_of(folder, cases[i].override);
        g_test_message("%s: %s", cases[i].override, found);
        if (cases[i].words)
            g_assert_true(g_str_has_prefix(found, cases[i].words));
        else
            g_assert_cmpstr(found, ==, "");
    }
}

static void test_tables(void)
{
    static const struct {
        const char *table, *text, *override, *words; /* NULL: accepted */
    } cases[] = {
        {"scripts", "[a]\nscript = exec:true\n[b]\nscript = /x\nuser = alice\n", "config_script=exec:true", NULL},
        {"scripts", "[a]\nscript = true\n", NULL, "[a] script: write exec:"},
        {"scripts", "[a]\nscript = true\nuser = alice\n", NULL, "[a] script: write exec:"},
        {"scripts", "[a]\nuser = alice\n", NULL, "[a] script: write exec:"},
        {"scripts", "[a]\nscript = qemu:'\nuser = alice\n", NULL, "qemu:': "},
        {"scripts", "[a]\nscripts = exec:true\n", NULL, "unknown key \"scripts\""},
        {"scripts", "[a\n", NULL, "scripts.conf"},
        {"folders", "[a]\npath = /a\n[b]\npath = /b\nwrite = yes\ngroup = x\n", "dir_mounts=/c", NULL},
        {"folders", "[a]\npath = /a\nuser = alice\n[b]\npath = a\nuser = bob\n", NULL, "The folder b needs a path"},
        {"folders", "[a]\npath = /a\nwrite = maybe\nuser = bob\n", NULL, "Write yes or no"},
        {"folders", "[c]\npath = /a\nuser = bob\n", "dir_mounts=/c", "Two folders have the name c"},
        {"folders", "[personal]\npath = /a\nuser = bob\n", "dir_users=/u", "Two folders have the name personal"},
        {"groups", "[a]\ncpu = 1,2\n", NULL, NULL},
        {"groups", "[a]\ncpu = 1\n[b]\ncpu = many\n", NULL, "[b]: cpu = many is no list"},
        {"groups", "[a]\ncpus = 1\n", NULL, "unknown key \"cpus\""},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(TempFolder) folder = temp_folder();
        g_autofree char *name = g_strconcat(cases[i].table, ".conf", NULL);
        g_autofree char *path = temp_file(folder, name, cases[i].text), *begin = NULL;
        g_autofree char *found = troubles_of(folder, cases[i].override);
        begin = g_strdup_printf("file_%s|%s", cases[i].table, path);
        g_test_message("%s: %s", cases[i].text, found);
        g_assert_true(cases[i].words ? g_str_has_prefix(found, begin) && strstr(found, cases[i].words) : !*found);
        g_assert_true(!*found || strchr(found, '\n') == found + strlen(found) - 1);
    }
}

/* Entries that exclude each other are no more than a session may have. */
static void test_many(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    GString *scripts = g_string_new(NULL), *folders = g_string_new(NULL);
    for (int i = 0; i < 40; i++) {
        g_string_append_printf(scripts, "[s%d]\nscript = exec:true\nuser = u%d\n", i, i);
        g_string_append_printf(folders, "[f%d]\npath = /f\nuser = u%d\n", i, i);
    }
    g_free(temp_file(folder, "scripts.conf", scripts->str));
    g_free(temp_file(folder, "folders.conf", folders->str));
    g_autofree char *found = troubles_of(folder, NULL);
    g_assert_cmpstr(found, ==, "");
    g_string_free(scripts, TRUE);
    g_string_free(folders, TRUE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/troubles/settings", test_settings);
    g_test_add_func("/troubles/tables", test_tables);
    g_test_add_func("/troubles/many", test_many);
    return g_test_run();
}
