/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Browsers in which somebody has logged in before: a signed cookie that proves it outlives the login ("device cookies",
 * OWASP, Slow Down Online Guessing Attacks with Device Cookies). It lets nobody in. It keeps the attempts of strangers
 * apart from those of the user's own browser (auth/backoff.h). */
#pragma once

#include "core/settings.h"

#define BROWSER_COOKIE "qwd_browser"
#define BROWSER_COOKIE_HTTPS "__Host-qwd_browser" /* as LOGIN_COOKIE_HTTPS */

/* The cookie's value after a login, with the names that the user is known by; `cookie` is the one that the browser has
 * already, or NULL. It holds for the last few users of the browser. Free with g_free; NULL on error. */
char *browser_cookie_add(const Settings *settings, const char *cookie, const char *const *names, GError **error);

/* The id of a browser in which this user has logged in; NULL when the cookie (NULL: none) does not prove it. Free with
 * g_free. */
char *browser_known_id(const Settings *settings, const char *cookie, const char *user);
