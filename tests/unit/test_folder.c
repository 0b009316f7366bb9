/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Which folders of the server a session gets, and what a user's own is called. */
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "core/folder.h"
#include "core/session_fields.h"
#include "temp.h"

static const char *const groups[] = {"staff", NULL};
static const Subject alice = {"alice", groups, "debian-12.qcow2"};

/* "NAME=PATH[:rw] ..." */
static char *describe(const GPtrArray *folders)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < folders->len; i++) {
        const HostFolder *folder = folders->pdata[i];
        g_string_append_printf(text, "%s%s=%s%s", i ? " " : "", folder->name, folder->path,
                               folder->writable ? ":rw" : "");
    }
    return g_string_free(text, FALSE);
}

static char *choose(const char *override, const char *table, const Subject *subject, bool is_proven, GError **error)
{
    g_autoptr(TempFolder) place = temp_folder();
    g_autofree char *path = temp_file(place, "folders.conf", table);
    g_autofree char *setting = g_strconcat("file_folders=", path, NULL);
    g_autoptr(Settings) settings = temp_settings("/nonexistent", setting, override, NULL);
    g_autoptr(GPtrArray) folders = g_ptr_array_new_with_free_func(host_folder_free);
    return folders_choose(settings, subject, is_proven, folders, error) ? describe(folders) : NULL;
}

static void test_choose(void)
{
    static const struct {
        const char *override, *table, *expected;
    } cases[] = {
        {NULL, "", ""},
        {"dir_mounts=/mnt,/media:rw", "", "mnt=/mnt media=/media:rw"},
        {"dir_mounts=data=/srv/a=b data-2=/srv/x:rw", "", "data=/srv/a=b data-2=/srv/x:rw"},
        {NULL, "[a]\npath = /srv/with space\n", "a=/srv/with space"},
        {NULL, "[a]\npath = /a\nwrite = yes\n[b]\npath=/b\nwrite=no\n", "a=/a:rw b=/b"},
        {NULL, "[a]\npath = /a\ngroup = staff\n[b]\npath = /b\ngroup = others\n[c]\npath = /c\nmachine = tiny*\n",
         "a=/a"},
        {"dir_mounts=/a", "[b]\npath=/b\n", "a=/a b=/b"},
        {"dir_users=/u", "", "personal=/u/alice:rw"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *found = choose(cases[i].override, cases[i].table, &alice, true, &error);
        g_assert_no_error(error);
        g_assert_cmpstr(found, ==, cases[i].expected);
    }
}

/* Whoever only says who they are gets nobody's folder. */
static void test_unproven(void)
{
    static const Subject nobody = {"", NULL, "x"};
    g_autofree char *claimed = choose("dir_users=/u", "", &alice, false, NULL);
    g_autofree char *unnamed = choose("dir_users=/u", "", &nobody, true, NULL);
    g_assert_cmpstr(claimed, ==, "");
    g_assert_cmpstr(unnamed, ==, "");
}

static void test_wrong(void)
{
    static const struct {
        const char *override, *table, *words;
    } cases[] = {
        {"dir_mounts=srv", "", "dir_mounts: The folder srv needs a path"},
        {"dir_mounts=a=srv", "", "needs a path"},
        {"dir_mounts=a,b=/x", "", "The folder a needs a path"},
        {"dir_mounts=/", "", "\"/\" is not the name of a folder"},
        {"dir_mounts=/a.b", "", "\"a.b\" is not the name"},
        {"dir_mounts=/a/x,/b/x", "", "Two folders have the name x"},
        {NULL, "[a]\n", "folders.conf: The folder a needs a path"},
        {NULL, "[a,b]\npath = /x\n", "\"a,b\" is not the name"},
        {NULL, "[123456789012345678901234567]\npath = /x\n", "1 to 26 letters"},
        {NULL, "[a]\npath = /x\nwrite = maybe\n", "Write yes or no"},
        {NULL, "[a]\npath = /x\nowner = me\n", "unknown key \"owner\""},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        GError *error = NULL;
        g_assert_null(choose(cases[i].override, cases[i].table, &alice, true, &error));
        assert_error(error, QWD_ERROR_CONFIG, cases[i].words);
    }
}

static void test_too_many(void)
{
    GError *error = NULL;
    GString *table = g_string_new(NULL);
    for (int i = 0; i <= FOLDERS_MAX; i++)
        g_string_append_printf(table, "[f%d]\npath = /f\n", i);
    g_assert_null(choose(NULL, table->str, &alice, true, &error));
    assert_error(error, QWD_ERROR_CONFIG, "16 folders at most");
    g_string_free(table, TRUE);
}

static void test_names(void)
{
    static const char *const pairs[][2] = {
        {"alice", "alice"},
        {"Marie.Curie@example.org", "Marie.Curie@example.org"},
        {"..", "%2E."},
        {".", "%2E"},
        {"../../etc", "%2E.%2F..%2Fetc"},
        {"a/b", "a%2Fb"},
        {"a%2Fb", "a%252Fb"},
        {".ssh", "%2Essh"},
        {"two words", "two%20words"},
        {"\xc3\xa9", "%C3%A9"},
        {"a,readonly=off", "a%2Creadonly%3Doff"},
        {"a\n", "a%0A"},
    };
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
        char *name = folder_name_of_user(pairs[i][0], NULL);
        g_assert_cmpstr(name, ==, pairs[i][1]);
        g_assert_true(g_hash_table_add(seen, name)); /* no two users have the same */
    }
    GError *error = NULL;
    g_autofree char *long_name = g_strnfill(256, 'a');
    g_assert_null(folder_name_of_user(long_name, &error));
    assert_error(error, QWD_ERROR_USAGE, "cannot be the name of a folder");
    g_assert_null(folder_name_of_user("", &error));
    assert_error(error, QWD_ERROR_USAGE, "cannot be the name of a folder");
}

static void test_keep(void)
{
    g_autoptr(Settings) settings = temp_settings("/nonexistent", "dir_mounts=/a,/b:rw,/c", NULL);
    g_autoptr(GPtrArray) folders = g_ptr_array_new_with_free_func(host_folder_free), names = g_ptr_array_new();
    g_assert_true(folders_choose(settings, &alice, false, folders, NULL));
    g_ptr_array_add(names, (gpointer) "c");
    g_ptr_array_add(names, (gpointer) "a");
    g_ptr_array_add(names, (gpointer) "somebody-elses");
    folders_keep(folders, names);
    g_autofree char *kept = describe(folders);
    g_assert_cmpstr(kept, ==, "a=/a c=/c");
    g_ptr_array_set_size(names, 0);
    folders_keep(folders, names);
    g_assert_cmpuint(folders->len, ==, 0);
}

static void test_record(void)
{
    g_autoptr(JsonValue) object =
        json_pack("{s:s, s:s, s:b, s:b}", "name", "n", "path", "/p", "writable", 1, "is_personal", 0);
    HostFolder *folder = host_folder_from_json(object);
    g_autoptr(JsonValue) again = fields_to_json(host_folder_fields, folder);
    json_object_del(object, "is_personal"); /* what is not so is left out */
    g_assert_true(json_equal(object, again));
    host_folder_free(folder);
    host_folder_free(NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/folder/keep", test_keep);
    g_test_add_func("/folder/choose", test_choose);
    g_test_add_func("/folder/unproven", test_unproven);
    g_test_add_func("/folder/wrong", test_wrong);
    g_test_add_func("/folder/too-many", test_too_many);
    g_test_add_func("/folder/names", test_names);
    g_test_add_func("/folder/record", test_record);
    return g_test_run();
}
