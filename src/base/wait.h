/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Waiting for an event with a deadline, instead of sleeping: the main context
 * goes on serving everything else meanwhile. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef bool (*WaitCondition)(void *data);

/* Serves the default main context until condition(data) holds. False with QWD_ERROR_TIMEOUT after deadline_ms. */
bool wait_until(WaitCondition condition, void *data, int deadline_ms, GError **error);

/* The same for what is of no use any more once somebody asked for the end: QWD_ERROR_CANCELLED then, at once. */
bool wait_unless_cancelled(WaitCondition condition, void *data, int deadline_ms, GError **error);

/* Gives up all such waits from now on; false takes that back. May be called from within a wait. */
void wait_cancel(bool cancelled);
bool wait_is_cancelled(void);
