/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Waiting for an event with a deadline, instead of sleeping: the main context
 * goes on serving everything else meanwhile. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef bool (*WaitCondition)(void *data);

/* Serves the default main context until condition(data) holds. False with QWD_ERROR_TIMEOUT after deadline_ms. */
bool wait_until(WaitCondition condition, void *data, int deadline_ms, GError **error);
