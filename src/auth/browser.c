/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "auth/browser.h"

#include "auth/seal.h"
#include "base/json.h"
#include "base/token.h"

#define PURPOSE "browser"
#define USER_PURPOSE "browser user" /* another one: a name may look like the body of a cookie */
#define USERS_MAX 8                 /* a cookie has 4096 bytes (RFC 6265, section 6.1) */

/* What stands for a user: the cookie of a shared computer says nobody's name. Capitals make no difference, as in
 * auth/backoff.c. */
static char *mark_of(const Settings *settings, const char *user, GError **error)
{
    g_autofree char *name = g_ascii_strdown(user, -1);
    return seal_mac(settings, USER_PURPOSE, name, error);
}

static bool has_mark(const json_t *users, const char *mark)
{
    size_t i;
    const json_t *user;
    json_array_foreach(users, i, user)
    {
        if (json_is_string(user) && token_equal(json_string_value(user), mark))
            return true;
    }
    return false;
}

static bool add_names(const Settings *settings, json_t *users, const char *const *names, GError **error)
{
    for (const char *const *name = names; *name; name++) {
        g_autofree char *mark = mark_of(settings, *name, error);
        if (!mark)
            return false;
        if (!has_mark(users, mark))
            json_array_append_new(users, json_string(mark));
    }
    return true;
}

/* Those who were here before, the last one first. */
static void add_earlier(json_t *users, const json_t *earlier)
{
    size_t i;
    json_t *user;
    json_array_foreach(earlier, i, user)
    {
        if (json_array_size(users) < USERS_MAX && json_is_string(user) && !has_mark(users, json_string_value(user)))
            json_array_append(users, user);
    }
}

char *browser_cookie_add(const Settings *settings, const char *cookie, const char *const *names, GError **error)
{
    g_autoptr(JsonValue) earlier = cookie ? seal_open(settings, PURPOSE, cookie, NULL) : NULL;
    g_autoptr(JsonValue) users = json_array();
    g_autofree char *new_id = token_new();
    if (!add_names(settings, users, names, error))
        return NULL;
    add_earlier(users, json_object_get(earlier, "users"));
    g_autoptr(JsonValue) object = json_pack("{s:s, s:O}", "id", json_get_text(earlier, "id", new_id), "users", users);
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    return seal_close(settings, PURPOSE, object, now + settings->login_browser_lifetime, error);
}

char *browser_known_id(const Settings *settings, const char *cookie, const char *user)
{
    if (!cookie || settings->login_browser_lifetime == 0)
        return NULL;
    g_autoptr(JsonValue) object = seal_open(settings, PURPOSE, cookie, NULL);
    g_autofree char *mark = object ? mark_of(settings, user, NULL) : NULL;
    bool is_known = mark && has_mark(json_object_get(object, "users"), mark);
    return is_known ? g_strdup(json_get_text(object, "id", "")) : NULL;
}
