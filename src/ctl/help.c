/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "ctl/commands.h"

#define LINE_CHARS 100

static void print_indented(const char *text, size_t indent)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    size_t column = 0;
    for (char **word = words; *word; word++) {
        if (column && column + 1 + strlen(*word) > LINE_CHARS) {
            printf("\n");
            column = 0;
        }
        column += (size_t)printf("%*s%s", column ? 1 : (int)indent, "", *word);
    }
    printf("\n");
}

static void print_usage(const Command *command, size_t indent)
{
    printf("%*s%s%s%s\n", (int)indent, "", command->name, *command->arguments ? " " : "", command->arguments);
}

bool help_print(const Command *command)
{
    printf("qwdctl ");
    print_usage(command, 0);
    printf("\n");
    print_indented(command->help, 0);
    printf("\nOptions:\n");
    for (const CommandOption *option = command_options; option->name; option++) {
        if (command_option_kind(command, option->name, strcspn(option->name, ",")) != OPTION_ABSENT)
            printf("  %-18s %s\n", option->name, option->help);
    }
    g_auto(GStrv) examples = g_strsplit(command->examples ? command->examples : "", "\n", -1);
    if (*examples)
        printf("\nExamples:\n");
    for (char **example = examples; *example; example++)
        printf("  %s\n", *example);
    return true;
}

static void print_commands(void)
{
    printf("qwdctl COMMAND [--config=FILE] [--key=value ...]\n\n");
    for (const Command *command = commands; command->name; command++) {
        print_usage(command, 2);
        print_indented(command->help, 6);
    }
    printf("\nEvery setting can be given as --key=value; `qwdctl help settings` lists them.\n"
           "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused, 5 try again later.\n");
}

static bool print_command(const char *name, GError **error)
{
    const Command *command = command_find(name);
    if (!command)
        return qwd_error_fail(error, QWD_ERROR_USAGE, "There is no help on \"%s\". `qwdctl help` lists the commands.",
                              name);
    return help_print(command);
}

bool command_help(Arguments *arguments, GError **error)
{
    g_auto(GStrv) words = command_words(arguments);
    if (!*words) {
        print_commands();
        return true;
    }
    if (!g_str_equal(*words, "settings"))
        return print_command(*words, error);
    g_autofree char *help = arguments_settings_help();
    fputs(help + 1, stdout);
    return true;
}

bool command_version(Arguments *arguments, GError **error)
{
    (void)arguments;
    (void)error;
    printf("qemu-web-desktop " QWD_VERSION "\n");
    return true;
}
