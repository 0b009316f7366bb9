/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What the guest is given to run boot scripts, as texts for its shell: pure functions.
 *
 * A constant bootstrap, started by the guest's agent, by cloud-init or from the disk, holds nothing of the session. It
 * opens the virtio port RUNNER_PORT, says "hello METHOD" and gets one line: the runner, in base64. The runner runs the
 * scripts from the guest's memory (no file of a disk ever has a password in it) and answers with lines:
 *
 *   start INDEX                    the script begins
 *   result INDEX STATUS OUTPUT     it has ended; the end of its output, in base64
 *   end                            all have
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define RUNNER_PORT "org.qemu-web-desktop.script.0"
#define RUNNER_OUTPUT_MAX_BYTES 4096

/* What the words @USER@, ... stand for. */
typedef struct {
    const char *user, *session_name, *machine, *password;
} RunnerValues;

/* `text` as one word for a shell, whatever is in it but NUL. Free with g_free. */
char *runner_quote(const char *text);

/* A script with its values. Scripts of other interpreters than shells ("#!/usr/bin/python3") stay as they are. Free
 * with g_free, after wiping it where there is a password. */
char *runner_expand(const char *script, const RunnerValues *values);

/* The bootstrap that says "hello `method`": a whole script with #!. Free with g_free. */
char *runner_bootstrap(const char *method);

/* A script of the runner: its text, and the shell that runs it ("" : what its first line says, else sh). */
typedef struct {
    const char *shell;
    const char *text;
} RunnerScript;

/* The line that the bootstrap waits for, its end included. The same holds for it as for runner_expand. */
char *runner_line(const RunnerScript *scripts, size_t count);
