/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "web/template.h"
#include "paths.h"
#include "corpus.h"

#include "../fuzz/fuzz_template.c"

static const char values_text[] =
    "{\"name\": \"Marie\", \"empty\": \"\", \"none\": null, \"yes\": true, \"no\": false, \"zero\": 0, \"many\": "
    "1234567890123,"
    " \"real\": 1.5, \"list\": [\"a\", \"b\"], \"nothing\": [], \"object\": {\"name\": \"inner\", \"deep\": {\"er\": "
    "7}},"
    " \"rows\": [{\"x\": 1, \"y\": [{\"z\": \"p\"}, {\"z\": \"q\"}]}, {\"x\": 2, \"y\": []}],"
    " \"html\": \"<b a='1' c=\\\"2\\\">&amp;</b>\", \"odd\": \"a\\u0001b\\u007fc\\td\", \"nul\": \"a\\u0000b\"}";

static json_t *test_values(void)
{
    json_t *values = json_loads(values_text, JSON_ALLOW_NUL, NULL);
    g_assert_nonnull(values);
    return values;
}

/* --- what comes out --- */

static void test_output(void)
{
    static const struct {
        const char *template, *expected;
    } cases[] = {
        {"", ""},
        {"plain { text } }}", "plain { text } }}"},
        {"Hello {{name}}!", "Hello Marie!"},
        {"{{ name }}{{\tname\n}}", "MarieMarie"},
        {"{{zero}} {{many}} {{real}}", "0 1234567890123 1.5"},
        {"[{{none}}]", "[]"},
        {"{{object.name}} {{object.deep.er}}", "inner 7"},
        {"{{#object}}{{name}} {{deep.er}} {{many}}{{/object}}", "inner 7 1234567890123"},
        {"{{#list}}{{.}},{{/list}}", "a,b,"},
        {"{{#rows}}{{x}}:{{#y}}{{x}}{{z}} {{/y}}{{^y}}-{{/y}};{{/rows}}", "1:1p 1q ;2:-;"},
        {"{{#yes}}y{{/yes}}{{#no}}n{{/no}}{{#none}}0{{/none}}{{#empty}}e{{/empty}}{{#nothing}}l{{/nothing}}", "y"},
        {"{{^yes}}y{{/yes}}{{^no}}n{{/no}}{{^none}}0{{/none}}{{^empty}}e{{/empty}}{{^nothing}}l{{/nothing}}", "n0el"},
        {"{{#zero}}z{{/zero}}{{#name}}[{{name}}={{.}}]{{/name}}", "z[Marie=Marie]"},
        {"a{{! a comment, with {{ and\nlines }}b", "ab"},
        {"x\n  {{#yes}}\n y\n\t{{/yes}}\nz\n", "x\n y\nz\n"},
        {"{{! first }}\nx\n{{! last }}", "x\n"},
        {"{{#yes}}\r\nx\r\n{{/yes}}\r\n", "x\r\n"},
        {"a {{#yes}}\nb{{/yes}}", "a \nb"},
        {"{{#list}}\n<{{.}}>\n{{/list}}\n.", "<a>\n<b>\n."},
        {"{{#yes}}{{name}}}{{/yes}}", "Marie}"},
    };
    g_autoptr(JsonValue) values = test_values();
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text = template_render_text("/nonexistent", "t", cases[i].template, values, &error);
        g_assert_no_error(error);
        g_assert_cmpstr(text, ==, cases[i].expected);
    }
}

static void test_escapes(void)
{
    static const struct {
        const char *template, *expected;
    } cases[] = {
        {"<p title=\"{{html}}\">{{html}}</p>",
         "<p title=\"&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;amp;&lt;/b&gt;\">"
         "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;amp;&lt;/b&gt;</p>"},
        {"{{odd}}", "a\xef\xbf\xbd"
                    "b\xef\xbf\xbd"
                    "c\td"},
        {"{{nul}}", "a\xef\xbf\xbd"
                    "b"},
        {"{{#html}}{{.}}{{/html}}", "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;amp;&lt;/b&gt;"},
    };
    g_autoptr(JsonValue) values = test_values();
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text = template_render_text("/nonexistent", "t", cases[i].template, values, &error);
        g_assert_no_error(error);
        g_assert_cmpstr(text, ==, cases[i].expected);
    }
}

