/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/runner.h"

#include <string.h>

#include "core/quoting.h"

static const char *const shells[] = {"sh", "bash", "dash", "ash", "ksh", "zsh", NULL};

char *runner_quote(const char *text)
{
    GString *word = g_string_new("'");
    for (const char *c = text; *c; c++) {
        if (*c == '\'')
            g_string_append(word, "'\\''");
        else
            g_string_append_c(word, *c);
    }
    g_string_append_c(word, '\'');
    return g_string_free(word, FALSE);
}

/* --- values --- */

static const struct {
    const char *word, *variable;
    size_t offset;
} words[] = {
    {"@USER@", "QWD_USER", offsetof(RunnerValues, user)},
    {"@SESSION_NAME@", "QWD_SESSION_NAME", offsetof(RunnerValues, session_name)},
    {"@VM@", "QWD_VM", offsetof(RunnerValues, machine)},
    {"@PW@", "QWD_PW", offsetof(RunnerValues, password)},
};

/* "#!/usr/bin/env bash", "#!/bin/sh -e" and no such line are shells. */
static bool is_shell_script(const char *script)
{
    if (!g_str_has_prefix(script, "#!"))
        return true;
    g_autofree char *line = g_strndup(script + 2, strcspn(script + 2, "\n"));
    g_auto(GStrv) parts = g_strsplit_set(g_strstrip(line), " \t", -1);
    for (char **part = parts; *part; part++) {
        g_autofree char *name = g_path_get_basename(*part);
        if (**part && !g_str_equal(name, "env") && **part != '-')
            return g_strv_contains(shells, name);
    }
    return false;
}

static void append_assignments(GString *text, const char *script, const RunnerValues *values)
{
    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        const char *value = *(const char *const *)((const char *)values + words[i].offset);
        if (!strstr(script, words[i].word))
            continue;
        g_autofree char *quoted = runner_quote(value ? value : "");
        g_string_append_printf(text, "%s=%s\n", words[i].variable, quoted);
        explicit_bzero(quoted, strlen(quoted));
    }
}

/* In each kind of quotes the one that is the value, no more and no less. All of them are references, whose values no
 * shell reads as code: where the quotes are others than we think, it is split into words, or not replaced. */
static const char *const references[][2] = {
    [QUOTING_NONE] = {"\"$", "\""},
    [QUOTING_DOUBLE] = {"${", "}"},
    [QUOTING_SINGLE] = {"'\"$", "\"'"},
    [QUOTING_ANSI] = {"'\"$", "\"$'"},
};

/* The index of the word that stands there; negative: none. */
static int word_at(const char *script)
{
    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        if (g_str_has_prefix(script, words[i].word))
            return (int)i;
    }
    return -1;
}

/* A backslash before a word would be one before our reference. Where there are no quotes it goes, as it does before a
 * letter; elsewhere it stays one. */
static bool append_escape(GString *text, Quoting quoting, const char *script)
{
    bool is_escape = *script == '\\' && word_at(script + 1) >= 0 &&
                     (quoting == QUOTING_NONE || quoting == QUOTING_DOUBLE || quoting == QUOTING_ANSI);
    if (is_escape && quoting != QUOTING_NONE)
        g_string_append(text, "\\\\");
    return is_escape;
}

static void append_with_references(GString *text, const char *script)
{
    g_auto(QuotingReader) reader = {0};
    quoting_reader_init(&reader, script);
    while (*script) {
        Quoting quoting = quoting_reader_state(&reader);
        script += append_escape(text, quoting, script);
        int word = quoting == QUOTING_LITERAL ? -1 : word_at(script);
        size_t bytes = word < 0 ? quoting_reader_step(&reader, script) : strlen(words[word].word);
        if (word < 0)
            g_string_append_len(text, script, (gssize)bytes);
        else
            g_string_append_printf(text, "%s%s%s", references[quoting][0], words[word].variable,
                                   references[quoting][1]);
        script += bytes;
    }
}

char *runner_expand(const char *script, const RunnerValues *values)
{
    if (!is_shell_script(script))
        return g_strdup(script);
    GString *text = g_string_sized_new(strlen(script) + 256);
    size_t head = g_str_has_prefix(script, "#!") ? strcspn(script, "\n") : 0;
    g_string_append_len(text, script, (gssize)head);
    if (head)
        g_string_append_c(text, '\n');
    append_assignments(text, script + head, values);
    append_with_references(text, head && script[head] ? script + head + 1 : script + head);
    return g_string_free(text, FALSE);
}

/* --- what the guest runs --- */

char *runner_bootstrap(const char *method)
{
    return g_strdup_printf("#!/bin/sh\n"
                           "# Gets the boot script of this session from its host and runs it, once.\n"
                           "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
                           "umask 077\n"
                           "export PATH\n"
                           "device=\n"
                           "for port in /sys/class/virtio-ports/*; do\n"
                           "    [ \"$(cat \"$port/name\" 2>/dev/null)\" = " RUNNER_PORT
                           " ] && device=/dev/${port##*/}\n"
                           "done\n"
                           "[ -e \"$device\" ] || exit 1\n"
                           "exec 3<> \"$device\" || exit 1\n"
                           "echo 'hello %s' >&3\n"
                           "head -n 1 <&3 | base64 -d | sh\n",
                           method);
}

/* Programs that the script leaves running keep neither the port nor our files open for anybody. */
static const char runner_head[] =
    "umask 077\n"
    "for place in /dev/shm /run; do\n"
    "    dir=$(mktemp -d \"$place/boot-script.XXXXXX\") && break\n"
    "done\n"
    "run() { # INDEX SHELL TEXT\n"
    "    echo \"start $1\" >&3\n"
    "    printf '%s' \"$3\" > \"$dir/script\"\n"
    "    chmod 700 \"$dir/script\"\n"
    "    (umask 022; cd /; exec $2 \"$dir/script\" < /dev/null > \"$dir/output\" 2>&1 3>&-)\n"
    "    status=$?\n"
    "    rm -f \"$dir/script\"\n"
    "    output=$(tail -c " G_STRINGIFY(RUNNER_OUTPUT_MAX_BYTES) " \"$dir/output\" | base64 | tr -d '\\n')\n"
                                                                 "    rm -f \"$dir/output\"\n"
                                                                 "    echo \"result $1 $status $output\" >&3\n"
                                                                 "}\n";

static const char runner_tail[] = "rmdir \"$dir\"\n"
                                  "echo end >&3\n";

/* A file without #! is nothing that the kernel could start. */
static const char *shell_of(const RunnerScript *script)
{
    if (*script->shell)
        return script->shell;
    return g_str_has_prefix(script->text, "#!") ? "" : "sh";
}

char *runner_line(const RunnerScript *scripts, size_t count)
{
    GString *text = g_string_new(runner_head);
    for (size_t i = 0; i < count; i++) {
        g_autofree char *quoted = runner_quote(scripts[i].text);
        g_string_append_printf(text, "run %zu '%s' %s\n", i, shell_of(&scripts[i]), quoted);
        explicit_bzero(quoted, strlen(quoted));
    }
    g_string_append(text, runner_tail);
    g_autofree char *encoded = g_base64_encode((const guchar *)text->str, text->len);
    char *line = g_strconcat(encoded, "\n", NULL);
    explicit_bzero(encoded, strlen(encoded));
    explicit_bzero(text->str, text->len);
    g_string_free(text, TRUE);
    return line;
}
