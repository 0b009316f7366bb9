/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Enabling and disabling in a text: by example, and over many texts put together from hostile lines. */
#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"
#include "core/machine.h"
#include "core/machines_edit.h"
#include "temp.h"

#define TEXTS 600
#define LINES_MAX 14

/* --- by example --- */

static const struct {
    const char *title, *enabled, *disabled;
} pairs[] = {
    {"plain", "[a.iso]\ndescription=A\n", ";[a.iso]\n;description=A\n"},
    {"no end of line", "[a.iso]", ";[a.iso]"},
    {"other sections stay", "# top\n[b]\nurl=x\n\n[a.iso]\nos=other\n\n; about c\n[c]\n",
     "# top\n[b]\nurl=x\n\n;[a.iso]\n;os=other\n\n; about c\n[c]\n"},
    {"line ends of Windows", "[a.iso]\r\ndescription=A\r\n", ";[a.iso]\r\n;description=A\r\n"},
    {"comments and gaps within", "[a.iso]\n; one\n\n  # two\n  os = other\n; three\n# four\n",
     ";[a.iso]\n;; one\n;\n;  # two\n;  os = other\n;; three\n# four\n"},
    {"spaces around the header", "  [a.iso]  \nos=other\n", ";  [a.iso]  \n;os=other\n"},
    {"in two places", "[a.iso]\n[b]\n[a.iso]\nos=other\n", ";[a.iso]\n[b]\n;[a.iso]\n;os=other\n"},
    {"an older version, commented out", ";[a.iso]\n;os=windows\n\n[a.iso]\n", ";;[a.iso]\n;;os=windows\n\n;[a.iso]\n"},
    {"another one commented out behind it", "[a.iso]\n;[b]\n;os=other\n", ";[a.iso]\n;[b]\n;os=other\n"},
    {"another one commented out in its middle", "[a.iso]\n;[b]\n;os=other\nos=linux\n",
     ";[a.iso]\n;;[b]\n;;os=other\n;os=linux\n"},
    {"a value that looks like a header", "[a.iso]\ndescription=[b]\n", ";[a.iso]\n;description=[b]\n"},
};

static void test_pairs(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
        g_test_message("%s", pairs[i].title);
        g_autofree char *disabled = machines_text_disable(pairs[i].enabled, "a.iso");
        g_autofree char *enabled = machines_text_enable(pairs[i].disabled, "a.iso");
        g_assert_cmpstr(disabled, ==, pairs[i].disabled);
        g_assert_cmpstr(enabled, ==, pairs[i].enabled);
        g_assert_cmpint(machines_text_state(enabled, "a.iso"), ==, SECTION_ENABLED);
        g_assert_cmpint(machines_text_state(disabled, "a.iso"), ==, SECTION_DISABLED);
    }
}

/* What people comment out by hand, with a space and with sentences around. */
static void test_by_hand(void)
{
    static const char text[] = "; An example:\n; [a.iso]\n; description=A\n; Ask Bob = the one who knows.\n; url=u\n";
    g_autofree char *enabled = machines_text_enable(text, "a.iso");
    g_assert_cmpstr(enabled, ==, "; An example:\n [a.iso]\n description=A\n; Ask Bob = the one who knows.\n url=u\n");
    g_autofree char *value = machines_text_value(text, "a.iso", "url");
    g_assert_cmpstr(value, ==, "u");
}

static void test_unchanged(void)
{
    static const struct {
        const char *text;
        SectionState state;
    } cases[] = {
        {"", SECTION_ABSENT},
        {"[b]\n", SECTION_ABSENT},
        {"# [a.iso]\n", SECTION_ABSENT},
        {"[a.iso\n", SECTION_ABSENT},
        {"; see [a.iso] above\n", SECTION_ABSENT},
        {";[a.iso] is good\n", SECTION_ABSENT},
        {"[b]\ndescription=[a.iso]\n", SECTION_ABSENT},
        {"[b]\n;[a.iso]\nos=other\n", SECTION_ABSENT}, /* would take a line of b */
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *disabled = machines_text_disable(cases[i].text, "a.iso");
        g_autofree char *enabled = machines_text_enable(cases[i].text, "a.iso");
        g_assert_cmpstr(disabled, ==, cases[i].text);
        g_assert_cmpstr(enabled, ==, cases[i].text);
        g_assert_cmpint(machines_text_state(cases[i].text, "a.iso"), ==, cases[i].state);
    }
}

static void test_add(void)
{
    static const struct {
        const char *before, *after;
    } cases[] = {{"", "[b]\n"}, {"# x", "# x\n\n[b]\n"}, {"[a.iso]\nos=other\n", "[a.iso]\nos=other\n\n[b]\n"}};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *after = machines_text_add(cases[i].before, "b");
        g_assert_cmpstr(after, ==, cases[i].after);
    }
}

