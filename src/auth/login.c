/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "auth/login.h"

#include <string.h>

#include "auth/seal.h"
#include "base/error.h"
#include "base/json.h"
#include "base/token.h"
#include "core/choices.h"
#include "core/scope.h"

#define PURPOSE "login"
#define CSRF_PURPOSE "form"
#define GROUPS_MAX_BYTES 1500 /* a cookie has 4096 (RFC 6265, section 6.1), a third of them lost to Base64 */

void login_clear(Login *login)
{
    auth_identity_clear(&login->identity);
    g_clear_pointer(&login->id, g_free);
}

static bool is_member(const AuthIdentity *identity, const char *group)
{
    return identity->groups && g_strv_contains((const char *const *)identity->groups, group);
}

bool login_is_admin(const Settings *settings, const AuthIdentity *identity)
{
    for (char **word = settings->user_admin; *word; word++) {
        if (**word == '@' ? is_member(identity, *word + 1) : g_str_equal(*word, identity->user))
            return true;
    }
    return false;
}

static bool is_named(const Settings *settings, const char *group)
{
    g_autofree char *word = g_strconcat("@", group, NULL);
    return g_strv_contains((const char *const *)settings->user_admin, word) ||
           g_strv_contains((const char *const *)settings->check_user_mfa_groups, group) ||
           choices_depend_on_group(settings, group) || scope_table_names_group(settings->file_scripts, group) ||
           scope_table_names_group(settings->file_folders, group);
}

void login_trim_groups(const Settings *settings, AuthIdentity *identity)
{
    size_t bytes = 0;
    for (char **group = identity->groups; *group; group++)
        bytes += strlen(*group) + strlen("\"\",");
    if (bytes <= GROUPS_MAX_BYTES)
        return;
    g_autoptr(GStrvBuilder) named = g_strv_builder_new();
    for (char **group = identity->groups; *group; group++) {
        if (is_named(settings, *group))
            g_strv_builder_add(named, *group);
    }
    g_strfreev(identity->groups);
    identity->groups = g_strv_builder_end(named);
}

bool login_needs_second_factor(const Settings *settings, const AuthIdentity *identity)
{
    if (g_str_equal(settings->check_user_mfa, "no"))
        return false;
    for (char **group = settings->check_user_mfa_groups; *group; group++) {
        if (is_member(identity, *group))
            return true;
    }
    return *settings->check_user_mfa_groups == NULL;
}

void login_begin(const Settings *settings, AuthIdentity *identity, Login *login)
{
    login->identity = *identity;
    *identity = (AuthIdentity){0};
    login->is_admin = login_is_admin(settings, &login->identity);
    login->id = token_new();
    login->expires_at = g_get_real_time() / G_USEC_PER_SEC + settings->login_lifetime;
}

static const char *const scheme_names[] = {
    [LOGIN_SCHEME_ANY] = "", [LOGIN_SCHEME_HTTP] = "http", [LOGIN_SCHEME_HTTPS] = "https"};

static LoginScheme scheme_of(const char *name)
{
    LoginScheme scheme = LOGIN_SCHEME_HTTPS;
    while (scheme != LOGIN_SCHEME_ANY && !g_str_equal(scheme_names[scheme], name))
        scheme--;
    return scheme;
}

char *login_to_cookie(const Settings *settings, const Login *login, GError **error)
{
    g_autoptr(JsonValue) object = auth_identity_to_json(&login->identity);
    json_object_set_new(object, "id", json_string(login->id));
    json_object_set_new(object, "by_mail", json_boolean(login->is_by_mail));
    json_object_set_new(object, "scheme", json_string(scheme_names[login->scheme]));
    return seal_close(settings, PURPOSE, object, login->expires_at, error);
}

bool login_from_cookie(const Settings *settings, const char *cookie, Login *login, GError **error)
{
    g_autoptr(JsonValue) object = seal_open(settings, PURPOSE, cookie, error);
    if (!object || !auth_identity_from_json(object, &login->identity, error))
        return false;
    login->id = g_strdup(json_get_text(object, "id", ""));
    login->expires_at = json_get_integer(object, "exp", 0);
    login->is_by_mail = json_get_bool(object, "by_mail", false);
    login->scheme = scheme_of(json_get_text(object, "scheme", ""));
    /* Not from the cookie: an administrator who is one no more loses the right at once. */
    login->is_admin = login_is_admin(settings, &login->identity);
    return !seal_is_used_up(settings, login->id) || qwd_error_fail(error, QWD_ERROR_LOGIN, "Please log in again.");
}

bool login_end(const Settings *settings, const Login *login, GError **error)
{
    return seal_is_used_up(settings, login->id) || seal_use_up(settings, login->id, login->expires_at, error);
}

char *login_csrf(const Settings *settings, const Login *login, GError **error)
{
    return seal_mac(settings, CSRF_PURPOSE, login->id, error);
}
