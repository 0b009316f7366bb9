/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl metrics: figures for monitoring, as the web shows them with ?metrics=1. */
#include <stdio.h>

#include "app/local.h"
#include "app/metrics.h"
#include "ctl/commands.h"

bool command_metrics(Arguments *arguments, GError **error)
{
    Identity who = local_identity();
    g_autofree char *text = app_metrics(arguments->settings, &who, error);
    if (text)
        fputs(text, stdout);
    return text != NULL;
}
