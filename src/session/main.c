/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwd-session ID: runs one session from its start steps to its end; or, when that is over and somebody has asked for
 * it, saves the disk that was kept. */
#include <stdio.h>

#include "app/queue.h"
#include "app/save_own.h"
#include "base/account.h"
#include "base/error.h"
#include "core/arguments.h"
#include "session/supervisor.h"

/* The end of a session is the moment at which there is room for another. */
static void supervise(const Settings *settings, const char *id, GError **error)
{
    if (save_own_is_asked(settings, id))
        save_own_perform(settings, id, error);
    else if (supervisor_run(settings, id, error))
        app_queue_advance(settings, error);
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_auto(Arguments) arguments = {0};
    if (arguments_read(&arguments, argc, argv, &error) && g_strv_length(arguments.rest) != 1)
        qwd_error_fail(&error, QWD_ERROR_USAGE, "Usage: qwd-session ID [--config=FILE] [--key=value ...]");
    if (!error && account_drop(arguments.settings->service_user, &error))
        supervise(arguments.settings, arguments.rest[0], &error);
    if (!error)
        return 0;
    fprintf(stderr, "qwd-session: %s\n", error->message);
    return qwd_error_traits(error)->exit_code;
}
