/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Many processes that do the same thing at the same time, as CGI programs do. */
#pragma once

#include <glib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONCURRENT_PROCESSES 8

typedef void (*ConcurrentWork)(int number, int out, const void *data);

/* Runs `work` in CONCURRENT_PROCESSES processes that begin together. Each writes to `out`, at most PIPE_BUF
 * bytes at once. Returns all they have written (g_free). */
static inline char *concurrent_run(ConcurrentWork work, const void *data)
{
    int start[2], output[2], status;
    pid_t children[CONCURRENT_PROCESSES];
    g_assert_cmpint(pipe(start), ==, 0);
    g_assert_cmpint(pipe(output), ==, 0);
    for (int i = 0; i < CONCURRENT_PROCESSES; i++) {
        children[i] = fork();
        g_assert_cmpint(children[i], >=, 0);
        if (children[i] == 0) {
            char go;
            close(start[1]);
            if (read(start[0], &go, 1) == 0) /* ends for all at once */
                work(i, output[1], data);
            _exit(0);
        }
    }
    close(start[0]);
    close(start[1]);
    close(output[1]);
    GString *all = g_string_new(NULL);
    char buffer[4096];
    for (ssize_t n; (n = read(output[0], buffer, sizeof buffer)) > 0;)
        g_string_append_len(all, buffer, n);
    close(output[0]);
    for (int i = 0; i < CONCURRENT_PROCESSES; i++)
        g_assert_true(waitpid(children[i], &status, 0) == children[i] && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return g_string_free(all, FALSE);
}

/* For work that says no more than yes or no. */
static inline void concurrent_answer(int out, bool yes)
{
    g_assert_cmpint(write(out, yes ? "y" : "n", 1), ==, 1);
}

static inline int concurrent_count(const char *said, char letter)
{
    int count = 0;
    for (; *said; said++)
        count += *said == letter;
    return count;
}