/* A value is never read as a template. */
static void test_no_second_round(void)
{
    g_autoptr(JsonValue) values = json_pack("{s:s, s:s}", "a", "{{b}}{{> x}}", "b", "secret");
    g_autoptr(GError) error = NULL;
    g_autofree char *text = template_render_text("/nonexistent", "t", "{{a}}", values, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(text, ==, "{{b}}{{&gt; x}}");
}

/* --- errors --- */

static void test_errors(void)
{
    static const struct {
        const char *template, *message;
    } cases[] = {
        {"a\nb {{missing}}", "t.html:2: no value is given for \"missing\""},
        {"{{name.first}}", "t.html:1: no value is given for \"name.first\""},
        {"{{none.x}}", "no value is given for \"none.x\""},
        {"\n\n{{#missing}}{{/missing}}", "t.html:3: no value is given for \"missing\""},
        {"{{^missing}}{{/missing}}", "no value is given"},
        {"{{yes}}", "\"yes\" is neither text nor number"},
        {"{{list}}", "neither text nor number"},
        {"{{object}}", "neither text nor number"},
        {"{{.}}", "neither text nor number"},
        {"{{{name}}}", "t.html:1: a tag cannot begin with {{{"},
        {"{{& name}}", "a tag cannot begin with {{&"},
        {"{{=<% %>=}}", "a tag cannot begin with {{="},
        {"\n{{name", "t.html:2: {{ without }}"},
        {"{{", "{{ without }}"},
        {"{{}}", "\"\" is not a name"},
        {"{{#}}{{/}}", "\"\" is not a name"},
        {"{{a b}}", "\"a b\" is not a name"},
        {"{{a..b}}", "is not a name"},
        {"{{.a}}", "is not a name"},
        {"{{a.}}", "is not a name"},
        {"{{<script>}}", "a tag cannot begin with {{<"},
        {"{{#yes}}\n{{#name}}\n{{/yes}}", "t.html:3: {{/yes}} ends {{#name}} of line 2"},
        {"{{#yes}}", "t.html:1: the section \"yes\" is never ended"},
        {"x\n{{/yes}}", "t.html:2: {{/yes}} ends nothing"},
        {"\n{{#layout_gpu}}{{/layout_gpu}}", "t.html:2: no value is given for \"layout_gpu\"; CONFIGURE.md, Looks"},
        {"{{layout_host}}", "no value is given for \"layout_host\"; CONFIGURE.md, Looks"},
        {"{{layout_cpu}}", "t.html:1: Cannot open /nonexistent/options-cpu.html"},
        {"{{layout_cpus}}", "no value is given for \"layout_cpus\"; "},
        {"{{> nothing.html}}", "t.html:1: Cannot open /nonexistent/nothing.html"},
        {"{{> ../etc/passwd}}", "is not a name"},
        {"{{> .hidden}}", "is not a name"},
        {"{{> .}}", "is not a name"},
    };
    g_autoptr(JsonValue) values = test_values();
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(template_render_text("/nonexistent", "t.html", cases[i].template, values, &error));
        g_assert_error(error, QWD_ERROR, QWD_ERROR_INTERNAL);
        if (!strstr(error->message, cases[i].message))
            g_test_message("%s: %s", cases[i].template, error->message);
        g_assert_nonnull(strstr(error->message, cases[i].message));
    }
}

static void test_nesting(void)
{
    g_autoptr(JsonValue) values = test_values();
    g_autoptr(GString) template = g_string_new(NULL);
    for (int i = 0; i < 20; i++)
        g_string_append(template, "{{#yes}}");
    g_autoptr(GError) error = NULL;
    g_assert_null(template_render_text("/nonexistent", "t", template->str, values, &error));
    g_assert_nonnull(strstr(error->message, "more than 16 sections"));
}

