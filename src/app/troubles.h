/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What settings and tables say, looked at as a session does that starts: what would refuse it is known before. */
#pragma once

#include <glib.h>

#include "core/settings.h"

typedef struct {
    const char *table; /* the setting that names the table, such as file_scripts; NULL: the settings themselves */
    char *text;
} Trouble;

/* What would refuse sessions, all of them or those of some (Trouble *); empty: nothing. What stands in files of their
 * own is looked at when the settings beside it are fine. Free with g_ptr_array_unref. */
GPtrArray *troubles_find(const Settings *settings);
