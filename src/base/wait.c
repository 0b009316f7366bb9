/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/wait.h"

#include "base/error.h"

static gboolean on_deadline(gpointer data)
{
    *(bool *)data = true;
    return G_SOURCE_REMOVE;
}

static bool is_cancelled; /* of the process: its end concerns everything that it waits for */

void wait_cancel(bool cancelled)
{
    is_cancelled = cancelled;
    g_main_context_wakeup(NULL);
}

bool wait_is_cancelled(void)
{
    return is_cancelled;
}

static bool wait_for(WaitCondition condition, void *data, int deadline_ms, const bool *given_up, GError **error)
{
    bool expired = false;
    guint timer = g_timeout_add((guint)deadline_ms, on_deadline, &expired);
    while (!condition(data) && !expired && !*given_up)
        g_main_context_iteration(NULL, TRUE);
    if (!expired)
        g_source_remove(timer);
    if (condition(data))
        return true;
    if (*given_up)
        return qwd_error_fail(error, QWD_ERROR_CANCELLED, "Somebody asked for the end meanwhile.");
    return qwd_error_fail(error, QWD_ERROR_TIMEOUT, "No answer within %.1f s.", deadline_ms / 1000.0);
}

bool wait_until(WaitCondition condition, void *data, int deadline_ms, GError **error)
{
    static const bool never;
    return wait_for(condition, data, deadline_ms, &never, error);
}

bool wait_unless_cancelled(WaitCondition condition, void *data, int deadline_ms, GError **error)
{
    return wait_for(condition, data, deadline_ms, &is_cancelled, error);
}
