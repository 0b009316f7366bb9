/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Carries bytes between two sockets, both ways, until both have ended. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct {
    int fd;            /* a stream socket, borrowed; becomes non-blocking */
    const void *early; /* what has been read from it before */
    size_t early_length;
} PumpSide;

/* Blocks until both sides have ended, one has failed, or stop_fd becomes readable. When one side ends, the other is
 * told (shutdown(2)) and may go on for ten silent seconds. At most 32 KiB wait in each direction. */
void pump_run(const PumpSide *a, const PumpSide *b, int stop_fd);
