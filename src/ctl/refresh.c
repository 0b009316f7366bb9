/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl refresh: the page with the form, as a file that any web server can send. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "ctl/commands.h"
#include "web/catalogue.h"
#include "web/pages.h"
#include "web/template.h"

/* From a template in memory, or the one in dir_html when it is NULL. */
static char *render(const Settings *settings, const char *template, const GPtrArray *machines, GError **error)
{
    g_autofree char *script = g_strconcat("SCRIPT_NAME=", settings->service_script, NULL);
    const char *environment[] = {script, NULL};
    RequestSource source = {.environment = environment, .body_fd = -1};
    g_autoptr(Request) request = request_new(&source);
    Identity who = {.user = ""}; /* whoever looks at it */
    PageContext context = {.settings = settings, .request = request, .base = "", .who = &who};
    g_autoptr(JsonValue) values = page_landing(&context, machines);
    if (template)
        return template_render_text(settings->dir_html, "landing.html", template, values, error);
    return template_render(settings->dir_html, "landing.html", values, error);
}

bool refresh_check_template(const Settings *settings, const char *template, GError **error)
{
    g_autoptr(GPtrArray) machines = machines_load(settings, error);
    g_autofree char *page = machines ? render(settings, template, machines, error) : NULL;
    return page != NULL;
}

static bool refresh_language(const Settings *settings, const char *language, const GPtrArray *machines, GError **error)
{
    g_autofree char *page =
        catalogue_use(settings->dir_html, language, error) ? render(settings, NULL, machines, error) : NULL;
    g_autofree char *path = page_landing_file(settings, language);
    g_autofree char *folder = g_path_get_dirname(path);
    catalogue_use(settings->dir_html, "en", NULL);
    if (!page)
        return false;
    if (g_mkdir_with_parents(folder, 0755) < 0)
        return qwd_error_errno(error, errno, "Cannot make the folder %s", folder);
    return file_write_atomic(path, page, strlen(page), 0644, FILE_WRITE_FAST, error);
}

bool refresh_page(const Settings *settings, GError **error)
{
    g_autoptr(GPtrArray) machines = machines_load(settings, error);
    bool good = machines != NULL;
    for (char **language = settings->languages; good && *language; language++)
        good = refresh_language(settings, *language, machines, error);
    return good;
}

bool command_refresh(Arguments *arguments, GError **error)
{
    if (!refresh_page(arguments->settings, error))
        return false;
    printf("%s\n", arguments->settings->file_page);
    return true;
}
