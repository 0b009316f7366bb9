/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What the two parts of boot scripts share: script.c (which, when, how) and script_port.c (what is said to the guest,
 * and what it says). */
#pragma once

#include "base/secret.h"
#include "session/supervisor.h"

typedef struct ScriptRun {
    Supervisor *supervisor;
    Secret *password;

    /* script_port.c */
    int fd; /* our end of the port; -1: it was not opened */
    guint reader, writer;
    GString *input, *output;
    char *line;    /* the runner, until the guest has got it */
    char *method;  /* by which the guest asked; NULL: it has not */
    bool is_taken; /* it has got the runner */
    bool is_over;
    int lines_left; /* that the guest may send: it has no reason to send more */
    gint64 begin_us;
} ScriptRun;

/* Opens both ends of the port: ours, and the supervisor's script_fd for QEMU. */
bool script_port_open(ScriptRun *run, GError **error);

/* Also what was never opened. */
void script_port_close(ScriptRun *run);

/* The line for the guest is there (runner_line; taken over). It gets it at once when it has asked already. */
void script_port_offer(ScriptRun *run, char *line);

/* Into the record: the script of that number has failed; all that have not ended have. */
void script_note_failure(ScriptRun *run, guint index, const char *why);
void script_give_up(ScriptRun *run, const char *why);
