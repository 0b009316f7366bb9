/* SPDX-License-Identifier: AGPL-3.0-or-later
 * passt(1), in the foreground and as our child: it writes no file, which Debian's AppArmor profile would refuse. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "base/process.h"
#include "vm/name_servers.h"

typedef struct {
    ProcessId id;
    GString *messages;   /* its first ones; NULL: never started */
    int errors;          /* its standard error */
    guint errors_source; /* reads on, so that it never waits */
} Passt;

/* Starts passt with its end of a stream of frames, which is closed here, and waits until it answers on `our_fd`, the
 * other end. The answer is taken from there. QWD_ERROR_UNAVAILABLE with what passt says when it ends instead,
 * QWD_ERROR_TIMEOUT. */
bool passt_start(Passt *passt, int our_fd, int passt_fd, const NameServers *servers, GError **error);

/* Ends it. Accepts one that was never started. */
void passt_end(Passt *passt);
