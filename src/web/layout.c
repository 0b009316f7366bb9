/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "web/layout.h"

#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "core/link.h"
#include "web/catalogue.h"
#include "web/template.h"
#include "web/template_parse.h"

#define FILE_MAX_BYTES (512 * 1024)

/* --- using it --- */

char *layout_picture(const Settings *settings, const char *name)
{
    g_autofree char *path = g_build_filename(settings->dir_layout, "pictures", name, NULL);
    if (!*name || *name == '.' || strchr(name, '/') || !g_file_test(path, G_FILE_TEST_IS_REGULAR))
        return NULL;
    g_autofree char *escaped = g_uri_escape_string(name, NULL, FALSE);
    g_autofree char *relative = g_strconcat("pictures/", escaped, NULL);
    return link_page(settings, relative);
}

static void use_folder(const Settings *settings, const char *folder)
{
    g_autofree char *logo = layout_picture(settings, settings->layout_logo);
    json_t *values = json_pack("{s:o, s:o, s:o, s:o}", "brand", json_text_or_null(settings->layout_title), "logo",
                               json_text_or_null(logo), "header", json_text_or_null(settings->layout_header), "footer",
                               json_text_or_null(settings->layout_footer));
    template_use_layout(folder, values);
}

void layout_use(const Settings *settings)
{
    use_folder(settings, settings->dir_layout);
}

void layout_use_mail(const Settings *settings)
{
    g_autofree char *folder = g_build_filename(settings->dir_layout, "mail", NULL);
    use_folder(settings, folder);
}

bool layout_use_language(const Settings *settings, const char *language, GError **error)
{
    return catalogue_use(settings->dir_html, language, error) && catalogue_add(settings->dir_layout, error);
}

/* --- checking it --- */

static int compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char *const page_suffixes[] = {".html", NULL},
                         *const mail_suffixes[] = {".html", ".txt", ".subject", NULL},
                         *const text_suffixes[] = {".json", NULL};

static GPtrArray *names_in(const char *folder, const char *const *suffixes)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        const char *end = strrchr(name, '.');
        if (end && end != name && g_strv_contains(suffixes, end))
            g_ptr_array_add(names, g_strdup(name));
    }
    g_ptr_array_sort(names, compare_names);
    return names;
}

/* A file of `folder`, in place of one of `ours`. */
static void check_template(const char *folder, const char *ours, const char *name, GPtrArray *troubles)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = g_build_filename(folder, name, NULL), *replaced = g_build_filename(ours, name, NULL);
    g_autofree char *text = file_read_text(path, FILE_MAX_BYTES, &error);
    g_autoptr(GArray) tokens = text ? template_parse(path, text, &error) : NULL;
    if (!tokens)
        g_ptr_array_add(troubles, g_strdup(error->message));
    else if (!g_file_test(replaced, G_FILE_TEST_EXISTS))
        g_ptr_array_add(troubles, g_strdup_printf("%s: there is no template of that name, so nothing uses it", path));
}

static void check_templates(const char *folder, const char *ours, const char *const *suffixes, GPtrArray *troubles)
{
    g_autoptr(GPtrArray) names = names_in(folder, suffixes);
    for (guint i = 0; i < names->len; i++)
        check_template(folder, ours, names->pdata[i], troubles);
}

static void check_texts(const char *folder, const char *name, GPtrArray *troubles)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autoptr(JsonValue) object = json_object_read(path, FILE_MAX_BYTES, &error);
    if (!object)
        g_ptr_array_add(troubles, g_strdup(error->message));
}

GPtrArray *layout_check(const Settings *settings)
{
    GPtrArray *troubles = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *texts = g_build_filename(settings->dir_layout, "i18n", NULL);
    g_autofree char *mails = g_build_filename(settings->dir_layout, "mail", NULL);
    g_autofree char *our_mails = g_build_filename(settings->dir_html, "mail", NULL);
    g_autoptr(GPtrArray) catalogues = names_in(texts, text_suffixes);
    check_templates(settings->dir_layout, settings->dir_html, page_suffixes, troubles);
    check_templates(mails, our_mails, mail_suffixes, troubles);
    for (guint i = 0; i < catalogues->len; i++)
        check_texts(texts, catalogues->pdata[i], troubles);
    return troubles;
}
