/* SPDX-License-Identifier: AGPL-3.0-or-later
 * websockify's side of a tunnel: connect to its UNIX socket, ask, read the head of the answer. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct {
    int fd; /* -1: none */
    unsigned status;
    GPtrArray *fields; /* HeadField */
    GByteArray *early; /* what came behind the head */
} Upstream;

void upstream_clear(Upstream *upstream);

/* Sends `request` (a whole HTTP head) to the socket at `path` and reads the answer's head, within ten seconds.
 * QWD_ERROR_UNAVAILABLE: nobody listens; QWD_ERROR_TIMEOUT; QWD_ERROR_NOT_FOUND: it hung up without a word, as
 * websockify does when it does not know the token; QWD_ERROR_INTERNAL: that is no HTTP. */
bool upstream_open(Upstream *upstream, const char *path, const char *request, int stop_fd, GError **error);
