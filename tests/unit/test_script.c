/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The table of boot scripts: which ones a session gets, and who may write what. */
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "core/script.h"
#include "core/session_fields.h"
#include "temp.h"

static const char *const no_groups[] = {NULL};
static const char *const groups[] = {"staff", "class 2b", NULL};
static const Subject alice = {"alice", groups, "debian-12.qcow2"};

/* --- whom an entry is for --- */

static void test_scope(void)
{
    static const struct {
        const char *keys;
        bool matches;
    } cases[] = {
        {"", true},
        {"user = alice", true},
        {"user = bob, alice", true},
        {"user = bob", false},
        {"user = ALICE", false},
        {"user = *", true},
        {"user = al?ce", true},
        {"user = al?", false},
        {"user =", false},
        {"user = ,", false},
        {"user = [a-z]*", false}, /* only * and ? mean anything */
        {"user = a.*", false},
        {"group = staff", true},
        {"group = class 2b", true},
        {"group = class*", true},
        {"group = class", false},
        {"machine = debian-*.qcow2", true},
        {"machine = windows*, debian*", true},
        {"machine = debian", false},
        {"user = alice\ngroup = others", false},
        {"user = alice\ngroup = staff\nmachine = *", true},
        {"user = alice\nmachine = tiny.iso", false},
    };
    g_autoptr(TempFolder) folder = temp_folder();
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = g_strdup_printf("[x]\n%s\n", cases[i].keys);
        g_autofree char *path = temp_file(folder, "table", text);
        g_autoptr(GKeyFile) table = scope_table_load(path, NULL);
        g_assert_nonnull(table);
        g_test_message("%s", cases[i].keys);
        g_assert_true(scope_matches(table, "x", &alice) == cases[i].matches);
    }
}

static void test_named_groups(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *path = temp_file(folder, "table", "[a]\nuser = x\n[b]\ngroup = class-*, staff\nuser = x\n");
    static const char *const named[] = {"class-", "class-2b", "staff"}, *const others[] = {"class", "Staff", "*", ""};
    for (size_t i = 0; i < G_N_ELEMENTS(named); i++)
        g_assert_true(scope_table_names_group(path, named[i]));
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
        g_assert_false(scope_table_names_group(path, others[i]));
    g_assert_false(scope_table_names_group("/nonexistent", "staff"));
}

/* A name is never a pattern, and an unknown user is nobody's. */
static void test_hostile_names(void)
{
    static const Subject subjects[] = {{"*", no_groups, "*"}, {"", NULL, ""}, {"al?ce", no_groups, "x"}};
    g_autoptr(TempFolder) folder = temp_folder();
    g_autofree char *path = temp_file(folder, "table", "[a]\nuser = alice\n[b]\ngroup = *\n[c]\nuser = ?*\n");
    g_autoptr(GKeyFile) table = scope_table_load(path, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(subjects); i++) {
        g_assert_false(scope_matches(table, "a", &subjects[i]));
        g_assert_false(scope_matches(table, "b", &subjects[i]));
        g_assert_true(scope_matches(table, "c", &subjects[i]) == (*subjects[i].user != '\0'));
    }
}

/* --- what may be written --- */

