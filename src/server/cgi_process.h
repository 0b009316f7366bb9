/* SPDX-License-Identifier: AGPL-3.0-or-later
 * One run of the CGI program, in three parts, so that the answer can be sent before the program has ended:
 * start, read, end. Every wait ends at the deadline. The calls block; each belongs to the request's own thread. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

typedef struct {
    pid_t pid; /* 0: none */
    int pid_fd;
    int output_fd;
    int stop_fd;        /* borrowed */
    gint64 deadline_us; /* monotonic */
} CgiProcess;

typedef struct {
    const char *program;
    const char *const *environment;
    const GByteArray *input; /* NULL: none */
    int deadline_ms;
    int stop_fd; /* becomes readable when the server ends: the program then gets three seconds more at most */
} CgiStart;

#define CGI_OUTPUT_MAX_BYTES (16 * 1024 * 1024)

/* QWD_ERROR_UNAVAILABLE when the program cannot be started. After success cgi_process_end() must follow. */
bool cgi_process_start(CgiProcess *process, const CgiStart *start, GError **error);

/* Whether what was read is a whole answer. */
typedef bool (*CgiIsComplete)(const char *output, size_t length);

/* Reads the program's output until it is complete, or ended, or the program itself has ended: what the program
 * started and left running may keep the pipe open. QWD_ERROR_TIMEOUT at the deadline, QWD_ERROR_INTERNAL for too
 * much output or a program that a signal ended. */
bool cgi_process_read(CgiProcess *process, GByteArray *output, CgiIsComplete is_complete, GError **error);

/* Reaps the program if it has ended (or never was), without waiting. */
bool cgi_process_try_end(CgiProcess *process);

/* Waits for the end of the program, kills it (not what it started) at the deadline, reaps it. */
void cgi_process_end(CgiProcess *process);
