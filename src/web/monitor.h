/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The values of monitor.html, from what app/monitor.h has gathered. */
#pragma once

#include "app/monitor.h"
#include "web/form.h"
#include "web/pages.h"

#define MONITOR_PAGE_ROWS 100

/* monitor.html; with a context that has no request, as a file of its own. New reference. */
json_t *page_monitor(const PageContext *context, const MonitorFacts *facts, const MonitorForm *form);

/* What of these values changes from moment to moment, for the page's script: {"monitor": {"version", "figures",
 * "sessions", "count"}}. With another version, other things have changed as well. New reference. */
json_t *page_monitor_state(const json_t *values);

/* URL path of the monitor with what the form looks at. `result` is put in as well unless it is "". Free with g_free. */
char *page_monitor_path(const PageContext *context, const MonitorForm *form, const char *result);
