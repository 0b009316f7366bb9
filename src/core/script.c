/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/script.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "core/session_fields.h"

static const char *const state_names[SCRIPT_STATES + 1] = {
    [SCRIPT_WAITING] = "waiting", [SCRIPT_RUNNING] = "running", [SCRIPT_DONE] = "done", [SCRIPT_FAILED] = "failed"};

const Field script_fields[] = {
    FIELD(BootScript, name, TEXT),
    FIELD(BootScript, source, TEXT),
    FIELD_NAMED(BootScript, state, state_names),
    FIELD(BootScript, method, TEXT),
    FIELD(BootScript, output, TEXT),
    FIELD(BootScript, exit_code, INTEGER),
    FIELD(BootScript, duration_ms, INTEGER),
    {0},
};

const char *script_state_name(ScriptState state)
{
    return state_names[state];
}

void script_free(void *script)
{
    if (script)
        fields_clear(script_fields, script);
    g_free(script);
}

BootScript *script_from_json(const json_t *object)
{
    BootScript *script = g_new0(BootScript, 1);
    fields_from_json(script_fields, script, object);
    return script;
}

static bool add(GPtrArray *scripts, const char *name, const char *source, GError **error)
{
    if (scripts->len >= SCRIPTS_MAX)
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "A machine can have %d scripts at most.", SCRIPTS_MAX);
    BootScript *script = g_new0(BootScript, 1);
    *script = (BootScript){
        .name = g_strdup(name), .source = g_strdup(source), .method = g_strdup(""), .output = g_strdup("")};
    g_ptr_array_add(scripts, script);
    return true;
}

/* --- kinds --- */

static const struct {
    const char *prefix;
    ScriptKind kind;
    ScriptAuthor author; /* who may, and whoever stands before them in the list */
    bool keeps_prefix;
} prefixes[] = {
    {"exec:", SCRIPT_SH, SCRIPT_BY_FORM_TEXT, false},       {"bash:", SCRIPT_BASH, SCRIPT_BY_FORM_TEXT, false},
    {"https://", SCRIPT_URL, SCRIPT_BY_FORM, true},         {"http://", SCRIPT_URL, SCRIPT_BY_FORM, true},
    {"qemu:", SCRIPT_QEMU, SCRIPT_BY_ADMINISTRATOR, false}, {"/", SCRIPT_FILE, SCRIPT_BY_ADMINISTRATOR, true},
};

static bool may_write(ScriptAuthor author, size_t row)
{
    bool is_text = prefixes[row].author == SCRIPT_BY_FORM_TEXT;
    return author == SCRIPT_BY_ADMINISTRATOR || is_text || author == prefixes[row].author;
}

static bool refuse(ScriptAuthor author, GError **error)
{
    static const char *const allowed[] = {
        [SCRIPT_BY_ADMINISTRATOR] =
            "exec: or bash: with commands, a path, an address with https:// or http://, or qemu: with options",
        [SCRIPT_BY_FORM_TEXT] = N_("exec: or bash: with commands"),
        [SCRIPT_BY_FORM] = N_("exec: or bash: with commands, or an address with https:// or http://"),
    };
    QwdErrorKind kind = author == SCRIPT_BY_ADMINISTRATOR ? QWD_ERROR_CONFIG : QWD_ERROR_USAGE;
    return qwd_error_fail(error, kind, "script: write %s, at most %d bytes.", allowed[author], SCRIPT_SOURCE_MAX_BYTES);
}

bool script_parse(const char *source, ScriptAuthor author, ScriptKind *kind, const char **rest, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(prefixes); i++) {
        size_t length = strlen(prefixes[i].prefix);
        if (!g_str_has_prefix(source, prefixes[i].prefix) || !source[length] || !may_write(author, i) ||
            strlen(source) > SCRIPT_SOURCE_MAX_BYTES)
            continue;
        *kind = prefixes[i].kind;
        *rest = prefixes[i].keeps_prefix ? source : source + length;
        return true;
    }
    return refuse(author, error);
}

void script_set_result(BootScript *script, ScriptState state, const char *method, const char *output)
{
    g_autofree char *valid = g_utf8_make_valid(output, -1);
    size_t length = strlen(valid), cut = length - MIN(length, SCRIPT_OUTPUT_MAX_BYTES);
    while ((valid[cut] & 0xc0) == 0x80) /* not in the midst of a character */
        cut++;
    for (char *c = valid; *c; c++) {
        if (g_ascii_iscntrl(*c) && *c != '\n' && *c != '\t')
            *c = ' ';
    }
    g_free(script->output);
    g_free(script->method);
    script->output = g_strdup(valid + cut);
    script->method = g_strdup(method);
    script->state = state;
}

bool script_is_options(const BootScript *script)
{
    return g_str_has_prefix(script->source, "qemu:");
}

/* --- which ones --- */

static bool add_checked(GPtrArray *scripts, const char *name, const char *source, GError **error)
{
    ScriptKind kind;
    const char *rest;
    if (!script_parse(source, SCRIPT_BY_ADMINISTRATOR, &kind, &rest, error)) {
        g_prefix_error(error, "[%s] ", name);
        return false;
    }
    return add(scripts, name, source, error);
}

