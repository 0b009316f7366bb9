/* SPDX-License-Identifier: AGPL-3.0-or-later
 * A login: what a signed cookie says of the browser it is in. */
#pragma once

#include "auth/protocol.h"
#include "core/settings.h"

#define LOGIN_COOKIE "qwd_login"
/* The same under https: by its prefix, browsers take it from no other host and under no other scheme (RFC 6265bis,
 * section 4.1.3.2). */
#define COOKIE_HTTPS_PREFIX "__Host-"
#define LOGIN_COOKIE_HTTPS COOKIE_HTTPS_PREFIX LOGIN_COOKIE

/* Under which scheme a login began. Its cookie counts under no other. */
typedef enum { LOGIN_SCHEME_ANY, LOGIN_SCHEME_HTTP, LOGIN_SCHEME_HTTPS } LoginScheme;

typedef struct {
    AuthIdentity identity;
    bool is_admin;
    bool is_by_mail;    /* a mail address is all that is known */
    LoginScheme scheme; /* ANY: an older version began it, which did not note it */
    char *id;           /* of this login: for its end, and its form tokens */
    gint64 expires_at;
} Login;

void login_clear(Login *login);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Login, login_clear)

/* A new login of a user who has proven everything asked for; takes the identity over. */
void login_begin(const Settings *settings, AuthIdentity *identity, Login *login);

/* The cookie's value. Free with g_free; NULL on error. */
char *login_to_cookie(const Settings *settings, const Login *login, GError **error);

/* QWD_ERROR_LOGIN when the cookie is forged, over, or its login has ended. */
bool login_from_cookie(const Settings *settings, const char *cookie, Login *login, GError **error);

/* Ends a login: its cookie is worth nothing any more, wherever it is. */
bool login_end(const Settings *settings, const Login *login, GError **error);

/* The token that every form of this login carries. Free with g_free; NULL on error. */
char *login_csrf(const Settings *settings, const Login *login, GError **error);

/* Whether a user is an administrator by name or group (user_admin). */
bool login_is_admin(const Settings *settings, const AuthIdentity *identity);

/* A login travels in a cookie, for which browsers have little room: where a user's groups are too many, only those that
 * the settings name are kept. */
void login_trim_groups(const Settings *settings, AuthIdentity *identity);

/* Whether the second factor is asked of this user (check_user_mfa_groups). */
bool login_needs_second_factor(const Settings *settings, const AuthIdentity *identity);
