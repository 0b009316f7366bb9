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
    bool by_account;      /* root has the service account run it (base/account.h) */
    const char *examples; /* command lines, one on each line; NULL: none */
} Command;

/* What an option of the usage lines does. */
typedef struct {
    const char *name, *help;
} CommandOption;

/* All options; the end is a row without a name. */
extern const CommandOption command_options[];

typedef enum { OPTION_ABSENT, OPTION_PLAIN, OPTION_WITH_VALUE } OptionKind;

/* Whether a command has the option whose name is the first `length` bytes of `name`, as its usage line says: "[--yes]",
 * "[--sha256=SUM]". --json and --help are options of every command. */
OptionKind command_option_kind(const Command *command, const char *name, size_t length);

/* Prints the help of one command. Always true. */
bool help_print(const Command *command);

/* All commands; the end is a row without a name. */
extern const Command commands[];

/* Runs a part of a command by the service account. */
bool command_run_by_account(Arguments *arguments, bool (*run)(Arguments *arguments, GError **error), GError **error);

/* The words after the command's name, options (--...) left out. Free with g_strfreev. */
char **command_words(const Arguments *arguments);

/* Whether an option such as "--json" was given. */
bool command_option(const Arguments *arguments, const char *option);

/* What stands behind an option such as "--sha256="; NULL when it was not given. Borrowed. */
const char *command_option_value(const Arguments *arguments, const char *option);

/* The command of that name, also as the original has it: with two dashes in front, or under another name. NULL when
 * there is none. */
const Command *command_find(const char *word);

/* Whether sessions could start with these settings; QWD_ERROR_CONFIG says all that would refuse them. What is wrong in
 * tables beside them is no more than told, unless `tables_too`. */
bool config_check(const Settings *settings, bool tables_too, GError **error);

/* Makes the page with the form anew, as `qwdctl refresh` does. */
bool refresh_page(const Settings *settings, GError **error);

/* The same after a change that holds whether the page can be written or not: a failure is told, with what to do. */
void refresh_after_change(const Settings *settings);

/* Whether a text can be the template of that page. */
bool refresh_check_template(const Settings *settings, const char *template, GError **error);

/* What is wrong with the administrator's templates and texts (char *). Free with g_ptr_array_unref. */
GPtrArray *refresh_troubles(const Settings *settings);

bool command_start(Arguments *arguments, GError **error);
bool command_stop(Arguments *arguments, GError **error);
bool command_extend(Arguments *arguments, GError **error);
bool command_save(Arguments *arguments, GError **error);
bool command_status(Arguments *arguments, GError **error);
bool command_clean(Arguments *arguments, GError **error);
bool command_log(Arguments *arguments, GError **error);
bool command_metrics(Arguments *arguments, GError **error);
bool command_backoff(Arguments *arguments, GError **error);
bool command_totp(Arguments *arguments, GError **error);
bool command_refresh(Arguments *arguments, GError **error);
bool command_gpu(Arguments *arguments, GError **error);
bool command_gpu_unlock(Arguments *arguments, GError **error);

/* What `qwdctl gpu VENDOR:MODEL` does. */
bool gpu_prepare(const Arguments *arguments, const char *model, GError **error);
bool command_enable(Arguments *arguments, GError **error);
bool command_disable(Arguments *arguments, GError **error);
bool command_download(Arguments *arguments, GError **error);
bool command_edit(Arguments *arguments, GError **error);
bool command_purge(Arguments *arguments, GError **error);
bool command_config(Arguments *arguments, GError **error);
bool command_doctor(Arguments *arguments, GError **error);
bool command_names(Arguments *arguments, GError **error);
bool command_docs(Arguments *arguments, GError **error);
bool command_help(Arguments *arguments, GError **error);
bool command_version(Arguments *arguments, GError **error);
