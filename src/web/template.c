/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "web/template.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "web/catalogue.h"
#include "web/template_parse.h"

#define FILE_MAX_BYTES (256 * 1024)
#define OUTPUT_MAX_BYTES (16 * 1024 * 1024)
#define STEPS_MAX 1000000 /* tokens rendered; ends what would take for ever without growing */
#define PARTIALS_MAX 8    /* in each other */

/* What the administrator has put in place of ours; empty at first. */
static struct {
    char *folder;
    json_t *values;
    GPtrArray *troubles; /* char * */
} layout;

/* What one call of template_render shares among its templates. */
typedef struct {
    const char *folder;
    void (*append)(GString *out, const char *text, size_t length); /* a value */
    GString *text;
    size_t steps;
    int depth;
    GPtrArray *ignored; /* names of the administrator's templates that are broken */
    char *culprit;      /* the one that has just been found, NULL none */
} Output;

/* One template being rendered. */
typedef struct {
    Output *output;
    const char *file;
    const GArray *tokens;
} Render;

/* The values that a name is looked up in, innermost first. */
typedef struct Frame {
    const json_t *value;
    const struct Frame *outer;
} Frame;

/* --- escaping --- */

static const char *escape_of(unsigned char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    case '\t':
    case '\n':
    case '\r':
        return NULL;
    default:
        return c < 0x20 || c == 0x7f ? "\xef\xbf\xbd" : NULL;
    }
}

void template_escape(GString *out, const char *text, size_t length)
{
    const char *done = text;
    for (const char *p = text; p < text + length; p++) {
        const char *escape = escape_of((unsigned char)*p);
        if (!escape)
            continue;
        g_string_append_len(out, done, p - done);
        g_string_append(out, escape);
        done = p + 1;
    }
    g_string_append_len(out, done, text + length - done);
}

static bool breaks_line(gunichar c)
{
    GUnicodeType type = g_unichar_type(c);
    return type == G_UNICODE_CONTROL || type == G_UNICODE_LINE_SEPARATOR || type == G_UNICODE_PARAGRAPH_SEPARATOR;
}

static void append_flat(GString *out, const char *text, size_t length)
{
    for (const char *p = text; p < text + length; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        g_string_append_unichar(out, breaks_line(c) ? ' ' : c);
    }
}

/* --- values --- */

static const json_t *find_member(const Frame *frame, const char *name, size_t length)
{
    for (; frame; frame = frame->outer) {
        const json_t *value = json_object_getn(frame->value, name, length);
        if (value)
            return value;
    }
    return NULL;
}

/* The value of a name, NULL when nobody has given it. */
static const json_t *look_up_name(const char *name, size_t length, const Frame *frame)
{
    const char *end = name + length;
    if (*name == '.')
        return frame->value;
    const char *dot = memchr(name, '.', length);
    const json_t *value = find_member(frame, name, (size_t)((dot ? dot : end) - name));
    while (dot && value) {
        name = dot + 1;
        dot = memchr(name, '.', (size_t)(end - name));
        value = json_object_getn(value, name, (size_t)((dot ? dot : end) - name));
    }
    return value;
}

static const json_t *look_up(const Token *token, const Frame *frame)
{
    return look_up_name(token->start, token->length, frame);
}

/* False for null, false, "" and []: a section for them is left out. */
static bool is_given(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_NULL:
    case JSON_FALSE:
        return false;
    case JSON_STRING:
        return json_string_length(value) > 0;
    case JSON_ARRAY:
        return json_array_size(value) > 0;
    default:
        return true;
    }
}

static bool append_value(const Output *output, const json_t *value)
{
    GString *out = output->text;
    char number[G_ASCII_DTOSTR_BUF_SIZE];
    switch (json_typeof(value)) {
    case JSON_NULL:
        return true;
    case JSON_STRING:
        output->append(out, json_string_value(value), json_string_length(value));
        return true;
    case JSON_INTEGER:
        g_string_append_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return true;
    case JSON_REAL:
        g_string_append(out, g_ascii_formatd(number, sizeof number, "%.6g", json_real_value(value)));
        return true;
    default:
        return false;
    }
}

/* --- tokens --- */

static bool render_range(const Render *render, size_t from, size_t to, const Frame *frame, GError **error);
static bool render_name(Output *output, const char *name, const Frame *frame, GError **error);

/* Of a name that nobody has given. One of the original's meant something there. */
static bool fail_without_value(const Render *render, const Token *token, GError **error)
{
    bool is_placeholder = g_str_has_prefix(token->start, "layout_");
    return template_fail(
        error, render->file, token->line, "no value is given for \"%.*s\"%s", (int)token->length, token->start,
        is_placeholder ? "; CONFIGURE.md, Looks, says what takes the place of such a placeholder" : "");
}

