/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl docs: the documents that are made from tables (settings, machine attributes, commands), so that they never
 * drift from the programs. scripts/make-docs puts them in their places. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "core/machine.h"
#include "core/settings.h"
#include "ctl/commands.h"

/* --- sample settings file --- */

/* Comment lines of at most 100 characters. */
static void print_comment(const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    size_t column = 0;
    for (char **word = words; *word; word++) {
        if (column + strlen(*word) > 98)
            column = 0;
        column += (size_t)printf("%s %s", column ? "" : (word == words ? "#" : "\n#"), *word);
    }
    printf("\n");
}

static void print_sample(void)
{
    printf("# Settings of qemu-web-desktop: key = value. Lines that begin with # are comments; what stands in them are "
           "the\n"
           "# defaults. Files config.d/*.conf beside this one are read after it. `qwdctl help settings` explains all "
           "keys.\n");
    for (const SettingRow *row = settings_rows(); row->key || row->chapter; row++) {
        if (row->chapter) {
            printf("\n# --- %s ---\n", row->chapter);
            continue;
        }
        g_autofree char *allowed = settings_allowed_text(row);
        g_autofree char *help = g_strdup_printf("%s (%s)", row->help, allowed);
        printf("\n");
        print_comment(help);
        printf("#%s = %s\n", row->key, row->default_text);
    }
}

/* --- chapters of CONFIGURE.md --- */

static void print_cell(const char *text)
{
    for (const char *c = text; *c; c++)
        printf(*c == '|' ? "\\%c" : "%c", *c);
}

static void print_reference(void)
{
    for (const SettingRow *row = settings_rows(); row->key || row->chapter; row++) {
        if (row->chapter) {
            printf("\n### %s\n\n| key | default | accepts | what it does |\n|---|---|---|---|\n", row->chapter);
            continue;
        }
        g_autofree char *allowed = settings_allowed_text(row);
        printf("| `%s` | %s%s%s | %s | ", row->key, *row->default_text ? "`" : "", row->default_text,
               *row->default_text ? "`" : "", allowed);
        print_cell(row->help);
        printf(" |\n");
    }
}

static void print_attributes(void)
{
    printf("| attribute | accepts | what it is |\n|---|---|---|\n");
    for (const MachineAttribute *attribute = machine_attributes(); attribute->key; attribute++) {
        g_auto(GStrv) words = g_strsplit(attribute->allowed, " ", -1);
        g_autofree char *allowed = g_strjoinv(", ", words);
        printf("| `%s` | %s | %s |\n", attribute->key, *allowed ? allowed : "text", attribute->help);
    }
}

/* --- man pages --- */

/* roff: a backslash is "\e", a hyphen that is typed is "\-", a line must not begin with a dot or quote. */
static void print_roff(const char *text)
{
    if (*text == '.' || *text == '\'')
        printf("\\&");
    for (const char *c = text; *c; c++) {
        if (*c == '\\')
            printf("\\e");
        else
            printf(*c == '-' ? "\\%c" : "%c", *c);
    }
}

static void print_title(const char *name, int section, const char *summary)
{
    printf(".\\\" Made by `make docs` from the tables of the program.\n.TH %s %d \"\" \"qemu-web-desktop\"\n.SH NAME\n",
           name, section);
    print_roff(name);
    printf(" \\- %s\n", summary);
}

static void print_entry(const char *head, const char *text)
{
    printf(".TP\n.B ");
    print_roff(head);
    printf("\n");
    print_roff(text);
    printf("\n");
}

static void print_examples(void)
{
    printf(".SH EXAMPLES\n.nf\n");
    for (const Command *command = commands; command->name; command++) {
        print_roff(command->examples);
        printf("\n");
    }
    printf(".fi\n");
}

