/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What another program writes, in a file that never grows beyond a limit. The program writes into a pipe, which is
 * emptied from the main context: the newest half of the limit stands in PATH, what was before it in PATH.1. A program
 * that writes more than some MB in a second has to wait; nobody else waits, and no disk fills up. */
#pragma once

#include <glib.h>

typedef struct BoundedLog BoundedLog;

/* A log that begins anew; a file that is there becomes PATH.1. *writer is the pipe's end for the program, to be closed
 * by the caller once the program has it. NULL on error. */
BoundedLog *bounded_log_open(const char *path, gint64 max_bytes, int *writer, GError **error);

/* Takes over what the pipe holds now, for those who want to read the file when the program has ended. */
void bounded_log_catch_up(BoundedLog *log);

/* Catches up, and closes. NULL is fine. What is written afterwards is lost. */
void bounded_log_close(BoundedLog *log);

/* What a log holds, oldest first; may hold zeros, one more stands behind it. "" when there is none. Free with g_free.
 */
char *bounded_log_read(const char *path, size_t *length);
