/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Boot scripts: what is run inside a machine once it has booted. Which ones a session gets is decided when it is
 * created; what came of each stands in its record.
 *
 * A script is written as
 *   exec:COMMANDS   commands for sh                bash:COMMANDS   commands for bash
 *   /PATH           a file of the server           https://URL     a file from elsewhere (http:// as well)
 *   qemu:OPTIONS    no script: more options of QEMU, for administrators
 *
 * In a shell script the words @USER@, @SESSION_NAME@, @VM@ and @PW@ stand for values. They become references to
 * variables that are set in front, as the quotes around the word need it (core/runner.h): the shell that runs the
 * script never reads a value as code. */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "core/scope.h"
#include "core/settings.h"

#define SCRIPT_MAX_BYTES 65536 /* of a file */

/* What stands in a record is limited: with it, the record. */
#define SCRIPT_SOURCE_MAX_BYTES 8192
#define SCRIPT_OUTPUT_MAX_BYTES 4096
#define SCRIPTS_MAX 8

typedef enum { SCRIPT_SH, SCRIPT_BASH, SCRIPT_FILE, SCRIPT_URL, SCRIPT_QEMU, SCRIPT_KINDS } ScriptKind;

typedef enum {
    SCRIPT_WAITING, /* for the guest */
    SCRIPT_RUNNING,
    SCRIPT_DONE,
    SCRIPT_FAILED, /* it could not be run, or it did not answer; exit_code is -1 */
    SCRIPT_STATES
} ScriptState;

const char *script_state_name(ScriptState state);

/* A script of a session, and what came of it. */
typedef struct {
    char *name;   /* its section in the table, "config_script", or "form" */
    char *source; /* as written */
    ScriptState state;
    char *method;       /* how the guest got it: "agent", "cloud-init", "customize"; "" not yet */
    char *output;       /* its end, valid UTF-8; for one that could not be run, why */
    gint64 exit_code;   /* of a script that has ended */
    gint64 duration_ms; /* the same */
} BootScript;

/* For a GPtrArray of BootScript *. */
void script_free(void *script);

/* Sets how far it is. Of the output the end is kept, as text: valid UTF-8 without control characters. */
void script_set_result(BootScript *script, ScriptState state, const char *method, const char *output);

BootScript *script_from_json(const json_t *object);

/* Who wrote it decides what it may be: from a form neither paths nor options. */
typedef enum { SCRIPT_BY_ADMINISTRATOR, SCRIPT_BY_FORM_TEXT, SCRIPT_BY_FORM } ScriptAuthor;

/* What kind of script it is, and where its text, path, URL or options begin. QWD_ERROR_CONFIG (of an administrator) or
 * QWD_ERROR_USAGE says what is allowed. */
bool script_parse(const char *source, ScriptAuthor author, ScriptKind *kind, const char **rest, GError **error);

/* Whether it is no script for the guest, but options of QEMU. */
bool script_is_options(const BootScript *script);

/* Adds to `scripts` (BootScript *) those of scripts.conf and config_script that are for this subject. */
bool scripts_choose(const Settings *settings, const Subject *subject, GPtrArray *scripts, GError **error);

/* Whether sessions could start with config_script and file_mount_script, and with those and the table: also the entries
 * that are for some only. QWD_ERROR_CONFIG names what is wrong. */
bool scripts_check_settings(const Settings *settings, GError **error);
bool scripts_check_table(const Settings *settings, GError **error);

/* Adds the script that mounts folders (file_mount_script), if there is one. */
bool scripts_add_mount(const Settings *settings, GPtrArray *scripts, GError **error);

/* For a machine that takes no scripts (script_method = none): only options of QEMU stay. QWD_ERROR_USAGE when a user
 * has written one for it. */
bool scripts_keep_options(GPtrArray *scripts, GError **error);

/* Adds the script of a form; "" adds none. QWD_ERROR_DENIED where the setting form_script does not allow it. */
bool scripts_add_form(const Settings *settings, const char *source, GPtrArray *scripts, GError **error);

/* The further options of QEMU that a session's scripts ask for, @SESSION_NAME@ replaced. Free with g_strfreev. */
char **scripts_qemu_options(const GPtrArray *scripts, const char *session_id, GError **error);
