/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl refresh: the page with the form, as a file that any web server can send. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app/local.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "ctl/commands.h"
#include "web/pages.h"
#include "web/template.h"

static char *render(const Settings *settings, const GPtrArray *machines, GError **error)
{
    g_autofree char *script = g_strconcat("SCRIPT_NAME=", settings->service_script, NULL);
    const char *environment[] = {script, NULL};
    RequestSource source = {.environment = environment, .body_fd = -1};
    g_autoptr(Request) request = request_new(&source);
    Identity who = local_identity();
    PageContext context = {.settings = settings, .request = request, .base = "", .who = &who};
    g_autoptr(JsonValue) values = page_landing(&context, machines);
    return template_render(settings->dir_html, "landing.html", values, error);
}

bool command_refresh(Arguments *arguments, GError **error)
{
    const Settings *settings = arguments->settings;
    g_autoptr(GPtrArray) machines = machines_load(settings, error);
    g_autofree char *page = machines ? render(settings, machines, error) : NULL;
    if (!page)
        return false;
    g_autofree char *folder = g_path_get_dirname(settings->file_page);
    if (g_mkdir_with_parents(folder, 0755) < 0)
        return qwd_error_errno(error, errno, "Cannot make the folder %s", folder);
    if (!file_write_atomic(settings->file_page, page, strlen(page), 0644, FILE_WRITE_FAST, error))
        return false;
    printf("%s\n", settings->file_page);
    return true;
}
