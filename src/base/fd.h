/* SPDX-License-Identifier: AGPL-3.0-or-later
 * File descriptors that close themselves, and UNIX sockets. Every descriptor
 * made here is close-on-exec. */
#pragma once

#include <glib.h>
#include <stdbool.h>

void fd_close_pointed(int *fd);

/* `autofd int fd = -1;` closes when it goes out of scope. */
#define autofd __attribute__((cleanup(fd_close_pointed)))

/* Takes the descriptor out of an autofd variable. */
int fd_steal(int *fd);

/* Longest path of a UNIX socket in bytes, without the closing NUL (unix(7)). */
#define UNIX_PATH_MAX_BYTES 107

/* A listening stream socket at `path`, which must not exist. Only processes of this user can connect to it: bind(2)
 * gives the file the mode of the socket. Returns the descriptor, -1 on error. */
int unix_listen(const char *path, GError **error);

/* A connected stream socket. Returns the descriptor, -1 on error. */
int unix_connect(const char *path, GError **error);

/* A connected pair, for parent and child. */
bool unix_pair(int *ours, int *theirs, GError **error);

/* Opens the standard streams that the caller has closed, so that no other file gets their numbers: nothing can be read
 * from them, and writing fails. Call it first in main(). */
void fd_open_standard(void);

/* Has the program end with an error of its own (exit code 5, and a line on standard error) when something that it has
 * written to standard output did not get there. Call it once in main(). Processes that end with _exit are not
 * concerned. */
void fd_check_output_at_exit(void);

/* Writes all bytes to a blocking descriptor. False with errno. */
bool fd_write_all(int fd, const void *bytes, size_t length);

bool fd_set_nonblocking(int fd, GError **error);