static void print_man_qwdctl(void)
{
    print_title("qwdctl", 1, "manage remote desktop sessions");
    printf(".SH SYNOPSIS\n.B qwdctl\n.I COMMAND\n[\\fIARGUMENT\\fR ...] [\\-\\-config=\\fIFILE\\fR] "
           "[\\-\\-\\fIkey\\fR=\\fIvalue\\fR "
           "...]\n.SH DESCRIPTION\nStarts, lists and ends sessions of qemu\\-web\\-desktop. Root acts as the service "
           "account; an "
           "ordinary user without the service's rights has sessions of his own. Every setting of "
           "qemu\\-web\\-desktop.conf(5) can be given as \\-\\-\\fIkey\\fR=\\fIvalue\\fR. A command may be written "
           "with two dashes "
           "in front.\n.SH COMMANDS\n");
    for (const Command *command = commands; command->name; command++) {
        g_autofree char *head = g_strdup_printf("%s %s", command->name, command->arguments);
        print_entry(g_strchomp(head), command->help);
    }
    printf(".SH OPTIONS\n");
    for (const CommandOption *option = command_options; option->name; option++)
        print_entry(option->name, option->help);
    print_examples();
    printf(".SH OUTPUT\nWhat was asked for goes to standard output, headings and notes to standard error. Colours are "
           "used "
           "on terminals only. With \\-\\-json standard output is one JSON value: the command's own, or an object with "
           "\"done\", the lines that it would print; after an error with \"error\": its message, exit code and "
           "advice.\n.SH ENVIRONMENT\n");
    print_entry("QWD_CONFIG", "The settings file, when it is not the one in /etc.");
    print_entry("VISUAL, EDITOR", "The editor for edit.");
    print_entry("NO_COLOR", "No colours when it is not empty.");
    print_entry("https_proxy, http_proxy, no_proxy",
                "The way to the web when service_proxy is not set, and hosts without it.");
    printf(".SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused, 5 try again later.\n"
           ".SH SEE ALSO\nqemu\\-web\\-desktop.conf(5), qwd\\-server(1)\n");
}

static void print_man_settings(void)
{
    print_title("qemu-web-desktop.conf", 5, "settings of the remote desktop service");
    printf(".SH DESCRIPTION\nLines of the form \\fIkey\\fR = \\fIvalue\\fR; lines that begin with # or ; are comments. "
           "Files "
           "config.d/*.conf beside the file are read after it. Durations take s, m, h, d, w; sizes take M, G, T.\n");
    for (const SettingRow *row = settings_rows(); row->key || row->chapter; row++) {
        if (row->chapter) {
            g_autofree char *upper = g_ascii_strup(row->chapter, -1);
            printf(".SH %s\n", upper);
            continue;
        }
        g_autofree char *allowed = settings_allowed_text(row);
        g_autofree char *head = g_strdup_printf("%s = %s", row->key, row->default_text);
        g_autofree char *text = g_strdup_printf("%s Accepts %s.", row->help, allowed);
        print_entry(g_strchomp(head), text);
    }
    printf(".SH FILES\n/etc/qemu\\-web\\-desktop/qemu\\-web\\-desktop.conf\n.SH SEE ALSO\nqwdctl(1)\n");
}

/* --- completion --- */

/* What the words of a usage line stand for; the other words in capitals are the user's own. */
static const struct {
    const char *word, *statement;
} completions[] = {
    {"VM", "names=machines"},
    {"ID", "names=sessions"},
    {"KEY", "if [ \"$COMP_CWORD\" -gt 2 ]; then words+=(\"${settings[@]//[-=]/}\"); fi"},
    {"COMMAND", "words+=(\"${commands[@]}\")"},
};

static const char *statement_of(const char *word)
{
    for (size_t i = 0; i < G_N_ELEMENTS(completions); i++) {
        if (g_str_equal(completions[i].word, word))
            return completions[i].statement;
    }
    return NULL;
}

