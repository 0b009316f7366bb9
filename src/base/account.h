/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Root and the service account. The account runs QEMU, so it is what an attacker holds first: root never opens,
 * creates, renames or removes anything in a folder that belongs to the account. It has the account do such work, in a
 * child that shares nothing with root which could be used against it: no terminal, no descriptor, no environment beyond
 * what programs need, and no other process of the account may trace it. Nothing else changes the ids of a process.
 *
 * Call both functions before the first thread of the process starts. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/* A piece of work for the account. */
typedef struct {
    /* Runs in the child. Returns its result (g_free), or NULL with an error. */
    char *(*run)(void *data, GError **error);
    void *data;
    /* Run in root's process when the work calls account_confirm and account_progress. NULL: "no", and nothing. */
    bool (*confirm)(const char *question, bool otherwise);
    void (*progress)(int percent);
    int fd;       /* a descriptor for the work, under its number; root's process closes it; 0: none */
    bool is_long; /* the work serves until it is stopped: SIGTERM and SIGINT are for it to handle */
} AccountWork;

/* Has the account `user` do the work, and waits for its end. The child's output is copied to our streams; on a terminal
 * without control characters, but for colours. Signals that end this process end the child as well.
 * Returns the work's result (g_free), or NULL with its error; QWD_ERROR_CONFIG when there is no such account or it is
 * root itself. A process that is not root does the work itself. */
char *account_run(const char *user, const AccountWork *work, GError **error);

/* Whether this process has the rights of root. */
bool account_is_root(void);

/* Whether this process is such a child. */
bool account_is_child(void);

/* In the child: has root's process ask a question; false where there is nobody to ask. */
bool account_confirm(const char *question, bool otherwise);

/* In the child: tells root's process how far the work is. */
void account_progress(int percent);

/* Whether standard input (0), output (1) or error (2) is a terminal; in the child: of root's process. */
bool account_has_terminal(int fd);

/* A program that root has started for the account, without a terminal: becomes the account `user` for good. Its
 * standard streams may be no terminals. A process that is not root stays what it is. Errors are QWD_ERROR_CONFIG or
 * QWD_ERROR_INTERNAL; after one the process must not go on: it may be half-way. */
bool account_drop(const char *user, GError **error);

/* Whether people, or root's own programs, work under this account: root, and the accounts above those of the system
 * that have a shell to log in with. Programs that serve others, such as proxies, have accounts of the system. */
bool account_is_of_people(uid_t account);