static bool render_value(const Render *render, const Token *token, const Frame *frame, GError **error)
{
    const json_t *value = look_up(token, frame);
    if (value && append_value(render->output, value))
        return true;
    if (!value)
        return fail_without_value(render, token, error);
    return template_fail(error, render->file, token->line, "\"%.*s\" is neither text nor number", (int)token->length,
                         token->start);
}

/* --- words --- */

/* A time, {"iso", "text"}, is an element of its own in a page. */
static bool append_time(const Output *output, const json_t *value)
{
    const char *iso = json_get_text(value, "iso", NULL), *text = json_get_text(value, "text", NULL);
    if (!iso || !text)
        return false;
    if (output->append != template_escape) {
        output->append(output->text, text, strlen(text));
        return true;
    }
    g_string_append(output->text, "<time datetime=\"");
    template_escape(output->text, iso, strlen(iso));
    g_string_append(output->text, "\">");
    template_escape(output->text, text, strlen(text));
    g_string_append(output->text, "</time>");
    return true;
}

/* Text in the visitor's language; what stands in it as [name] is a value. */
static bool render_words(const Render *render, const Token *token, const Frame *frame, GError **error)
{
    const Output *output = render->output;
    g_autofree char *english = g_strndup(token->start, token->length);
    const char *rest = tr(english);
    for (const char *open; (open = strchr(rest, '[')); rest = strchr(open, ']') + 1) {
        const char *name = open + 1;
        size_t length = strcspn(name, "]");
        const json_t *value = name[length] ? look_up_name(name, length, frame) : NULL;
        output->append(output->text, rest, (size_t)(open - rest));
        if (!value || !(append_value(output, value) || append_time(output, value)))
            return template_fail(error, render->file, token->line, "no value is given for \"[%.*s]\"", (int)length,
                                 name);
    }
    output->append(output->text, rest, strlen(rest));
    return true;
}

static bool render_items(const Render *render, size_t index, const json_t *array, const Frame *outer, GError **error)
{
    size_t end = g_array_index(render->tokens, Token, index).partner;
    for (size_t i = 0; i < json_array_size(array); i++) {
        Frame frame = {json_array_get(array, i), outer};
        if (!render_range(render, index + 1, end, &frame, error))
            return false;
    }
    return true;
}

static bool render_section(const Render *render, size_t index, const Frame *outer, GError **error)
{
    const Token *token = &g_array_index(render->tokens, Token, index);
    const json_t *value = look_up(token, outer);
    if (!value)
        return fail_without_value(render, token, error);
    if (is_given(value) != (token->kind == TOKEN_SECTION))
        return true;
    if (token->kind == TOKEN_INVERTED)
        return render_range(render, index + 1, token->partner, outer, error);
    if (json_is_array(value))
        return render_items(render, index, value, outer, error);
    Frame frame = {value, outer};
    return render_range(render, index + 1, token->partner, json_is_true(value) ? outer : &frame, error);
}

static bool render_partial(const Render *render, const Token *token, const Frame *frame, GError **error)
{
    if (render->output->depth >= PARTIALS_MAX)
        return template_fail(error, render->file, token->line, "more than %d templates in each other", PARTIALS_MAX);
    g_autofree char *name = g_strndup(token->start, token->length);
    g_autoptr(GError) cause = NULL;
    bool good = render_name(render->output, name, frame, &cause);
    if (g_error_matches(cause, QWD_ERROR, QWD_ERROR_NOT_FOUND))
        return template_fail(error, render->file, token->line, "%s", cause->message);
    if (cause)
        g_propagate_error(error, g_steal_pointer(&cause));
    return good;
}

/* Renders the token at *index and moves *index to the last token that it has dealt with. */
static bool render_token(const Render *render, size_t *index, const Frame *frame, GError **error)
{
    const Token *token = &g_array_index(render->tokens, Token, *index);
    switch (token->kind) {
    case TOKEN_TEXT:
        g_string_append_len(render->output->text, token->start, (gssize)token->length);
        return true;
    case TOKEN_VALUE:
        return render_value(render, token, frame, error);
    case TOKEN_WORDS:
        return render_words(render, token, frame, error);
    case TOKEN_PARTIAL:
        return render_partial(render, token, frame, error);
    case TOKEN_SECTION:
    case TOKEN_INVERTED: {
        size_t begin = *index;
        *index = token->partner;
        return render_section(render, begin, frame, error);
    }
    default:
        return true;
    }
}

