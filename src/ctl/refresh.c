/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl refresh: the page with the form, as a file that any web server can send. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/owned_file.h"
#include "core/link.h"
#include "ctl/commands.h"
#include "ctl/output.h"
#include "ctl/page_check.h"
#include "web/catalogue.h"
#include "web/layout.h"
#include "web/pages.h"
#include "web/template.h"

/* From a template in memory, or the one in dir_html when it is NULL. For somebody who has logged in with `csrf`. */
static char *render_for(const Settings *settings, const char *template, const GPtrArray *machines, const char *csrf,
                        GError **error)
{
    g_autofree char *script = link_script(settings), *variable = g_strconcat("SCRIPT_NAME=", script, NULL);
    const char *environment[] = {variable, NULL};
    RequestSource source = {.environment = environment, .body_fd = -1};
    g_autoptr(Request) request = request_new(&source);
    Identity who = {.user = ""}; /* whoever looks at it */
    PageContext context = {.settings = settings, .request = request, .base = "", .who = &who, .csrf = csrf};
    g_autoptr(JsonValue) values = page_landing(&context, machines, NULL);
    if (template)
        return template_render_text(settings->dir_html, "landing.html", template, values, error);
    return template_render(settings->dir_html, "landing.html", values, error);
}

static char *render(const Settings *settings, const char *template, const GPtrArray *machines, GError **error)
{
    return render_for(settings, template, machines, NULL, error);
}

bool refresh_check_template(const Settings *settings, const char *template, GError **error)
{
    g_autoptr(GPtrArray) machines = machines_load(settings, error);
    layout_use(settings);
    g_autofree char *page = machines ? render(settings, template, machines, error) : NULL;
    return page != NULL;
}

/* Broken texts of the administrator's are told, and done without. */
static bool use_language(const Settings *settings, const char *language, GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (!catalogue_use(settings->dir_html, language, error))
        return false;
    if (!catalogue_add(settings->dir_layout, &cause))
        output_note("%s", cause->message);
    return true;
}

static bool refresh_language(const Settings *settings, const char *language, const GPtrArray *machines, GError **error)
{
    g_autofree char *page = use_language(settings, language, error) ? render(settings, NULL, machines, error) : NULL;
    g_autofree char *path = page_landing_file(settings, language);
    catalogue_use(settings->dir_html, "en", NULL);
    return page && owned_file_replace(settings->service_user, path, page, 0644, error);
}

/* The page has been made without the administrator's templates that are broken; each is told once. */
static void tell_troubles(void)
{
    const GPtrArray *troubles = template_troubles();
    const char *before = "";
    for (guint i = 0; i < troubles->len; i++) {
        const char *trouble = troubles->pdata[i];
        if (!g_str_equal(trouble, before))
            output_note("%s. Ours is used in its place.", trouble);
        before = trouble;
    }
}

/* Of a page of the administrator's. */
static void tell_lacks(const Settings *settings, const GPtrArray *machines)
{
    g_autofree char *file = g_build_filename(settings->dir_layout, "landing.html", NULL);
    if (!g_file_test(file, G_FILE_TEST_EXISTS))
        return;
    g_autofree char *page = render(settings, NULL, machines, NULL);
    g_autofree char *page_of_user = render_for(settings, NULL, machines, "token", NULL);
    g_autoptr(GPtrArray) lacks = page && page_of_user ? page_check(settings, page, page_of_user) : NULL;
    for (guint i = 0; lacks && i < lacks->len; i++)
        output_note("%s: %s.", file, (const char *)lacks->pdata[i]);
}

bool refresh_page(const Settings *settings, GError **error)
{
    g_autoptr(GPtrArray) machines = machines_load(settings, error);
    bool good = machines != NULL;
    layout_use(settings);
    for (char **language = settings->languages; good && *language; language++)
        good = refresh_language(settings, *language, machines, error);
    tell_troubles();
    if (good)
        tell_lacks(settings, machines);
    return good;
}

void refresh_after_change(const Settings *settings)
{
    g_autoptr(GError) cause = NULL;
    if (!refresh_page(settings, &cause))
        output_note("The page is still the old one: %s The change itself is made. Once this is mended: qwdctl refresh",
                    cause->message);
}

GPtrArray *refresh_troubles(const Settings *settings)
{
    g_autoptr(GPtrArray) machines = machines_load(settings, NULL);
    GPtrArray *troubles = layout_check(settings);
    layout_use(settings);
    g_autofree char *page = machines && troubles->len == 0 ? render(settings, NULL, machines, NULL) : NULL;
    const GPtrArray *found = template_troubles();
    for (guint i = 0; i < found->len; i++)
        g_ptr_array_add(troubles, g_strdup(found->pdata[i]));
    return troubles;
}

bool command_refresh(Arguments *arguments, GError **error)
{
    if (!refresh_page(arguments->settings, error))
        return false;
    printf("%s\n", arguments->settings->file_page);
    return true;
}
