/* SPDX-License-Identifier: AGPL-3.0-or-later
 * passt(1), in the foreground and as our child: it writes no file, which Debian's AppArmor profile would refuse. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "base/process.h"
#include "vm/child_messages.h"
#include "vm/name_servers.h"

typedef struct {
    ProcessId id;
    ChildMessages messages;
} Passt;

/* Starts passt with its end of a stream of frames, which is closed here. The struct must stay where it is until
 * passt_end. QWD_ERROR_UNAVAILABLE when there is no passt. */
bool passt_start(Passt *passt, int passt_fd, const NameServers *servers, GError **error);

/* Asks passt by way of `fd`, a guest's end of the stream, and waits until an answer has come from there, which is
 * taken. QWD_ERROR_UNAVAILABLE when the stream ends instead, QWD_ERROR_TIMEOUT. */
bool passt_await(int fd, GError **error);

/* Ends it. Accepts one that was never started. */
void passt_end(Passt *passt);
