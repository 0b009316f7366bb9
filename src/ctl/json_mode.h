/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl CMD --json: standard output is one JSON value and nothing else, whatever the command prints. Lines that it
 * prints are collected; a command that has an object of its own for programs gives it to output_json. Notes, progress
 * and questions stay on standard error. */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

/* From now on standard output is collected. */
void json_mode_begin(void);
bool json_mode_is_on(void);

/* Takes the command's own value; a second one replaces it. */
void json_mode_take(json_t *value);

/* Prints the value: the command's own, else {"command", "done": [lines]}; an error of the command as "error" with kind,
 * message, exit_code and advice. A list of the command's own stands for itself. Standard output is as before then. */
void json_mode_end(const char *command, const GError *error);

/* The same without a word: another process has printed it. */
void json_mode_discard(void);
