/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/settings.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "base/units.h"

#define FILE_MAX_BYTES (256 * 1024)

static const SettingRow rows[] = {
#define CHAPTER(title) {.chapter = title},
#define SETTING(kind_, key_, default_, min_, max_, allowed_, help_)                                                    \
    {.key = #key_,                                                                                                     \
     .kind = SETTING_##kind_,                                                                                          \
     .offset = offsetof(Settings, key_),                                                                               \
     .default_text = default_,                                                                                         \
     .min = min_,                                                                                                      \
     .max = max_,                                                                                                      \
     .allowed = allowed_,                                                                                              \
     .help = help_},
#include "core/settings.def"
#undef SETTING
#undef CHAPTER
    {0},
};

const SettingRow *settings_rows(void)
{
    return rows;
}

const SettingRow *settings_find(const char *key)
{
    for (const SettingRow *row = rows; row->key || row->chapter; row++) {
        if (row->key && g_str_equal(row->key, key))
            return row;
    }
    return NULL;
}

const char *settings_default_file(void)
{
    const char *path = g_getenv("QWD_CONFIG");
    return path && *path ? path : QWD_SYSCONFDIR "/qemu-web-desktop.conf";
}

/* --- fields --- */

static void *field(const Settings *settings, const SettingRow *row)
{
    return (char *)settings + row->offset;
}

static bool kind_is_text(SettingKind kind)
{
    return kind == SETTING_PATH || kind == SETTING_TEXT || kind == SETTING_CHOICE;
}

static bool parse_bool(const char *text, bool *value)
{
    static const char *const yes[] = {"yes", "on", "true", "1", NULL};
    static const char *const no[] = {"no", "off", "false", "0", NULL};
    g_autofree char *lower = g_ascii_strdown(text, -1);
    *value = g_strv_contains(yes, lower);
    return *value || g_strv_contains(no, lower);
}

static bool parse_choice(const SettingRow *row, const char *text, char **value)
{
    g_auto(GStrv) words = g_strsplit(row->allowed, " ", -1);
    if (!g_strv_contains((const char *const *)words, text))
        return false;
    g_free(*value);
    *value = g_strdup(text);
    return true;
}

static char **split_list(const char *text)
{
    g_auto(GStrv) parts = g_strsplit_set(text, ", \t", -1);
    g_autoptr(GStrvBuilder) list = g_strv_builder_new();
    for (char **part = parts; *part; part++) {
        if (**part)
            g_strv_builder_add(list, *part);
    }
    return g_strv_builder_end(list);
}

static bool parse_number(const SettingRow *row, const char *text, gint64 *value)
{
    bool good = row->kind == SETTING_INTEGER    ? units_parse_integer(text, row->min, row->max, value)
                : row->kind == SETTING_DURATION ? units_parse_duration(text, value)
                                                : units_parse_size(text, value);
    return good && *value >= row->min && *value <= row->max;
}

/* Puts a value into its field; false when the row does not accept it. */
static bool set_field(Settings *settings, const SettingRow *row, const char *text)
{
    void *place = field(settings, row);
    switch (row->kind) {
    case SETTING_PATH:
    case SETTING_TEXT:
        g_free(*(char **)place);
        *(char **)place = g_strdup(text);
        return true;
    case SETTING_LIST:
        g_strfreev(*(char ***)place);
        *(char ***)place = split_list(text);
        return true;
    case SETTING_CHOICE:
        return parse_choice(row, text, place);
    case SETTING_BOOL:
        return parse_bool(text, place);
    case SETTING_REAL:
        return units_parse_real(text, (double)row->min, (double)row->max, place);
    default:
        return parse_number(row, text, place);
    }
}

char *settings_value_text(const Settings *settings, const SettingRow *row)
{
    const void *place = field(settings, row);
    if (kind_is_text(row->kind))
        return g_strdup(*(char *const *)place);
    if (row->kind == SETTING_LIST)
        return g_strjoinv(",", *(char **const *)place);
    if (row->kind == SETTING_BOOL)
        return g_strdup(*(const bool *)place ? "yes" : "no");
    if (row->kind == SETTING_REAL)
        return g_strdup_printf("%g", *(const double *)place);
    return g_strdup_printf("%" G_GINT64_FORMAT "%s", *(const gint64 *)place,
                           row->kind == SETTING_DURATION ? "s"
                           : row->kind == SETTING_SIZE   ? "M"
                                                         : "");
}