static bool render_range(const Render *render, size_t from, size_t to, const Frame *frame, GError **error)
{
    Output *output = render->output;
    for (size_t index = from; index < to; index++) {
        int line = g_array_index(render->tokens, Token, index).line;
        if (!render_token(render, &index, frame, error))
            return false;
        if (++output->steps > STEPS_MAX || output->text->len > OUTPUT_MAX_BYTES)
            return template_fail(error, render->file, line, "the page gets too large");
    }
    return true;
}

static bool render_file(Output *output, const char *file, const char *text, const Frame *frame, GError **error)
{
    g_autoptr(GArray) tokens = template_parse(file, text, error);
    if (!tokens)
        return false;
    Render render = {output, file, tokens};
    output->depth++;
    bool good = render_range(&render, 0, tokens->len, frame, error);
    output->depth--;
    return good;
}

/* --- files --- */

static bool is_ignored(const Output *output, const char *name)
{
    return output->ignored && g_ptr_array_find_with_equal_func(output->ignored, name, g_str_equal, NULL);
}

/* The path of the administrator's template, NULL when ours is used. */
static char *overriding_path(const Output *output, const char *name)
{
    g_autofree char *path = layout.folder ? g_build_filename(layout.folder, name, NULL) : NULL;
    bool counts = path && !is_ignored(output, name) && g_file_test(path, G_FILE_TEST_EXISTS);
    return counts ? g_steal_pointer(&path) : NULL;
}

/* A template by its name. QWD_ERROR_NOT_FOUND: it cannot be read, which whoever asked for it has to tell. */
static bool render_name(Output *output, const char *name, const Frame *frame, GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (*name == '.' || strchr(name, '/'))
        return qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "\"%s\" is not the name of a template", name);
    g_autofree char *own = overriding_path(output, name), *path = g_build_filename(output->folder, name, NULL);
    g_autofree char *text = file_read(own ? own : path, FILE_MAX_BYTES, NULL, &cause);
    bool good = text && render_file(output, own ? own : name, text, frame, error);
    if (!text)
        qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "%s", cause->message);
    if (!good && own && !output->culprit)
        output->culprit = g_strdup(name);
    return good;
}

/* What every template can use. */
static json_t *common_values(void)
{
    json_t *values = json_pack("{s:s, s:[], s:n, s:n, s:n, s:n}", "lang", catalogue_language(), "languages", "brand",
                               "logo", "header", "footer");
    if (layout.values)
        json_object_update(values, layout.values);
    return values;
}

/* Of a template in memory, or of a file when there is no text. */
static char *render_once(Output *output, const char *name, const char *text, const json_t *values, GError **error)
{
    g_autoptr(GString) result = g_string_new(NULL);
    output->text = result;
    output->steps = 0;
    output->depth = 0;
    g_autoptr(JsonValue) common = common_values();
    Frame outermost = {common, NULL}, frame = {values, &outermost};
    bool good = text ? render_file(output, name, text, &frame, error) : render_name(output, name, &frame, error);
    return good ? g_string_free(g_steal_pointer(&result), FALSE) : NULL;
}

/* Without those of the administrator's templates that turn out to be broken. A template of ours that is missing is a
 * fault of the service, so every kind of trouble becomes an internal error. */
static char *render(Output *output, const char *name, const char *text, const json_t *values, GError **error)
{
    g_autoptr(GPtrArray) ignored = g_ptr_array_new_with_free_func(g_free);
    output->ignored = ignored;
    for (;;) {
        g_autoptr(GError) cause = NULL;
        char *page = render_once(output, name, text, values, &cause);
        if (page)
            return page;
        if (!output->culprit) {
            qwd_error_fail(error, QWD_ERROR_INTERNAL, "%s", cause->message);
            return NULL;
        }
        g_ptr_array_add(layout.troubles, g_strdup(cause->message));
        g_ptr_array_add(ignored, g_steal_pointer(&output->culprit));
    }
}

char *template_render_text(const char *folder, const char *name, const char *text, const json_t *values, GError **error)
{
    Output output = {.folder = folder, .append = template_escape};
    return render(&output, name, text, values, error);
}

char *template_render(const char *folder, const char *name, const json_t *values, GError **error)
{
    return template_render_text(folder, name, NULL, values, error);
}

char *template_render_plain(const char *folder, const char *name, const json_t *values, GError **error)
{
    Output output = {.folder = folder, .append = append_flat};
    return render(&output, name, NULL, values, error);
}

/* --- the administrator's --- */

void template_use_layout(const char *folder, json_t *values)
{
    g_free(layout.folder);
    json_decref(layout.values);
    layout.folder = g_strdup(folder);
    layout.values = values;
    if (!layout.troubles)
        layout.troubles = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_set_size(layout.troubles, 0);
}

const GPtrArray *template_troubles(void)
{
    return layout.troubles;
}
