/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What an administrator puts in place of our looks, whole or broken. */
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "temp.h"
#include "web/catalogue.h"
#include "web/layout.h"
#include "web/template.h"

typedef struct {
    TempFolder *folder;
    char *ours, *theirs; /* folders of templates */
} Fixture;

static void put(const char *folder, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autofree char *parent = g_path_get_dirname(path);
    g_assert_cmpint(g_mkdir_with_parents(parent, 0700), ==, 0);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void set_up(Fixture *f, G_GNUC_UNUSED gconstpointer unused)
{
    f->folder = temp_folder();
    f->ours = g_build_filename(f->folder, "ours", NULL);
    f->theirs = g_build_filename(f->folder, "theirs", NULL);
    put(f->ours, "page.html", "[{{> head.html}}|{{x}}|{{> foot.html}}]");
    put(f->ours, "head.html", "head");
    put(f->ours, "foot.html", "{{#footer}}{{footer}}{{/footer}}");
    template_use_layout(f->theirs, json_pack("{s:s}", "footer", "<foot>"));
}

static void tear_down(Fixture *f, G_GNUC_UNUSED gconstpointer unused)
{
    template_use_layout(NULL, NULL);
    temp_folder_remove(f->folder);
    g_free(f->ours);
    g_free(f->theirs);
}

static void assert_page(const Fixture *f, const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonValue) values = json_pack("{s:i}", "x", 1);
    g_autofree char *page = template_render(f->ours, "page.html", values, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(page, ==, expected);
}

static void assert_troubles(const Fixture *f, const char *first, guint count)
{
    const GPtrArray *troubles = template_troubles();
    g_autofree char *path = g_strconcat(f->theirs, "/", first, NULL);
    g_assert_cmpint(troubles->len, ==, count);
    if (count)
        g_assert_true(g_str_has_prefix(troubles->pdata[0], path));
}

static void test_templates(Fixture *f, G_GNUC_UNUSED gconstpointer unused)
{
    assert_page(f, "[head|1|&lt;foot&gt;]");
    put(f->theirs, "head.html", "THEIRS {{x}}");
    assert_page(f, "[THEIRS 1|1|&lt;foot&gt;]");
    put(f->theirs, "page.html", "{{> foot.html}} and {{> head.html}}");
    assert_page(f, "&lt;foot&gt; and THEIRS 1");
    assert_troubles(f, "", 0);
}

/* Each broken one is done without, and the others still count. */
static void test_broken(Fixture *f, G_GNUC_UNUSED gconstpointer unused)
{
    put(f->theirs, "head.html", "THEIRS");
    put(f->theirs, "foot.html", "\n{{missing}}");
    assert_page(f, "[THEIRS|1|&lt;foot&gt;]");
    assert_troubles(f, "foot.html:2: no value is given for \"missing\"", 1);
    put(f->theirs, "page.html", "{{#x}}");
    put(f->theirs, "head.html", "{{> head.html}}"); /* endless */
    assert_page(f, "[head|1|&lt;foot&gt;]");
    assert_troubles(f, "foot.html:2: ", 4);
    put(f->theirs, "page.html", "{{> nothing.html}}");
    assert_page(f, "[head|1|&lt;foot&gt;]");
}

/* A fault of ours is no fault of theirs. */
static void test_ours_broken(Fixture *f, G_GNUC_UNUSED gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonValue) values = json_object();
    put(f->theirs, "head.html", "THEIRS");
    g_assert_null(template_render(f->ours, "page.html", values, &error));
    assert_error(error, QWD_ERROR_INTERNAL, "page.html:1: no value is given for \"x\"");
    assert_troubles(f, "", 0);
}

static Settings *settings_of(const Fixture *f)
{
    g_autofree char *html = g_strconcat("dir_html=", f->ours, NULL), *own = g_strconcat("dir_layout=", f->theirs, NULL);
    return temp_settings(f->folder, html, own, "layout_title=Lab", "layout_logo=my logo.png", NULL);
}

static void test_settings(Fixture *f, G_GNUC_UNUSED gconstpointer unused)
{
    g_autoptr(Settings) settings = settings_of(f);
    put(f->ours, "page.html", "{{brand}}{{^logo}} plain{{/logo}}{{logo}}{{^header}}.{{/header}}");
    layout_use(settings);
    assert_page(f, "Lab plain.");
    put(f->theirs, "pictures/my logo.png", "");
    layout_use(settings);
    assert_page(f, "Lab/qemu-web-desktop/pictures/my%20logo.png.");
    static const char *const refused[] = {"", "../head.html", "/etc/passwd", ".hidden", "none.png", "a/b.png"};
    put(f->theirs, "pictures/.hidden", "");
    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++)
        g_assert_null(layout_picture(settings, refused[i]));
}

static void test_texts(Fixture *f, G_GNUC_UNUSED gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Settings) settings = settings_of(f);
    put(f->ours, "i18n/fr.json", "{\"Create\": \"Créer\", \"Stop\": \"Arrêter\"}");
    put(f->theirs, "i18n/fr.json", "{\"Create\": \"Allons-y\"}");
    put(f->theirs, "i18n/en.json", "{\"Create\": \"Go\"}");
    g_assert_true(layout_use_language(settings, "fr", NULL));
    g_assert_cmpstr(tr("Create"), ==, "Allons-y");
    g_assert_cmpstr(tr("Stop"), ==, "Arrêter");
    g_assert_true(layout_use_language(settings, "en", NULL));
    g_assert_cmpstr(tr("Create"), ==, "Go");
    put(f->theirs, "i18n/fr.json", "{");
    g_assert_false(layout_use_language(settings, "fr", &error));
    assert_error(error, QWD_ERROR_USAGE, "theirs/i18n/fr.json: Not JSON");
    g_assert_cmpstr(tr("Create"), ==, "Créer");
    g_assert_true(catalogue_use(f->ours, "en", NULL));
}

static void test_check(Fixture *f, G_GNUC_UNUSED gconstpointer unused)
{
    g_autoptr(Settings) settings = settings_of(f);
    g_autoptr(GPtrArray) none = layout_check(settings);
    g_assert_cmpint(none->len, ==, 0);
    put(f->theirs, "head.html", "fine");
    put(f->theirs, "foot.html", "\n{{#x}}");
    put(f->theirs, "other.html", "nobody asks for it");
    put(f->ours, "mail/ready.txt", "");
    put(f->theirs, "mail/ready.txt", "{{");
    put(f->theirs, "mail/redy.subject", "misspelt");
    put(f->theirs, "mail/notes", "are no template");
    put(f->theirs, "i18n/fr.json", "[]");
    g_autoptr(GPtrArray) troubles = layout_check(settings);
    static const char *const expected[] = {"foot.html:2: the section", "other.html: there is no template",
                                           "mail/ready.txt:1: ", "mail/redy.subject: there is no template",
                                           "fr.json: Not a JSON object"};
    g_assert_cmpint(troubles->len, ==, G_N_ELEMENTS(expected));
    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++)
        g_assert_nonnull(strstr(troubles->pdata[i], expected[i]));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(Fixture *, gconstpointer);
    } tests[] = {
        {"/layout/templates", test_templates},
        {"/layout/broken", test_broken},
        {"/layout/ours-broken", test_ours_broken},
        {"/layout/settings", test_settings},
        {"/layout/texts", test_texts},
        {"/layout/check", test_check},
    };
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].name, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