char *settings_allowed_text(const SettingRow *row)
{
    g_autofree char *low = NULL, *high = NULL;
    switch (row->kind) {
    case SETTING_PATH:
        return g_strdup("a path");
    case SETTING_TEXT:
        return g_strdup("text");
    case SETTING_LIST:
        return g_strdup("a list, separated by commas");
    case SETTING_BOOL:
        return g_strdup("yes or no");
    case SETTING_CHOICE:
        return g_strdup_printf("one of: %s", row->allowed);
    case SETTING_DURATION:
        low = units_format_duration(row->min);
        high = units_format_duration(row->max);
        return g_strdup_printf("a duration such as 90s, 30m, 8h or 4d, from %s to %s", low, high);
    case SETTING_SIZE:
        low = units_format_size(row->min);
        high = units_format_size(row->max);
        return g_strdup_printf("a size such as 512M or 4G, from %s to %s", low, high);
    case SETTING_REAL:
        return g_strdup_printf("a number such as 0.8, from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, row->min,
                               row->max);
    default:
        return g_strdup_printf("a whole number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, row->min, row->max);
    }
}

/* --- reading --- */

static bool apply(Settings *settings, const char *key, const char *value, QwdErrorKind kind, GError **error)
{
    const SettingRow *row = settings_find(key);
    if (!row)
        return qwd_error_fail(error, kind, "There is no setting \"%s\". `qwdctl help settings` lists them.", key);
    if (text_is_line(value) && set_field(settings, row, value))
        return true;
    g_autofree char *allowed = settings_allowed_text(row);
    return qwd_error_fail(error, kind, "%s = %s is not accepted. Write %s.", key, value, allowed);
}

/* Splits "key = value" in place; NULL for an empty line or a comment. */
static char *split_line(char *line, char **value)
{
    g_strstrip(line);
    if (*line == '\0' || *line == '#' || *line == ';')
        return NULL;
    char *equals = strchr(line, '=');
    *value = equals ? g_strstrip(equals + 1) : NULL;
    if (equals)
        *equals = '\0';
    return g_strstrip(line);
}

static bool apply_line(Settings *settings, char *line, GError **error)
{
    char *value;
    const char *key = split_line(line, &value);
    if (!key)
        return true;
    if (!value)
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "\"%s\" is not of the form key = value.", key);
    return apply(settings, key, value, QWD_ERROR_CONFIG, error);
}

static bool apply_file(Settings *settings, const char *path, bool required, GError **error)
{
    g_autoptr(GError) cause = NULL;
    size_t length;
    g_autofree char *text = file_read(path, FILE_MAX_BYTES, &length, &cause);
    if (!text && !required && g_error_matches(cause, QWD_ERROR, QWD_ERROR_NOT_FOUND))
        return true;
    if (!text)
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "%s", cause->message);
    if (!g_utf8_validate_len(text, length, NULL))
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "%s is not UTF-8 text.", path);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (int i = 0; lines[i]; i++) {
        if (!apply_line(settings, lines[i], error)) {
            g_prefix_error(error, "%s, line %d: ", path, i + 1);
            return false;
        }
    }
    return true;
}

static bool apply_overrides(Settings *settings, const char *const *overrides, GError **error)
{
    for (; overrides && *overrides; overrides++) {
        g_autofree char *line = g_strdup(*overrides);
        char *value;
        const char *key = split_line(line, &value);
        if (!key || !value)
            return qwd_error_fail(error, QWD_ERROR_USAGE, "\"%s\" is not of the form key=value.", *overrides);
        if (!apply(settings, key, value, QWD_ERROR_USAGE, error))
            return false;
    }
    return true;
}

/* Replaces {key} at the beginning of a path. References point to earlier rows, so one pass in order is enough. */
static bool resolve_path(Settings *settings, const SettingRow *row, GError **error)
{
    char **place = field(settings, row);
    const char *end = **place == '{' ? strchr(*place, '}') : NULL;
    if (!end)
        return true;
    g_autofree char *key = g_strndup(*place + 1, (gsize)(end - *place - 1));
    const SettingRow *other = settings_find(key);
    if (!other || other->kind != SETTING_PATH || other >= row)
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "%s = %s: {%s} is not the key of an earlier path.", row->key,
                              *place, key);
    char *path = g_strconcat(*(char **)field(settings, other), end + 1, NULL);
    g_free(*place);
    *place = path;
    return true;
}

static bool resolve_paths(Settings *settings, GError **error)
{
    for (const SettingRow *row = rows; row->key || row->chapter; row++) {
        if (row->key && row->kind == SETTING_PATH && !resolve_path(settings, row, error))
            return false;
    }
    return true;
}

/* Overrides that a calling program hands on, one in each line of $QWD_OVERRIDES. */
static bool apply_inherited(Settings *settings, GError **error)
{
    const char *text = g_getenv("QWD_OVERRIDES");
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
    for (char **line = lines; *line; line++) {
        const char *one[] = {*line, NULL};
        if (**line && !apply_overrides(settings, one, error))
            return false;
    }
    return true;
}

static void set_defaults(Settings *settings)
{
    for (const SettingRow *row = rows; row->key || row->chapter; row++) {
        if (row->key && !set_field(settings, row, row->default_text))
            g_error("settings.def: the default of %s is not accepted", row->key);
    }
}

Settings *settings_load(const char *path, bool required, const char *const *overrides, GError **error)
{
    g_autoptr(Settings) settings = g_new0(Settings, 1);
    set_defaults(settings);
    if (!apply_file(settings, path, required, error))
        return NULL;
    g_auto(GStrv) more = files_beside(path, ".conf");
    for (char **file = more; *file; file++) {
        if (!apply_file(settings, *file, true, error))
            return NULL;
    }
    if (!apply_inherited(settings, error) || !apply_overrides(settings, overrides, error))
        return NULL;
    if (!resolve_paths(settings, error)) {
        g_prefix_error(error, "%s: ", path);
        return NULL;
    }
    return g_steal_pointer(&settings);
}

void settings_free(Settings *settings)
{
    if (!settings)
        return;
    for (const SettingRow *row = rows; row->key || row->chapter; row++) {
        if (row->key && kind_is_text(row->kind))
            g_free(*(char **)field(settings, row));
        if (row->key && row->kind == SETTING_LIST)
            g_strfreev(*(char ***)field(settings, row));
    }
    g_free(settings);
}