/* One branch for each command, made of its usage line: the words themselves, then what finds more of them. */
static void print_branch(const Command *command)
{
    g_auto(GStrv) words = g_strsplit_set(command->arguments, " []|", -1);
    g_autoptr(GString) plain = g_string_new(NULL), statements = g_string_new(NULL);
    bool takes_file = g_str_equal(command->name, "start");
    for (char **word = words; *word; word++) {
        bool is_example = g_str_has_prefix(*word, "--key=") || g_str_has_prefix(*word, "...");
        if (g_str_has_suffix(*word, "..."))
            (*word)[strlen(*word) - strlen("...")] = '\0';
        bool is_option = g_str_has_prefix(*word, "--");
        const char *statement = statement_of(*word), *value = is_option ? strchr(*word, '=') : NULL;
        takes_file = takes_file || g_str_equal(*word, "FILE");
        if (statement)
            g_string_append_printf(statements, "; %s", statement);
        else if (**word && !is_example && !g_ascii_isupper(**word) && !g_str_equal(*word, "--json")) /* all have it */
            g_string_append_printf(plain, "%s%.*s", plain->len ? " " : "",
                                   (int)(value ? value + 1 - *word : (gssize)strlen(*word)), *word);
    }
    printf("    %s) words=(%s)%s%s ;;\n", command->name, plain->str, statements->str, takes_file ? "; files=yes" : "");
}

static void print_settings_words(void)
{
    printf("    local settings=(");
    for (const SettingRow *row = settings_rows(); row->key || row->chapter; row++) {
        if (row->key)
            printf("--%s= ", row->key);
    }
    printf("--config=)\n");
}

/* Names of files come in here: none of them is ever expanded (as compgen -W would), and each is quoted. */
static void print_completion(void)
{
    printf("# bash completion for qwdctl, made by `make docs`.\n_qwdctl() {\n    local commands=(");
    for (const Command *command = commands; command->name; command++)
        printf("%s%s", command == commands ? "" : " ", command->name);
    printf(")\n");
    print_settings_words();
    printf("    local word=${COMP_WORDS[COMP_CWORD]} words=() names='' files='' candidate quoted\n"
           "    if [ \"$COMP_CWORD\" = 1 ]; then words=(\"${commands[@]}\"); else case ${COMP_WORDS[1]#--} in\n");
    for (const Command *command = commands; command->name; command++)
        print_branch(command);
    printf(
        "    esac; fi\n"
        "    if [[ $word == -* && $COMP_CWORD -gt 1 ]]; then words+=(\"${settings[@]}\" --json --help); fi\n"
        "    if [ -n \"$names\" ]; then mapfile -t -O ${#words[@]} words < <(qwdctl names \"$names\" 2>/dev/null); fi\n"
        "    if [ -n \"$files\" ]; then mapfile -t -O ${#words[@]} words < <(compgen -f -- \"$word\"); fi\n"
        "    COMPREPLY=()\n"
        "    for candidate in \"${words[@]}\"; do\n"
        "        printf -v quoted %%q \"$candidate\"\n"
        "        if [[ $word == '~'* ]]; then quoted=${quoted#\\\\}; fi\n"
        "        if [[ $candidate == \"$word\"* || $quoted == \"$word\"* ]]; then COMPREPLY+=(\"$quoted\"); fi\n"
        "    done\n"
        "    if [[ ${COMPREPLY[0]} == *= ]]; then compopt -o nospace; fi\n"
        "}\ncomplete -F _qwdctl qwdctl\n");
}

static const struct {
    const char *name;
    void (*print)(void);
} documents[] = {
    {"sample", print_sample},         {"reference", print_reference},       {"attributes", print_attributes},
    {"man-qwdctl", print_man_qwdctl}, {"man-settings", print_man_settings}, {"completion", print_completion},
};

bool command_docs(Arguments *arguments, GError **error)
{
    g_auto(GStrv) words = command_words(arguments);
    for (size_t i = 0; i < G_N_ELEMENTS(documents); i++) {
        if (g_str_equal(*words, documents[i].name)) {
            documents[i].print();
            return true;
        }
    }
    return qwd_error_fail(error, QWD_ERROR_USAGE, "There is no document \"%s\". See: qwdctl help", *words);
}
