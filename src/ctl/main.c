/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl: the administrator's and the local user's command. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app/local.h"
#include "base/account.h"
#include "base/error.h"
#include "base/fd.h"
#include "ctl/commands.h"
#include "ctl/json_mode.h"
#include "ctl/output.h"

char **command_words(const Arguments *arguments)
{
    g_autoptr(GStrvBuilder) words = g_strv_builder_new();
    for (char **word = arguments->rest + (*arguments->rest != NULL); *word; word++) {
        if (!g_str_has_prefix(*word, "--"))
            g_strv_builder_add(words, *word);
    }
    return g_strv_builder_end(words);
}

bool command_option(const Arguments *arguments, const char *option)
{
    return *arguments->rest && g_strv_contains((const char *const *)arguments->rest + 1, option);
}

const char *command_option_value(const Arguments *arguments, const char *option)
{
    size_t length = strlen(option);
    for (char **word = arguments->rest + (*arguments->rest != NULL); *word; word++) {
        if (strncmp(*word, option, length) == 0 && (*word)[length] == '=')
            return *word + length + 1;
    }
    return NULL;
}

const Command *command_find(const char *word)
{
    static const struct {
        const char *name, *command;
    } others[] = {{"update", "download"}};
    const char *name = g_str_has_prefix(word, "--") ? word + 2 : word;
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        if (g_str_equal(others[i].name, name))
            name = others[i].command;
    }
    for (const Command *command = commands; command->name; command++) {
        if (g_str_equal(command->name, name))
            return command;
    }
    return NULL;
}

static bool is_named(const char *option, const char *name, size_t length)
{
    return strncmp(option, name, length) == 0 && strcspn(option, "=") == length;
}

OptionKind command_option_kind(const Command *command, const char *name, size_t length)
{
    g_auto(GStrv) known = g_strsplit_set(command->arguments, " []|", -1);
    if (is_named("--json", name, length) || is_named("--help", name, length))
        return OPTION_PLAIN;
    for (char **option = known; *option; option++) {
        if (is_named(*option, name, length))
            return (*option)[length] == '=' ? OPTION_WITH_VALUE : OPTION_PLAIN;
    }
    return OPTION_ABSENT;
}

static bool has_option(const Command *command, const char *word)
{
    size_t length = strcspn(word, "=");
    return command_option_kind(command, word, length) == (word[length] == '=' ? OPTION_WITH_VALUE : OPTION_PLAIN);
}

static bool check_options(const Arguments *arguments, const Command *command, GError **error)
{
    for (char **word = arguments->rest + 1; *word; word++) {
        if (g_str_has_prefix(*word, "--") && !has_option(command, *word))
            return qwd_error_fail(error, QWD_ERROR_USAGE,
                                  "qwdctl %s has no option %s. `qwdctl help settings` lists the settings.",
                                  command->name, *word);
    }
    return true;
}

/* Without settings a command is not run, but for these; those that are there to mend them know why there are none
 * (arguments->trouble), which is then something in a file. */
static bool check_settings(const Arguments *arguments, const Command *command, GError **error)
{
    static const char *const mending[] = {"edit", "doctor", NULL}, *const others[] = {"help", "version", NULL};
    const GError *trouble = arguments->trouble;
    bool is_in_file = g_error_matches(trouble, QWD_ERROR, QWD_ERROR_CONFIG);
    if (!trouble || g_strv_contains(others, command->name) || (is_in_file && g_strv_contains(mending, command->name)))
        return true;
    g_propagate_error(error, g_error_copy(trouble));
    return false;
}

typedef struct {
    Arguments *arguments;
    bool (*run)(Arguments *arguments, GError **error);
} Part;

/* "" for a success. In JSON mode the object is printed here, also that of an error, which is then returned as its code
 * and its message: root's process has to know of it, and must not print it again. */
static char *run_part(void *data, GError **error)
{
    const Part *part = data;
    bool as_json = json_mode_is_on();
    g_autoptr(GError) cause = NULL;
    bool good = part->run(part->arguments, &cause);
    json_mode_end(*part->arguments->rest ? *part->arguments->rest : "status", cause);
    if (good)
        return g_strdup("");
    if (as_json)
        return g_strdup_printf("%d\n%s", cause->domain == QWD_ERROR ? cause->code : QWD_ERROR_INTERNAL, cause->message);
    g_propagate_error(error, g_steal_pointer(&cause));
    return NULL;
}

static bool read_result(const char *result, GError **error)
{
    const char *message = strchr(result, '\n');
    json_mode_discard();
    return !message ||
           qwd_error_fail(error, (QwdErrorKind)CLAMP(atoi(result), 0, QWD_ERROR_INTERNAL), "%s", message + 1);
}

bool command_run_by_account(Arguments *arguments, bool (*run)(Arguments *arguments, GError **error), GError **error)
{
    Part part = {arguments, run};
    AccountWork work = {.run = run_part, .data = &part, .confirm = output_confirm};
    g_autofree char *result = account_run(arguments->settings->service_user, &work, error);
    return result && read_result(result, error);
}

static bool run_command(Arguments *arguments, const Command *command, GError **error)
{
    return command->by_account ? command_run_by_account(arguments, command->run, error)
                               : command->run(arguments, error);
}

static bool wants_help(const Arguments *arguments)
{
    g_auto(GStrv) words = command_words(arguments);
    return command_option(arguments, "--help") || g_strv_contains((const char *const *)words, "-h");
}

static bool run(Arguments *arguments, GError **error)
{
    const char *word = *arguments->rest ? *arguments->rest : "status";
    const Command *command = command_find(word);
    if (!command)
        return qwd_error_fail(error, QWD_ERROR_USAGE, "There is no command \"%s\". `qwdctl help` lists them.", word);
    if (wants_help(arguments))
        return help_print(command);
    if (*arguments->rest && !check_options(arguments, command, error))
        return false;
    g_auto(GStrv) words = command_words(arguments);
    int count = (int)g_strv_length(words);
    if (count < command->min || count > command->max)
        return qwd_error_fail(error, QWD_ERROR_USAGE, "Usage: qwdctl %s %s", command->name, command->arguments);
    return check_settings(arguments, command, error) && run_command(arguments, command, error);
}

/* `qwdctl --json` is `qwdctl status --json`. */
static void name_status(Arguments *arguments)
{
    if (!*arguments->rest || !g_str_equal(*arguments->rest, "--json"))
        return;
    g_autoptr(GStrvBuilder) words = g_strv_builder_new();
    g_strv_builder_add(words, "status");
    g_strv_builder_addv(words, (const char **)arguments->rest);
    g_strfreev(arguments->rest);
    arguments->rest = g_strv_builder_end(words);
}

int main(int argc, char **argv)
{
    fd_open_standard();
    fd_check_output_at_exit();
    if (account_is_root())
        umask(S_IWGRP | S_IWOTH); /* the service account reads what root writes, but for what has a mode of its own */
    g_autoptr(GError) error = NULL;
    g_auto(Arguments) arguments = {0};
    local_arguments_read(&arguments, argc, argv, &arguments.trouble);
    name_status(&arguments);
    if (command_option(&arguments, "--json"))
        json_mode_begin();
    bool good = run(&arguments, &error);
    json_mode_end(*arguments.rest ? *arguments.rest : "status", error);
    if (good)
        return 0;
    output_note("qwdctl: %s", error->message);
    return qwd_error_traits(error)->exit_code;
}
