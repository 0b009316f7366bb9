/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl config: what the settings are, and what to think of them. */
#include <stdio.h>

#include "app/troubles.h"
#include "base/error.h"
#include "core/policy.h"
#include "ctl/commands.h"
#include "ctl/output.h"

static bool get(const Settings *settings, const char *key, GError **error)
{
    const SettingRow *row = key ? settings_find(key) : NULL;
    if (!key)
        return qwd_error_fail(error, QWD_ERROR_USAGE, "Usage: qwdctl config get KEY");
    if (!row)
        return qwd_error_fail(error, QWD_ERROR_NOT_FOUND,
                              "There is no setting \"%s\". `qwdctl help settings` lists them.", key);
    g_autofree char *value = settings_value_text(settings, row);
    printf("%s\n", value);
    return true;
}

static void list(const Settings *settings, bool as_json)
{
    json_t *object = json_object();
    for (const SettingRow *row = settings_rows(); row->key || row->chapter; row++) {
        g_autofree char *value = row->key ? settings_value_text(settings, row) : NULL;
        if (row->key && as_json)
            json_object_set_new(object, row->key, json_string(value));
        else if (row->key)
            printf("%s = %s\n", row->key, value);
    }
    if (as_json)
        output_json(object);
    else
        json_decref(object);
}

/* --- check: what refuses sessions; then what is right and still worth a word --- */

static const char *note_boot_delay(const Settings *settings)
{
    return settings->boot_delay ? "boot_delay has no effect: nothing waits blindly here. The line can go." : NULL;
}

static const char *note_open(const Settings *settings)
{
    return !policy_login_is_configured(settings) && settings->service_open
               ? "service_open = yes without a way to log in: whoever reaches the service can use it."
               : NULL;
}

static const char *note_login(const Settings *settings)
{
    return policy_is_local_only(settings)
               ? "No way to log in is configured: the service answers browsers on this machine only."
               : NULL;
}

static const char *note_master(const Settings *settings)
{
    return settings->snapshot_use_master ? "snapshot_use_master = yes: sessions change the images themselves." : NULL;
}

static const char *note_ldap(const Settings *settings)
{
    return settings->check_user_with_ldap && g_str_equal(settings->ldap_tls, "none")
               ? "ldap_tls = none: passwords go to the directory in clear."
               : NULL;
}

static const char *(*const notes[])(const Settings *) = {note_boot_delay, note_open, note_login, note_master,
                                                         note_ldap};

bool config_check(const Settings *settings, bool tables_too, GError **error)
{
    g_autoptr(GPtrArray) troubles = troubles_find(settings);
    g_autoptr(GString) refused = g_string_new(NULL);
    for (guint i = 0; i < troubles->len; i++) {
        const Trouble *trouble = troubles->pdata[i];
        if (trouble->table && !tables_too)
            output_note("%s", trouble->text);
        else
            g_string_append_printf(refused, "%s%s", refused->len ? "\n" : "", trouble->text);
    }
    return !refused->len || qwd_error_fail(error, QWD_ERROR_CONFIG, "%s", refused->str);
}

static bool check(const Settings *settings, GError **error)
{
    if (!config_check(settings, true, error))
        return false;
    for (size_t i = 0; i < G_N_ELEMENTS(notes); i++) {
        const char *note = notes[i](settings);
        if (note)
            printf("%s\n", note);
    }
    output_note("The settings are accepted.");
    return true;
}

bool command_config(Arguments *arguments, GError **error)
{
    const Settings *settings = arguments->settings;
    g_auto(GStrv) words = command_words(arguments);
    if (g_str_equal(words[0], "get"))
        return get(settings, words[1], error);
    if (words[1])
        return qwd_error_fail(error, QWD_ERROR_USAGE, "Usage: qwdctl config %s", words[0]);
    if (g_str_equal(words[0], "check"))
        return check(settings, error);
    if (!g_str_equal(words[0], "list"))
        return qwd_error_fail(error, QWD_ERROR_USAGE, "Usage: qwdctl config get KEY|list|check");
    list(settings, command_option(arguments, "--json"));
    return true;
}
