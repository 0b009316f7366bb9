/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <stdio.h>

#include "base/error.h"
#include "ctl/commands.h"

static void print_commands(void)
{
    printf("qwdctl COMMAND [--config=FILE] [--key=value ...]\n\n");
    for (const Command *command = commands; command->name; command++)
        printf("  %s%s%s\n      %s\n", command->name, *command->arguments ? " " : "", command->arguments,
               command->help);
    printf("\nEvery setting can be given as --key=value; `qwdctl help settings` lists them.\n"
           "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused, 5 try again later.\n");
}

static bool print_command(const char *name, GError **error)
{
    const Command *command = command_find(name);
    if (!command)
        return qwd_error_fail(error, QWD_ERROR_USAGE, "There is no help on \"%s\". `qwdctl help` lists the commands.",
                              name);
    printf("qwdctl %s%s%s\n\n%s\n", command->name, *command->arguments ? " " : "", command->arguments, command->help);
    return true;
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
