/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/arguments.h"

#include <string.h>

/* "key=value" of a "--key=value" whose key is a setting; NULL for anything else. */
static const char *as_override(const char *argument)
{
    const char *equals = strchr(argument, '=');
    if (!g_str_has_prefix(argument, "--") || !equals)
        return NULL;
    g_autofree char *key = g_strndup(argument + 2, (gsize)(equals - argument - 2));
    return settings_find(key) ? argument + 2 : NULL;
}

static void hand_on_file(const char *file)
{
    g_autofree char *absolute = g_canonicalize_filename(file, NULL);
    g_setenv("QWD_CONFIG", absolute, TRUE);
}

static void hand_on_overrides(char **overrides)
{
    const char *inherited = g_getenv("QWD_OVERRIDES");
    g_autofree char *own = g_strjoinv("\n", overrides);
    g_autofree char *all = g_strjoin("\n", inherited ? inherited : "", own, NULL);
    g_strstrip(all);
    g_setenv("QWD_OVERRIDES", all, TRUE);
}

bool arguments_read(Arguments *arguments, int argc, char **argv, GError **error)
{
    const char *file = settings_default_file();
    bool required = g_getenv("QWD_CONFIG") != NULL;
    g_autoptr(GStrvBuilder) overrides = g_strv_builder_new(), rest = g_strv_builder_new();
    for (int i = 1; i < argc; i++) {
        if (g_str_has_prefix(argv[i], "--config=")) {
            file = argv[i] + strlen("--config=");
            required = true;
        } else {
            const char *override = as_override(argv[i]);
            g_strv_builder_add(override ? overrides : rest, override ? override : argv[i]);
        }
    }
    g_auto(GStrv) list = g_strv_builder_end(overrides);
    arguments->rest = g_strv_builder_end(rest);
    if (required)
        hand_on_file(file);
    arguments->settings = settings_load(file, required, (const char *const *)list, error);
    if (!arguments->settings)
        return false;
    hand_on_overrides(list);
    return true;
}

void arguments_clear(Arguments *arguments)
{
    g_clear_pointer(&arguments->settings, settings_free);
    g_clear_pointer(&arguments->rest, g_strfreev);
    g_clear_error(&arguments->trouble);
}

char *arguments_settings_help(void)
{
    GString *text = g_string_new(NULL);
    for (const SettingRow *row = settings_rows(); row->key || row->chapter; row++) {
        if (row->chapter) {
            g_string_append_printf(text, "\n%s\n", row->chapter);
            continue;
        }
        g_autofree char *allowed = settings_allowed_text(row);
        g_string_append_printf(text, "  --%s=VALUE\n      %s\n      VALUE is %s; default: %s\n", row->key, row->help,
                               allowed, *row->default_text ? row->default_text : "(empty)");
    }
    return g_string_free(text, FALSE);
}
