/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Every page with example values, against golden files. tests/fixtures/pages/NAME-CASE.json are the values of
 * html/NAME.html, NAME-CASE.html is what must come out, NAME-CASE.fr.html in French, where there is one.
 *
 * Pages are HTML and well-formed XML at the same time, so that GMarkup can check them. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "web/catalogue.h"
#include "golden.h"
#include "web/template.h"

#define PAGE_MAX_BYTES (1024 * 1024)

/* --- fixtures --- */

static GPtrArray *fixture_names(void)
{
    g_autofree char *folder = source_path("tests/fixtures/pages");
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    g_assert_nonnull(dir);
    for (const char *name; (name = g_dir_read_name(dir));) {
        if (g_str_has_suffix(name, ".json"))
            g_ptr_array_add(names, g_strndup(name, strlen(name) - strlen(".json")));
    }
    return names;
}

/* In the source tree. */
static char *fixture_file(const char *name, const char *suffix)
{
    return g_strdup_printf("tests/fixtures/pages/%s%s", name, suffix);
}

static json_t *fixture_values(const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *file = fixture_file(name, ".json"), *path = source_path(file);
    json_t *values = json_object_read(path, PAGE_MAX_BYTES, &error);
    g_assert_no_error(error);
    return values;
}

static char *template_of(const char *fixture)
{
    g_autofree char *name = g_strndup(fixture, strcspn(fixture, "-"));
    return g_strconcat(name, ".html", NULL);
}

static char *render(const char *fixture, const json_t *values)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = source_path("html");
    g_autofree char *template = template_of(fixture);
    char *page = template_render(folder, template, values, &error);
    g_assert_no_error(error);
    return page;
}

/* --- golden files --- */

static void test_structure(const void *fixture);

static void compare(const char *fixture, const char *file)
{
    g_autoptr(JsonValue) values = fixture_values(fixture);
    g_autofree char *page = render(fixture, values);
    golden_compare(file, page);
}

static void test_golden(const void *fixture)
{
    g_autofree char *file = fixture_file(fixture, ".html");
    compare(fixture, file);
}

static void test_french(const void *fixture)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = source_path("html");
    g_autofree char *file = fixture_file(fixture, ".fr.html"), *path = source_path(file);
    g_assert_true(catalogue_use(folder, "fr", &error));
    g_assert_no_error(error);
    if (g_file_test(path, G_FILE_TEST_EXISTS))
        compare(fixture, file);
    test_structure(fixture);
    catalogue_use(folder, "en", NULL);
}

/* --- structure --- */

/* What a page consists of: elements, attribute names, ids. */
typedef struct {
    GString *shape;        /* "<a href class>..." */
    GHashTable *ids;       /* set */
    GPtrArray *references; /* ids that labels and scripts name */
    bool has_inline;       /* a script or style inside, or an on... or style attribute */
    int headings;
} Outline;

static void outline_attribute(Outline *outline, const char *element, const char *name, const char *value)
{
    g_string_append_printf(outline->shape, " %s", name);
    if (g_str_has_prefix(name, "on") || g_str_equal(name, "style"))
        outline->has_inline = true;
    if (g_str_equal(name, "id"))
        g_assert_true(g_hash_table_add(outline->ids, g_strdup(value)));
    if (g_str_equal(name, "for") || g_str_equal(name, "data-copy"))
        g_ptr_array_add(outline->references, g_strdup(value));
    if (g_str_equal(element, "a") && g_str_equal(name, "target"))
        g_assert_cmpstr(value, ==, "_blank");
}

static void outline_start(G_GNUC_UNUSED GMarkupParseContext *context, const char *element, const char **names,
                          const char **values, void *data, G_GNUC_UNUSED GError **error)
{
    Outline *outline = data;
    g_string_append_printf(outline->shape, "<%s", element);
    outline->headings += g_str_equal(element, "h1");
    for (size_t i = 0; names[i]; i++)
        outline_attribute(outline, element, names[i], values[i]);
    g_string_append_c(outline->shape, '>');
}

static void outline_text(GMarkupParseContext *context, G_GNUC_UNUSED const char *text, size_t length, void *data,
                         G_GNUC_UNUSED GError **error)
{
    Outline *outline = data;
    const char *element = g_markup_parse_context_get_element(context);
    if (g_str_equal(element, "script") || g_str_equal(element, "style"))
        outline->has_inline |= length > 0;
}

static void outline_clear(Outline *outline)
{
    g_string_free(outline->shape, TRUE);
    g_hash_table_unref(outline->ids);
    g_ptr_array_unref(outline->references);
}

static void outline_read(Outline *outline, const char *page)
{
    static const GMarkupParser parser = {.start_element = outline_start, .text = outline_text};
    *outline = (Outline){.shape = g_string_new(NULL),
                         .ids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
                         .references = g_ptr_array_new_with_free_func(g_free)};
    g_autoptr(GError) error = NULL;
    g_autoptr(GMarkupParseContext) context =
        g_markup_parse_context_new(&parser, G_MARKUP_PREFIX_ERROR_POSITION, outline, NULL);
    g_assert_true(g_str_has_prefix(page, "<!DOCTYPE html>\n"));
    g_markup_parse_context_parse(context, page, -1, &error);
    g_assert_no_error(error);
    g_markup_parse_context_end_parse(context, &error);
    g_assert_no_error(error);
}