static void test_parse(void)
{
    static const struct {
        const char *source;
        bool by_administrator, by_form, by_form_text;
        ScriptKind kind;
        const char *rest;
    } cases[] = {
        {"exec:echo hi", true, true, true, SCRIPT_SH, "echo hi"},
        {"bash:echo hi", true, true, true, SCRIPT_BASH, "echo hi"},
        {"https://h/s", true, true, false, SCRIPT_URL, "https://h/s"},
        {"http://h/s", true, true, false, SCRIPT_URL, "http://h/s"},
        {"/etc/s", true, false, false, SCRIPT_FILE, "/etc/s"},
        {"qemu:-device x", true, false, false, SCRIPT_QEMU, "-device x"},
        {"exec:", false, false, false, SCRIPT_SH, NULL},
        {"/", false, false, false, SCRIPT_SH, NULL},
        {"", false, false, false, SCRIPT_SH, NULL},
        {" exec:x", false, false, false, SCRIPT_SH, NULL},
        {"EXEC:x", false, false, false, SCRIPT_SH, NULL},
        {"file:///etc/passwd", false, false, false, SCRIPT_SH, NULL},
        {"ftp://h/s", false, false, false, SCRIPT_SH, NULL},
        {"s", false, false, false, SCRIPT_SH, NULL},
        {"../s", false, false, false, SCRIPT_SH, NULL},
    };
    static const QwdErrorKind kinds[] = {QWD_ERROR_CONFIG, QWD_ERROR_USAGE, QWD_ERROR_USAGE};
    for (size_t i = 0; i < G_N_ELEMENTS(cases) * 3; i++) {
        size_t row = i / 3;
        const bool allowed[] = {[SCRIPT_BY_ADMINISTRATOR] = cases[row].by_administrator,
                                [SCRIPT_BY_FORM_TEXT] = cases[row].by_form_text,
                                [SCRIPT_BY_FORM] = cases[row].by_form};
        g_autoptr(GError) error = NULL;
        ScriptKind kind;
        const char *rest;
        bool good = script_parse(cases[row].source, (ScriptAuthor)(i % 3), &kind, &rest, &error);
        g_test_message("%s by %zu", cases[row].source, i % 3);
        g_assert_true(good == allowed[i % 3]);
        if (good) {
            g_assert_cmpint(kind, ==, cases[row].kind);
            g_assert_cmpstr(rest, ==, cases[row].rest);
        } else {
            g_assert_error(error, QWD_ERROR, (int)kinds[i % 3]);
        }
    }
}

static Settings *settings_with(const char *folder, const char *table, const char *override)
{
    g_autofree char *path = temp_file(folder, "scripts.conf", table);
    g_autofree char *setting = g_strconcat("file_scripts=", path, NULL);
    return temp_settings(folder, setting, override, NULL);
}

static void test_choose(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(Settings) settings = settings_with(folder,
                                                 "[one]\nscript = exec:echo \\n; true\n"
                                                 "[two]\nscript = /x\nuser = bob\n"
                                                 "[three]\nscript = qemu:-a 'b c' -s @SESSION_NAME@\ngroup = staff\n",
                                                 "config_script=bash:true");
    g_autoptr(GPtrArray) scripts = g_ptr_array_new_with_free_func(script_free);
    g_assert_true(scripts_choose(settings, &alice, scripts, &error));
    g_assert_cmpint(scripts->len, ==, 3);
    const BootScript *first = scripts->pdata[0], *second = scripts->pdata[1], *third = scripts->pdata[2];
    g_assert_cmpstr(first->name, ==, "config_script");
    g_assert_cmpstr(second->source, ==, "exec:echo \\n; true"); /* as it stands in the file */
    g_assert_true(script_is_options(third));
    g_auto(GStrv) options = scripts_qemu_options(scripts, "ID", &error);
    static const char *const expected[] = {"-a", "b c", "-s", "ID", NULL};
    g_assert_true(g_strv_equal((const char *const *)options, expected));

    g_autoptr(JsonValue) object = fields_to_json(script_fields, second);
    BootScript *again = script_from_json(object);
    g_assert_cmpstr(again->source, ==, second->source);
    g_assert_cmpint(again->state, ==, SCRIPT_WAITING);
    script_free(again);

    g_assert_true(scripts_keep_options(scripts, &error));
    g_assert_cmpint(scripts->len, ==, 1);
}

