/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/wait.h"

#include "base/error.h"

static gboolean on_deadline(gpointer data)
{
    *(bool *)data = true;
    return G_SOURCE_REMOVE;
}

bool wait_until(WaitCondition condition, void *data, int deadline_ms, GError **error)
{
    bool expired = false;
    guint timer = g_timeout_add((guint)deadline_ms, on_deadline, &expired);
    while (!condition(data) && !expired)
        g_main_context_iteration(NULL, TRUE);
    if (!expired)
        g_source_remove(timer);
    if (condition(data))
        return true;
    return qwd_error_fail(error, QWD_ERROR_TIMEOUT, "No answer within %.1f s.", deadline_ms / 1000.0);
}
