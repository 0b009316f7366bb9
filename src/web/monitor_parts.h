/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Parts of the monitor's page, for web/monitor.c. All return new references. */
#pragma once

#include "web/monitor.h"

/* "figures": the host's load, processor, memory, disk, sessions and GPUs, each with its curve of a day. `gpus` are
 * those of the host (Gpu *), NULL when they cannot be read. */
json_t *monitor_figures(const Settings *settings, const MonitorFacts *facts, const GPtrArray *gpus);

/* "facts": what else is to be known of the host, [{name, text}, ...]. */
json_t *monitor_host_facts(const Settings *settings, const MonitorFacts *facts, const GPtrArray *gpus);

/* "columns", "sessions", "count" and "pager": the table, into `values`. */
void monitor_add_table(json_t *values, const PageContext *context, const MonitorFacts *facts, const MonitorForm *form);

/* "sorts": the columns as choices. */
json_t *monitor_sorts(const MonitorForm *form);

/* Whether the table runs from the largest to the smallest. */
bool monitor_descends(const MonitorForm *form);
