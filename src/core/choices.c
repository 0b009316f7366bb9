/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/choices.h"

#include <string.h>

#include "base/error.h"
#include "base/units.h"
#include "core/ini.h"
#include "core/policy.h"

#define SEPARATORS ", "

static bool parse_count(const char *text, gint64 *value)
{
    return units_parse_integer(text, 1, 100000, value);
}

typedef struct {
    const char *key; /* in groups.conf and machines.conf */
    bool (*parse)(const char *text, gint64 *value);
    size_t offset;    /* in Choices */
    size_t machine;   /* of the list in Machine; 0: machines have none */
    const char *form; /* the setting that holds without groups; NULL: none */
} ChoiceRow;

static const ChoiceRow rows[] = {
    {"cpu", parse_count, offsetof(Choices, cpus_max), offsetof(Machine, cpu), "form_cpu"},
    {"memory", units_parse_size, offsetof(Choices, memory_max_mib), offsetof(Machine, memory), "form_memory"},
    {"lifetime", units_parse_duration, offsetof(Choices, lifetime_max_s), offsetof(Machine, lifetime), "form_lifetime"},
    {"sessions", parse_count, offsetof(Choices, sessions_max), 0, NULL},
};

static gint64 *place_in(Choices *choices, const ChoiceRow *row)
{
    return (gint64 *)(void *)((char *)choices + row->offset);
}

/* The largest entry of a list; 0 for an empty one. `where` is for the error. */
static bool largest(const ChoiceRow *row, const char *list, const char *where, gint64 *most, GError **error)
{
    g_auto(GStrv) words = g_strsplit_set(list, SEPARATORS, -1);
    *most = 0;
    for (char **word = words; *word; word++) {
        gint64 value;
        if (!**word)
            continue;
        if (!row->parse(*word, &value))
            return qwd_error_fail(error, QWD_ERROR_CONFIG, "%s: %s = %s is no list of values, such as 1,2,4.", where,
                                  row->key, list);
        *most = MAX(*most, value);
    }
    return true;
}

/* --- groups --- */

/* NULL without error: there is no such file. */
static GKeyFile *read_groups(const Settings *settings, GError **error)
{
    g_autoptr(GError) cause = NULL;
    GKeyFile *file = ini_read(settings->file_groups, &cause);
    if (!file && !g_error_matches(cause, QWD_ERROR, QWD_ERROR_NOT_FOUND))
        g_propagate_error(error, g_steal_pointer(&cause));
    return file;
}

static bool is_known(const char *key)
{
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (g_str_equal(rows[i].key, key))
            return true;
    }
    return false;
}

/* A misspelt key would give more than was meant. */
static bool check_keys(const char *path, GKeyFile *file, const char *group, GError **error)
{
    g_auto(GStrv) keys = g_key_file_get_keys(file, group, NULL, NULL);
    for (char **key = keys; key && *key; key++) {
        if (!is_known(*key))
            return qwd_error_fail(error, QWD_ERROR_CONFIG, "%s: [%s] has an unknown key \"%s\".", path, group, *key);
    }
    return true;
}

/* Raises *most to what a group gives. */
static bool take_group(const char *path, GKeyFile *file, const char *group, Choices *found, GError **error)
{
    g_autofree char *where = g_strdup_printf("%s: [%s]", path, group);
    if (!check_keys(path, file, group, error))
        return false;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *list = g_key_file_get_value(file, group, rows[i].key, NULL);
        gint64 *place = place_in(found, &rows[i]), most;
        if (!largest(&rows[i], list ? list : "", where, &most, error))
            return false;
        *place = MAX(*place, most);
    }
    return true;
}

static bool take_groups(const Settings *settings, const char *const *groups, Choices *found, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(GKeyFile) file = groups && *groups ? read_groups(settings, &cause) : NULL;
    if (cause) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    for (; file && *groups; groups++) {
        if (g_key_file_has_group(file, *groups) && !take_group(settings->file_groups, file, *groups, found, error))
            return false;
    }
    return true;
}

static bool check_groups(GKeyFile *file, const char *path, GError **error)
{
    g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);
    for (char **group = groups; *group; group++) {
        Choices unused = {0};
        if (!take_group(path, file, *group, &unused, error))
            return false;
    }
    return true;
}

bool choices_check_text(const char *text, const char *path, GError **error)
{
    g_autoptr(GKeyFile) file = ini_parse(text, strlen(text), path, error);
    return file && check_groups(file, path, error);
}

bool choices_check_table(const Settings *settings, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(GKeyFile) file = read_groups(settings, &cause);
    if (cause)
        g_propagate_error(error, g_steal_pointer(&cause));
    else if (!file || check_groups(file, settings->file_groups, error))
        return true;
    return false;
}

/* What no group has said is as the form's lists say. */
static bool take_settings(const Settings *settings, Choices *found, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        gint64 *place = place_in(found, &rows[i]);
        if (*place || !rows[i].form)
            continue;
        g_autofree char *list = settings_value_text(settings, settings_find(rows[i].form));
        if (!largest(&rows[i], list, rows[i].form, place, error))
            return false;
    }
    return true;
}

bool choices_check_settings(const Settings *settings, GError **error)
{
    Choices unused = {0};
    return take_settings(settings, &unused, error);
}

/* --- machines --- */

static bool is_member_of(const char *list, const char *const *groups)
{
    g_auto(GStrv) names = g_strsplit_set(list, ",", -1);
    for (char **name = names; *name; name++) {
        if (groups && g_strv_contains(groups, g_strstrip(*name)))
            return true;
    }
    return false;
}

static bool take_machine(const Machine *machine, Choices *choices, GError **error)
{
    g_autofree char *where = g_strdup_printf("[%s]", machine->name);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        gint64 *place = place_in(choices, &rows[i]), most = 0;
        if (rows[i].machine &&
            !largest(&rows[i], *(char *const *)(const void *)((const char *)machine + rows[i].machine), where, &most,
                     error))
            return false;
        if (most && (!*place || most < *place))
            *place = most;
    }
    return true;
}

/* An empty list leaves it to the host. */
static void open_ends(Choices *choices)
{
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        gint64 *place = place_in(choices, &rows[i]);
        if (!*place && rows[i].form)
            *place = G_MAXINT64;
    }
}

bool choices_include(const Machine *machine, const Identity *who)
{
    const char *names[] = {who->is_authenticated && *who->user ? who->user : NULL, NULL};
    bool is_open = !*machine->groups && !*machine->users;
    return is_open || who->is_admin || is_member_of(machine->users, names) ||
           is_member_of(machine->groups, who->groups);
}

bool choices_read(const Settings *settings, const Machine *machine, const Identity *who, Choices *choices,
                  GError **error)
{
    const char *const *groups = who->groups;
    bool is_admin = who->is_admin;
    *choices = (Choices){0};
    if (!choices_include(machine, who)) {
        machine_not_found(machine->name, error);
        return false;
    }
    if (!is_admin && (!take_groups(settings, groups, choices, error) || !take_settings(settings, choices, error)))
        return false;
    if (!take_machine(machine, choices, error))
        return false;
    open_ends(choices);
    return true;
}

bool choices_depend_on_group(const Settings *settings, const char *group)
{
    g_autoptr(GKeyFile) file = read_groups(settings, NULL);
    g_autoptr(GPtrArray) machines = machines_load(settings, NULL);
    bool found = file && g_key_file_has_group(file, group);
    const char *one[] = {group, NULL};
    for (guint i = 0; machines && i < machines->len; i++)
        found = found || is_member_of(((const Machine *)machines->pdata[i])->groups, one);
    return found;
}
