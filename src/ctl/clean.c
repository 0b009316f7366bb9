/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl clean: for cron or a timer, and by hand. */
#include <stdio.h>

#include "app/clean.h"
#include "base/text.h"
#include "ctl/commands.h"

bool command_clean(Arguments *arguments, GError **error)
{
    g_autoptr(GPtrArray) report = g_ptr_array_new_with_free_func(g_free);
    if (!app_clean(arguments->settings, report, error))
        return false;
    for (guint i = 0; i < report->len; i++) {
        g_autofree char *line = text_for_line(report->pdata[i]);
        printf("%s\n", line);
    }
    return true;
}