/* Sixteen loops in each other over two items: ended by the count of steps, in good time. */
static void test_endless(void)
{
    g_autoptr(JsonValue) values = json_pack("{s:[i,i,i,i,i]}", "l", 1, 2, 3, 4, 5);
    g_autoptr(GString) template = g_string_new(NULL);
    for (int i = 0; i < 16; i++)
        g_string_append(template, "{{#l}}");
    for (int i = 0; i < 16; i++)
        g_string_append(template, "{{/l}}");
    g_autoptr(GError) error = NULL;
    g_assert_null(template_render_text("/nonexistent", "t", template->str, values, &error));
    g_assert_nonnull(strstr(error->message, "too large"));
}

/* --- files --- */

static void write_file(const char *folder, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void test_partials(void)
{
    g_autoptr(JsonValue) values = test_values();
    g_autofree char *folder = g_dir_make_tmp("qwd-template-XXXXXX", NULL);
    write_file(folder, "page.html", "{{> head.html}}\nbody\n{{#rows}}\n  {{> row.html}}\n{{/rows}}\n");
    write_file(folder, "head.html", "<h1>{{name}}</h1>\n");
    write_file(folder, "row.html", "- {{x}}\n");
    write_file(folder, "bad.html", "\n{{> broken.html}}");
    write_file(folder, "broken.html", "\n\n{{missing}}");
    write_file(folder, "round.html", "{{> round.html}}");
    g_autoptr(GError) error = NULL;
    g_autofree char *text = template_render(folder, "page.html", values, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(text, ==, "<h1>Marie</h1>\nbody\n- 1\n- 2\n");
    g_assert_null(template_render(folder, "bad.html", values, &error));
    g_assert_nonnull(strstr(error->message, "broken.html:3: no value is given for \"missing\""));
    g_clear_error(&error);
    g_assert_null(template_render(folder, "round.html", values, &error));
    g_assert_nonnull(strstr(error->message, "more than 8 templates in each other"));
    folder_remove(folder, NULL);
}

/* Plain text: nothing is escaped, no value makes a line of its own; partials and sections as ever. */
static void test_plain(void)
{
    g_autoptr(JsonValue) values = test_values();
    json_object_set_new(values, "lines", json_string("a\r\nBcc: b\tc\xc2\x85"
                                                     "d\xe2\x80\xa8"
                                                     "e\x1b[31m \xc3\xa9"));
    g_autofree char *folder = g_dir_make_tmp("qwd-template-XXXXXX", NULL);
    write_file(folder, "mail.txt", "{{html}}\n{{lines}}\n{{#list}}\n{{> item.txt}}\n{{/list}}\n{{zero}} {{nul}}");
    write_file(folder, "item.txt", "* {{.}}\n");
    g_autoptr(GError) error = NULL;
    g_autofree char *text = template_render_plain(folder, "mail.txt", values, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(text, ==,
                    "<b a='1' c=\"2\">&amp;</b>\na  Bcc: b c d e [31m \xc3\xa9\n"
                    "* a\n* b\n0 a b");
    g_assert_null(template_render_plain(folder, "none.txt", values, &error));
    g_assert_error(error, QWD_ERROR, QWD_ERROR_INTERNAL);
    folder_remove(folder, NULL);
}

static void test_names(void)
{
    static const char *const names[] = {"../template.html", "/etc/passwd", ".hidden", "a/b", "", "none.html"};
    g_autofree char *folder = source_path("html");
    g_autoptr(JsonValue) values = test_values();
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(template_render(folder, names[i], values, &error));
        g_assert_error(error, QWD_ERROR, QWD_ERROR_INTERNAL);
    }
}

static void test_corpus(void)
{
    replay_corpus("template", LLVMFuzzerTestOneInput);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/template/output", test_output);
    g_test_add_func("/template/escapes", test_escapes);
    g_test_add_func("/template/no-second-round", test_no_second_round);
    g_test_add_func("/template/errors", test_errors);
    g_test_add_func("/template/nesting", test_nesting);
    g_test_add_func("/template/endless", test_endless);
    g_test_add_func("/template/partials", test_partials);
    g_test_add_func("/template/plain", test_plain);
    g_test_add_func("/template/names", test_names);
    g_test_add_func("/template/corpus", test_corpus);
    return g_test_run();
}