static void test_structure(const void *fixture)
{
    g_autoptr(JsonValue) values = fixture_values(fixture);
    g_autofree char *page = render(fixture, values);
    Outline outline;
    outline_read(&outline, page);
    g_assert_null(strstr(page, "{{"));
    g_assert_cmpint(outline.headings, ==, 1);
    g_assert_true(outline.has_inline == g_str_equal(fixture, "monitor-file"));
    for (unsigned i = 0; i < outline.references->len; i++)
        g_assert_true(g_hash_table_contains(outline.ids, g_ptr_array_index(outline.references, i)));
    outline_clear(&outline);
}

/* --- hostile values --- */

static json_t *make_hostile(const json_t *value)
{
    static const char hostile[] = "\"'><script>alert(1)</script><a href=\"javascript:x\" onclick='y'>&{{user}}\x01";
    if (json_is_string(value))
        return json_string_length(value) ? json_sprintf("%s%s", hostile, json_string_value(value)) : json_string("");
    if (!json_is_object(value) && !json_is_array(value))
        return json_deep_copy(value);
    json_t *copy = json_is_object(value) ? json_object() : json_array();
    const char *key;
    json_t *member;
    size_t i;
    json_object_foreach((json_t *)value, key, member) json_object_set_new(copy, key, make_hostile(member));
    json_array_foreach(value, i, member) json_array_append_new(copy, make_hostile(member));
    return copy;
}

/* Whatever the texts are, elements and attributes are the same. */
static void test_hostile(const void *fixture)
{
    g_autoptr(JsonValue) values = fixture_values(fixture);
    g_autoptr(JsonValue) hostile = make_hostile(values);
    g_autofree char *page = render(fixture, values);
    g_autofree char *attacked = render(fixture, hostile);
    Outline plain, other;
    outline_read(&plain, page);
    outline_read(&other, attacked);
    g_assert_cmpstr(plain.shape->str, ==, other.shape->str);
    g_assert_cmpint((int)plain.has_inline, ==, (int)other.has_inline);
    outline_clear(&plain);
    outline_clear(&other);
}

/* --- the templates themselves --- */

/* A value stands in text or between quotes, never naked in a tag; no template has a script or style of its own. */
static void check_template(const char *path)
{
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_autoptr(GRegex) naked = g_regex_new("=\\s*\\{\\{(?![#^/!])|<script(?![^>]*src=)[^>]*>", 0, 0, NULL);
    g_assert_false(g_regex_match(naked, text, 0, NULL));
    g_assert_true(g_str_has_prefix(text, "{{! "));
}

static void test_templates(void)
{
    g_autofree char *folder = source_path("html");
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; (name = g_dir_read_name(dir));) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        if (g_file_test(path, G_FILE_TEST_IS_REGULAR))
            check_template(path);
    }
}

/* Every value that a page takes must be given: without one of them it is an error, never an empty spot. */
static void test_strict(const void *fixture)
{
    g_autofree char *folder = source_path("html");
    g_autofree char *template = template_of(fixture);
    g_autoptr(JsonValue) values = fixture_values(fixture);
    g_autoptr(GError) error = NULL;
    json_object_del(values, "static");
    json_object_del(values, "title");
    g_assert_null(template_render(folder, template, values, &error));
    g_assert_error(error, QWD_ERROR, QWD_ERROR_INTERNAL);
}

static void test_no_orphans(void)
{
    static const char *const suffixes[] = {".json", ".html", ".fr.html"};
    g_autoptr(GPtrArray) names = fixture_names();
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    for (unsigned i = 0; i < names->len; i++) {
        for (size_t j = 0; j < G_N_ELEMENTS(suffixes); j++) {
            g_autofree char *file = g_strconcat(g_ptr_array_index(names, i), suffixes[j], NULL);
            g_strv_builder_add(builder, file);
        }
    }
    g_auto(GStrv) files = g_strv_builder_end(builder);
    golden_check_orphans("tests/fixtures/pages", (const char *const *)files);
}

static void add_tests(const char *name)
{
    static const struct {
        const char *what;
        GTestDataFunc test;
    } kinds[] = {{"golden", test_golden},
                 {"french", test_french},
                 {"structure", test_structure},
                 {"hostile", test_hostile},
                 {"strict", test_strict}};
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *path = g_strdup_printf("/pages/%s/%s", kinds[i].what, name);
        g_test_add_data_func(path, name, kinds[i].test);
    }
}

int main(int argc, char **argv)
{
    golden_test_init(&argc, &argv);
    g_autoptr(GPtrArray) names = fixture_names();
    for (unsigned i = 0; i < names->len; i++)
        add_tests(g_ptr_array_index(names, i));
    g_test_add_func("/pages/templates", test_templates);
    g_test_add_func("/pages/no-orphans", test_no_orphans);
    return g_test_run();
}