static void test_wrong_tables(void)
{
    static const struct {
        const char *table, *words;
    } cases[] = {
        {"[a]\nscript = x\n", "[a] script: write exec:"},
        {"[a]\nuser = alice\n", "[a] script: write exec:"},
        {"[a]\nscript = exec:x\ncondition = 1\n", "unknown key \"condition\""},
        {"script = exec:x\n", "scripts.conf"},
        {"[a\n", "scripts.conf"},
        {"[a]\nscript = exec:\xff\n", "not UTF-8"},
    };
    g_autoptr(TempFolder) folder = temp_folder();
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        GError *error = NULL;
        g_autofree char *path = g_build_filename(folder, "scripts.conf", NULL);
        g_autofree char *setting = g_strconcat("file_scripts=", path, NULL);
        g_assert_true(g_file_set_contents(path, cases[i].table, -1, NULL));
        g_autoptr(Settings) settings = temp_settings(folder, setting, NULL);
        g_autoptr(GPtrArray) scripts = g_ptr_array_new_with_free_func(script_free);
        g_assert_false(scripts_choose(settings, &alice, scripts, &error));
        assert_error(error, QWD_ERROR_CONFIG, cases[i].words);
    }
}

static void test_result(void)
{
    static const char *const pairs[][2] = {
        {"a\n\tb", "a\n\tb"}, {"\x1b[31mred\r\n", " [31mred \n"}, {"\xff", "\xef\xbf\xbd"}, {"", ""}};
    BootScript *script = g_new0(BootScript, 1);
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
        script_set_result(script, SCRIPT_DONE, "agent", pairs[i][0]);
        g_assert_cmpstr(script->output, ==, pairs[i][1]);
    }
    g_assert_cmpint(script->state, ==, SCRIPT_DONE);
    GString *text = g_string_new("x");
    while (text->len < 2 * SCRIPT_OUTPUT_MAX_BYTES)
        g_string_append(text, "\xe2\x82\xac");
    script_set_result(script, SCRIPT_FAILED, "", text->str);
    g_assert_true(g_utf8_validate(script->output, -1, NULL));
    g_assert_cmpint(strlen(script->output), <=, SCRIPT_OUTPUT_MAX_BYTES);
    g_assert_cmpint(strlen(script->output), >, SCRIPT_OUTPUT_MAX_BYTES - 3);
    g_string_free(text, TRUE);
    script_free(script);
}

static void test_many(void)
{
    GError *error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    GString *table = g_string_new(NULL);
    for (int i = 0; i <= SCRIPTS_MAX; i++)
        g_string_append_printf(table, "[%d]\nscript = exec:true\n", i);
    g_autoptr(Settings) settings = settings_with(folder, table->str, NULL);
    g_autoptr(GPtrArray) scripts = g_ptr_array_new_with_free_func(script_free);
    g_assert_false(scripts_choose(settings, &alice, scripts, &error));
    assert_error(error, QWD_ERROR_CONFIG, "8 scripts at most");
    g_string_free(table, TRUE);
}

static void test_form(void)
{
    GError *error = NULL;
    g_autoptr(TempFolder) folder = temp_folder();
    g_autoptr(GPtrArray) scripts = g_ptr_array_new_with_free_func(script_free);
    g_autoptr(Settings) closed = temp_settings(folder, NULL);
    g_autoptr(Settings) text = temp_settings(folder, "form_script=text", NULL);
    g_assert_true(scripts_add_form(closed, "", scripts, &error));
    g_assert_false(scripts_add_form(closed, "exec:true", scripts, &error));
    assert_error(error, QWD_ERROR_DENIED, "takes no scripts");
    g_assert_false(scripts_add_form(text, "http://h/", scripts, &error));
    assert_error(error, QWD_ERROR_USAGE, "exec: or bash:");
    g_assert_cmpint(scripts->len, ==, 0);
    g_assert_true(scripts_add_form(text, "exec:true", scripts, &error));
    g_assert_cmpint(scripts->len, ==, 1);
    g_assert_false(scripts_keep_options(scripts, &error));
    assert_error(error, QWD_ERROR_USAGE, "takes none");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/script/scope", test_scope);
    g_test_add_func("/script/hostile-names", test_hostile_names);
    g_test_add_func("/script/named-groups", test_named_groups);
    g_test_add_func("/script/parse", test_parse);
    g_test_add_func("/script/choose", test_choose);
    g_test_add_func("/script/wrong-tables", test_wrong_tables);
    g_test_add_func("/script/result", test_result);
    g_test_add_func("/script/many", test_many);
    g_test_add_func("/script/form", test_form);
    return g_test_run();
}
