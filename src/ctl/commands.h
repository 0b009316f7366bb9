/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The commands of qwdctl: dispatch, help, man page and completion are made from one table. */
#pragma once

#include "core/arguments.h"

typedef struct {
    const char *name;
    const char *arguments; /* for the usage line */
    const char *help;
    int min, max; /* how many arguments may follow the name, options left out */
    bool (*run)(Arguments *arguments, GError **error);
} Command;

/* All commands; the end is a row without a name. */
extern const Command commands[];

/* The words after the command's name, options (--...) left out. Free with g_strfreev. */
char **command_words(const Arguments *arguments);

/* Whether an option such as "--json" was given. */
bool command_option(const Arguments *arguments, const char *option);

bool command_start(Arguments *arguments, GError **error);
bool command_stop(Arguments *arguments, GError **error);
bool command_save(Arguments *arguments, GError **error);
bool command_status(Arguments *arguments, GError **error);
bool command_clean(Arguments *arguments, GError **error);
bool command_backoff(Arguments *arguments, GError **error);
bool command_totp(Arguments *arguments, GError **error);
bool command_refresh(Arguments *arguments, GError **error);
bool command_docs(Arguments *arguments, GError **error);
bool command_help(Arguments *arguments, GError **error);
bool command_version(Arguments *arguments, GError **error);
