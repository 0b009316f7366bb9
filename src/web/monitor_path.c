/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "web/monitor.h"

static void append_field(GString *path, const char *name, const char *value)
{
    if (!*value)
        return;
    g_autofree char *escaped = g_uri_escape_string(value, NULL, FALSE);
    g_string_append_printf(path, "&%s=%s", name, escaped);
}

char *page_monitor_path(const PageContext *context, const MonitorForm *form, const char *result)
{
    GString *path = g_string_new(request_variable(context->request, REQUEST_SCRIPT_NAME));
    g_string_append(path, "?monitor=1");
    append_field(path, "find", form->find);
    append_field(path, "state", form->state);
    append_field(path, "sort", form->sort);
    append_field(path, "order", form->order);
    if (form->page > 1)
        g_string_append_printf(path, "&page=%d", (int)form->page);
    append_field(path, "result", result);
    return g_string_free(path, FALSE);
}
