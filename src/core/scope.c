/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/scope.h"

#include "base/error.h"
#include "core/ini.h"

#define SCOPE_KEYS "user group machine"

static const char *const any_group[] = {"", NULL};
const Subject scope_anybody = {.user = "", .groups = any_group, .machine = ""};

GKeyFile *scope_table_load(const char *path, GError **error)
{
    g_autoptr(GError) cause = NULL;
    GKeyFile *table = ini_read(path, &cause);
    if (g_error_matches(cause, QWD_ERROR, QWD_ERROR_NOT_FOUND))
        return g_key_file_new();
    if (cause)
        g_propagate_error(error, g_steal_pointer(&cause));
    return table;
}

char *scope_value(GKeyFile *table, const char *section, const char *key)
{
    char *value = g_key_file_get_value(table, section, key, NULL);
    return value ? g_strstrip(value) : g_strdup("");
}

static bool is_word_of(const char *word, const char *list)
{
    g_auto(GStrv) words = g_strsplit(list, " ", -1);
    return g_strv_contains((const char *const *)words, word);
}

bool scope_check_keys(GKeyFile *table, const char *section, const char *keys, GError **error)
{
    g_auto(GStrv) found = g_key_file_get_keys(table, section, NULL, NULL);
    for (char **key = found; key && *key; key++) {
        if (!is_word_of(*key, keys) && !is_word_of(*key, SCOPE_KEYS))
            return qwd_error_fail(error, QWD_ERROR_CONFIG, "[%s] has an unknown key \"%s\". Write one of: %s %s.",
                                  section, *key, keys, SCOPE_KEYS);
    }
    return true;
}

static bool matches_one(const char *pattern, const char *const *names)
{
    for (; names && *names; names++) {
        if (g_pattern_match_simple(pattern, *names))
            return true;
    }
    return false;
}

/* An absent key is for all; one without a name is for nobody. */
static bool key_matches(GKeyFile *table, const char *section, const char *key, const char *const *names)
{
    if (!g_key_file_has_key(table, section, key, NULL))
        return true;
    g_autofree char *value = scope_value(table, section, key);
    g_auto(GStrv) patterns = g_strsplit(value, ",", -1);
    for (char **pattern = patterns; *pattern; pattern++) {
        if (*g_strstrip(*pattern) && matches_one(*pattern, names))
            return true;
    }
    return false;
}

bool scope_matches(GKeyFile *table, const char *section, const Subject *subject)
{
    const char *const user[] = {subject->user, NULL}, *const machine[] = {subject->machine, NULL};
    return key_matches(table, section, "user", user) && key_matches(table, section, "group", subject->groups) &&
           key_matches(table, section, "machine", machine);
}

bool scope_table_names_group(const char *path, const char *group)
{
    const char *const one[] = {group, NULL};
    g_autoptr(GKeyFile) table = scope_table_load(path, NULL);
    g_auto(GStrv) sections = table ? g_key_file_get_groups(table, NULL) : NULL;
    for (char **section = sections; section && *section; section++) {
        if (g_key_file_has_key(table, *section, "group", NULL) && key_matches(table, *section, "group", one))
            return true;
    }
    return false;
}