static void test_set(void)
{
    static const struct {
        const char *before, *after;
    } cases[] = {
        {"[a.iso]\nurl=u\n[b]\n", "[a.iso]\ndescription=x\nurl=u\n[b]\n"},
        {"[a.iso]", "[a.iso]\ndescription=x\n"},
        {"[a.iso]\r\n", "[a.iso]\r\ndescription=x\r\n"},
        {"[a.iso]\n description = old\n;description=older\n[b]\ndescription=B\n",
         "[a.iso]\ndescription=x\n;description=older\n[b]\ndescription=B\n"},
        {"[b]\n", "[b]\n"},
        {";[a.iso]\n", ";[a.iso]\n"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *after = machines_text_set(cases[i].before, "a.iso", "description", "x");
        g_assert_cmpstr(after, ==, cases[i].after);
    }
}

static void test_disabled(void)
{
    g_auto(GStrv) names = machines_text_disabled(";[a]\n;[b]\n[c]\n;[c]\n; [d]\n;url=u\n;[../x]\n;[a]\n;[e\n");
    g_autofree char *joined = g_strjoinv(" ", names);
    g_assert_cmpstr(joined, ==, "a b d");
}

/* --- over many texts --- */

static const char *const hostile[] = {
    "[a.iso]\n",
    "[b.iso]\n",
    "[c.iso]\n",
    "  [a.iso]\t\n",
    "[b.iso]\r\n",
    ";[a.iso]\n",
    "; [b.iso]\n",
    ";;[a.iso]\n",
    ";;;[c.iso]\n",
    "#[a.iso]\n",
    ";#[a.iso]\n",
    "description=x\n",
    "  os = other \n",
    "url=https://h/;x\n",
    "description=[a.iso]\n",
    ";os=linux\n",
    "; url = u\n",
    ";;os=other\n",
    ";\n",
    ";;\n",
    "\n",
    "\r\n",
    "   \n",
    "# comment\n",
    "; a sentence\n",
    ";; deep\n",
    "  ; indented\n",
    "; a = b\n",
    ";[ a.iso ]\n",
    "\t[c.iso]\n",
};

static char *hostile_text(void)
{
    GString *text = g_string_new(NULL);
    int count = g_test_rand_int_range(0, LINES_MAX);
    for (int i = 0; i < count; i++)
        g_string_append(text, hostile[g_test_rand_int_range(0, G_N_ELEMENTS(hostile))]);
    if (text->len && g_test_rand_bit())
        g_string_truncate(text, text->len - 1);
    return g_string_free(text, FALSE);
}

/* What the service makes of a text: the machines with their attributes, a line for each; NULL when it refuses it. */
static char *meaning(const char *folder, const char *text, const char *without)
{
    g_autoptr(Settings) settings = temp_settings(folder, NULL);
    g_free(temp_file(folder, "machines.conf", text));
    g_autoptr(GPtrArray) machines = machines_load(settings, NULL);
    GString *all = machines ? g_string_new(NULL) : NULL;
    for (guint i = 0; machines && i < machines->len; i++) {
        const Machine *machine = machines->pdata[i];
        if (!g_str_equal(machine->name, without))
            g_string_append_printf(all, "%s|%s|%s|%s\n", machine->name, machine->description, machine->url,
                                   machine->os);
    }
    return all ? g_string_free(all, FALSE) : NULL;
}

static bool is_listed(const char *meaning_text)
{
    return g_str_has_prefix(meaning_text, "a.iso|") || strstr(meaning_text, "\na.iso|");
}

static void check_text(const char *folder, const char *text, int *used)
{
    g_autofree char *all = meaning(folder, text, ""), *others = meaning(folder, text, "a.iso");
    if (!all)
        return;
    g_autofree char *disabled = machines_text_disable(text, "a.iso");
    g_autofree char *all_then = meaning(folder, disabled, ""), *others_then = meaning(folder, disabled, "a.iso");
    g_assert_cmpstr(others_then, ==, others);
    g_assert_false(is_listed(all_then));
    g_assert_cmpint(machines_text_state(text, "a.iso") == SECTION_ENABLED, ==, is_listed(all));
    g_autofree char *again = machines_text_enable(is_listed(all) ? disabled : text, "a.iso");
    if (is_listed(all)) {
        g_assert_cmpstr(again, ==, text);
        ++*used;
    }
    g_autofree char *others_again = meaning(folder, again, "a.iso");
    g_assert_cmpstr(others_again, ==, others);
}

static void test_hostile(void)
{
    g_autoptr(TempFolder) folder = temp_folder();
    int used = 0;
    for (int i = 0; i < TEXTS; i++) {
        g_autofree char *text = hostile_text();
        g_test_message("%s", text);
        check_text(folder, text, &used);
    }
    g_assert_cmpint(used, >, TEXTS / 50);
}

/* --- where the trouble is --- */

static void test_bad_line(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"[a.iso]\n\njust words\nos=linux\n", "m.ini, line 3: "},
        {"[a.iso]\nos=linux\ncolour=red", "m.ini, line 3: [a.iso] has an unknown attribute"},
        {"words\n", "m.ini, line 1: "},
        {"; x\n[.a]\n", "m.ini, line 2: [.a] is not the name of a file in /folder"},
        {"[a]\n[b]\ndisk=x\n[c]\ndisk=y\n", "m.ini, line 3: [b] disk = x"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_false(machines_check_text(cases[i].text, strlen(cases[i].text), "m.ini", "/folder", &error));
        assert_error(error, QWD_ERROR_CONFIG, cases[i].message);
    }
    g_autoptr(GError) error = NULL;
    g_assert_true(machines_check_text("", 0, "m.ini", "/folder", &error));
    g_assert_true(machines_check_text(";x\n[a]\n", 7, "m.ini", "/folder", &error));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/machines-edit/pairs", test_pairs);
    g_test_add_func("/machines-edit/by-hand", test_by_hand);
    g_test_add_func("/machines-edit/unchanged", test_unchanged);
    g_test_add_func("/machines-edit/add", test_add);
    g_test_add_func("/machines-edit/set", test_set);
    g_test_add_func("/machines-edit/disabled", test_disabled);
    g_test_add_func("/machines-edit/hostile", test_hostile);
    g_test_add_func("/machines-edit/bad-line", test_bad_line);
    return g_test_run();
}