static bool choose_section(GKeyFile *table, const char *section, const Subject *subject, GPtrArray *scripts,
                           GError **error)
{
    if (!scope_check_keys(table, section, "script", error))
        return false;
    g_autofree char *source = scope_value(table, section, "script");
    return !scope_matches(table, section, subject) || add_checked(scripts, section, source, error);
}

static bool add_own(const Settings *settings, GPtrArray *scripts, GError **error)
{
    return !*settings->config_script || add_checked(scripts, "config_script", settings->config_script, error);
}

bool scripts_choose(const Settings *settings, const Subject *subject, GPtrArray *scripts, GError **error)
{
    g_autoptr(GKeyFile) table = scope_table_load(settings->file_scripts, error);
    if (!table || !add_own(settings, scripts, error))
        return false;
    g_auto(GStrv) sections = g_key_file_get_groups(table, NULL);
    for (char **section = sections; *section; section++) {
        if (!choose_section(table, *section, subject, scripts, error)) {
            g_prefix_error(error, "%s: ", settings->file_scripts);
            return false;
        }
    }
    return true;
}

bool scripts_add_mount(const Settings *settings, GPtrArray *scripts, GError **error)
{
    return !*settings->file_mount_script || add_checked(scripts, "folders", settings->file_mount_script, error);
}

bool scripts_keep_options(GPtrArray *scripts, GError **error)
{
    for (guint i = scripts->len; i-- > 0;) {
        const BootScript *script = scripts->pdata[i];
        if (g_str_equal(script->name, "form"))
            return qwd_error_fail(error, QWD_ERROR_USAGE, "script: this machine takes none. Leave the field empty.");
        if (!script_is_options(script))
            g_ptr_array_remove_index(scripts, i);
    }
    return true;
}

bool scripts_add_form(const Settings *settings, const char *source, GPtrArray *scripts, GError **error)
{
    ScriptKind kind;
    const char *rest;
    if (!*source)
        return true;
    if (g_str_equal(settings->form_script, "no"))
        return qwd_error_fail(error, QWD_ERROR_DENIED, "This service takes no scripts from its form.");
    ScriptAuthor author = g_str_equal(settings->form_script, "url") ? SCRIPT_BY_FORM : SCRIPT_BY_FORM_TEXT;
    return script_parse(source, author, &kind, &rest, error) && add(scripts, "form", source, error);
}

/* --- qemu: --- */

static bool add_options(GPtrArray *options, const char *text, const char *session_id, GError **error)
{
    g_auto(GStrv) words = NULL;
    g_autoptr(GError) cause = NULL;
    if (!g_shell_parse_argv(text, NULL, &words, &cause))
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "qemu:%s: %s", text, cause->message);
    for (char **word = words; *word; word++) {
        g_auto(GStrv) parts = g_strsplit(*word, "@SESSION_NAME@", -1);
        g_ptr_array_add(options, g_strjoinv(session_id, parts));
    }
    return true;
}

char **scripts_qemu_options(const GPtrArray *scripts, const char *session_id, GError **error)
{
    g_autoptr(GPtrArray) options = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < scripts->len; i++) {
        const BootScript *script = scripts->pdata[i];
        if (script_is_options(script) && !add_options(options, script->source + strlen("qemu:"), session_id, error))
            return NULL;
    }
    g_ptr_array_add(options, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&options), FALSE);
}

/* --- what administrators have written --- */

static bool check_options(const GPtrArray *scripts, GError **error)
{
    g_auto(GStrv) options = scripts_qemu_options(scripts, "", error);
    return options != NULL;
}

bool scripts_check_settings(const Settings *settings, GError **error)
{
    g_autoptr(GPtrArray) scripts = g_ptr_array_new_with_free_func(script_free);
    return scripts_add_mount(settings, scripts, error) && add_own(settings, scripts, error) &&
           check_options(scripts, error);
}

/* An entry for some comes to what everybody has. */
static bool check_section(GKeyFile *table, const char *section, GPtrArray *scripts, GError **error)
{
    guint before = scripts->len;
    g_autofree char *source = scope_value(table, section, "script");
    bool is_for_all = scope_matches(table, section, &scope_anybody);
    bool good = is_for_all || (add_checked(scripts, section, source, error) && check_options(scripts, error));
    g_ptr_array_set_size(scripts, (int)before);
    return good;
}

bool scripts_check_table(const Settings *settings, GError **error)
{
    g_autoptr(GPtrArray) scripts = g_ptr_array_new_with_free_func(script_free);
    if (!scripts_choose(settings, &scope_anybody, scripts, error))
        return false;
    g_autoptr(GKeyFile) table = scope_table_load(settings->file_scripts, error);
    g_auto(GStrv) sections = table ? g_key_file_get_groups(table, NULL) : NULL;
    bool good = table && check_options(scripts, error);
    for (char **section = sections; good && *section; section++)
        good = check_section(table, *section, scripts, error);
    if (!good)
        g_prefix_error(error, "%s: ", settings->file_scripts);
    return good;
}
