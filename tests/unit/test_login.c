/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <string.h>
#include <unistd.h>

#include "auth/login.h"
#include "auth/seal.h"
#include "base/error.h"
#include "base/json.h"
#include "clock.h"
#include "temp.h"

typedef struct {
    char *folder;
    Settings *settings;
    Login login;
    char *cookie;
} Fixture;

static void begin(const Settings *settings, Login *login, const char *user, const char *groups)
{
    AuthIdentity identity = {.user = g_strdup(user),
                             .name = g_strdup("\xc3\x89lodie"),
                             .email = g_strdup("a@example.org"),
                             .groups = g_strsplit(groups, " ", -1)};
    login_begin(settings, &identity, login);
    g_assert_null(identity.user); /* taken over */
}

static void set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    clock_s = NOON;
    f->folder = temp_folder();
    f->settings = temp_settings(f->folder, "login_lifetime=60", "user_admin=root,@wheel", NULL);
    f->login = (Login){0};
    begin(f->settings, &f->login, "alice", "users wheel");
    f->cookie = login_to_cookie(f->settings, &f->login, NULL);
    g_assert_nonnull(f->cookie);
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_free(f->cookie);
    login_clear(&f->login);
    settings_free(f->settings);
    temp_folder_remove(f->folder);
}

static void assert_refused(const Settings *settings, const char *cookie)
{
    g_autoptr(GError) error = NULL;
    g_auto(Login) login = {0};
    g_assert_false(login_from_cookie(settings, cookie, &login, &error));
    g_assert_error(error, QWD_ERROR, QWD_ERROR_LOGIN);
}

/* --- the cookie --- */

static void test_round_trip(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_auto(Login) login = {0};
    g_assert_true(login_from_cookie(f->settings, f->cookie, &login, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(login.identity.user, ==, "alice");
    g_assert_cmpstr(login.identity.name, ==, "\xc3\x89lodie");
    g_assert_cmpstr(login.identity.email, ==, "a@example.org");
    g_assert_cmpstr(login.identity.groups[1], ==, "wheel");
    g_assert_cmpstr(login.id, ==, f->login.id);
    g_assert_cmpint(login.expires_at, ==, NOON + 60);
    g_assert_false(login.is_by_mail);
}

static void test_by_mail(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->login.is_by_mail = true;
    g_auto(Login) login = {0};
    g_autofree char *cookie = login_to_cookie(f->settings, &f->login, NULL);
    g_assert_true(login_from_cookie(f->settings, cookie, &login, NULL));
    g_assert_true(login.is_by_mail);
}

/* A cookie says under which scheme its login began; one without that word is an older version's. */
static void test_scheme(Fixture *f, gconstpointer unused)
{
    (void)unused;
    for (LoginScheme scheme = LOGIN_SCHEME_ANY; scheme <= LOGIN_SCHEME_HTTPS; scheme++) {
        f->login.scheme = scheme;
        g_auto(Login) login = {0};
        g_autofree char *cookie = login_to_cookie(f->settings, &f->login, NULL);
        g_assert_true(login_from_cookie(f->settings, cookie, &login, NULL));
        g_assert_cmpint(login.scheme, ==, scheme);
    }
    g_auto(Login) login = {0};
    g_autoptr(JsonValue) object = auth_identity_to_json(&f->login.identity);
    json_object_set_new(object, "id", json_string(f->login.id));
    g_autofree char *old = seal_close(f->settings, "login", object, f->login.expires_at, NULL);
    g_assert_true(login_from_cookie(f->settings, old, &login, NULL));
    g_assert_cmpint(login.scheme, ==, LOGIN_SCHEME_ANY);
}

static void test_expired(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_auto(Login) login = {0};
    clock_s = NOON + 59;
    g_assert_true(login_from_cookie(f->settings, f->cookie, &login, NULL));
    clock_s = NOON + 60;
    assert_refused(f->settings, f->cookie);
}

/* What was sealed for something else is no cookie, whatever it says. */
static void test_other_seals(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(JsonValue) object = auth_identity_to_json(&f->login.identity);
    json_object_set_new(object, "id", json_string(f->login.id));
    g_autofree char *entrance = seal_close(f->settings, "entrance", object, NOON + 60, NULL);
    assert_refused(f->settings, entrance);
    assert_refused(f->settings, "");
    assert_refused(f->settings, "alice");
}

/* A cookie of ours that names nobody is nobody's. */
static void test_nobody(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_auto(Login) login = {0};
    g_autoptr(JsonValue) object = json_pack("{s:s, s:s}", "user", "", "id", "x");
    g_autofree char *cookie = seal_close(f->settings, "login", object, NOON + 60, NULL);
    g_assert_false(login_from_cookie(f->settings, cookie, &login, &error));
}

static void test_logout(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_auto(Login) other = {0}, login = {0};
    begin(f->settings, &other, "alice", "");
    g_autofree char *other_cookie = login_to_cookie(f->settings, &other, NULL);
    g_assert_true(login_end(f->settings, &f->login, &error));
    assert_refused(f->settings, f->cookie);
    g_assert_true(login_end(f->settings, &f->login, &error)); /* twice is fine */
    g_assert_no_error(error);
    g_assert_true(login_from_cookie(f->settings, other_cookie, &login, NULL)); /* of another browser */
}

/* --- the token of forms --- */

static void test_csrf(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_auto(Login) other = {0}, again = {0};
    begin(f->settings, &other, "alice", "");
    g_assert_true(login_from_cookie(f->settings, f->cookie, &again, NULL));
    g_autofree char *token = login_csrf(f->settings, &f->login, NULL), *same = login_csrf(f->settings, &again, NULL);
    g_autofree char *foreign = login_csrf(f->settings, &other, NULL);
    g_assert_cmpint(strlen(token), ==, 43); /* 256 bits */
    g_assert_cmpstr(token, ==, same);
    g_assert_cmpstr(token, !=, foreign);
    g_assert_null(strstr(f->cookie, token)); /* who has seen one does not have the other */
}

/* --- rights --- */

static void test_admin(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        const char *user, *groups;
        bool is_admin;
    } cases[] = {
        {"root", "", true},    {"alice", "wheel", true},       {"alice", "a wheel b", true}, {"alice", "", false},
        {"roo", "", false},    {"root2", "", false},           {"ROOT", "", false},          {"wheel", "", false},
        {"@wheel", "", false}, {"alice", "wheels", false},     {"alice", "@wheel", false},   {"alice", "root", false},
        {"", "", false},       {"alice", "Wheel whee", false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Login) login = {0};
        begin(f->settings, &login, cases[i].user, cases[i].groups);
        g_assert_cmpint(login.is_admin, ==, cases[i].is_admin);
    }
}

static void test_admin_removed(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(Settings) later = temp_settings(f->folder, "user_admin=root", NULL);
    g_autoptr(Settings) none = temp_settings(f->folder, NULL);
    g_auto(Login) before = {0}, after = {0}, nobody = {0};
    g_assert_true(login_from_cookie(f->settings, f->cookie, &before, NULL));
    g_assert_true(before.is_admin);
    g_assert_true(login_from_cookie(later, f->cookie, &after, NULL));
    g_assert_false(after.is_admin);
    g_assert_true(login_from_cookie(none, f->cookie, &nobody, NULL));
    g_assert_false(nobody.is_admin);
}

static void test_second_factor(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        const char *mfa, *mfa_groups, *groups;
        bool needed;
    } cases[] = {
        {"no", "", "staff", false},         {"no", "staff", "staff", false},    {"totp", "", "", true},
        {"totp", "staff", "staff", true},   {"totp", "staff", "", false},       {"email", "", "users", true},
        {"email", "staff", "users", false}, {"totp", "a,staff", "staff", true},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *mfa = g_strconcat("check_user_mfa=", cases[i].mfa, NULL);
        g_autofree char *groups = g_strconcat("check_user_mfa_groups=", cases[i].mfa_groups, NULL);
        g_autoptr(Settings) settings = temp_settings(f->folder, mfa, groups, NULL);
        g_auto(GStrv) of_user = g_strsplit(cases[i].groups, " ", -1);
        AuthIdentity identity = {.user = (char *)"alice", .groups = of_user};
        g_assert_cmpint(login_needs_second_factor(settings, &identity), ==, cases[i].needed);
    }
}

/* A browser drops a cookie of more than 4096 bytes without a word. */
static void test_many_groups(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(Settings) settings = temp_settings(f->folder, "user_admin=@g7,@g399", "check_user_mfa_groups=g8", NULL);
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    for (int i = 0; i < 400; i++) {
        g_autofree char *group = g_strdup_printf("g%d", i);
        g_strv_builder_add(builder, group);
    }
    g_auto(AuthIdentity) few = {.user = g_strdup("alice"), .groups = g_strsplit("users g7 guests", " ", -1)};
    login_trim_groups(settings, &few);
    g_assert_cmpint(g_strv_length(few.groups), ==, 3);
    g_auto(AuthIdentity) many = {.user = g_strnfill(1024, 'u'), .groups = g_strv_builder_end(builder)};
    login_trim_groups(settings, &many);
    g_autofree char *left = g_strjoinv(" ", many.groups);
    g_assert_cmpstr(left, ==, "g7 g8 g399");
    g_auto(Login) login = {0};
    login_begin(settings, &many, &login);
    g_assert_true(login.is_admin);
    g_autofree char *cookie = login_to_cookie(settings, &login, NULL);
    g_assert_cmpint(strlen(cookie), <, 4000);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, function) g_test_add(path, Fixture, NULL, set_up, function, tear_down)
    ADD("/login/cookie/round-trip", test_round_trip);
    ADD("/login/cookie/by-mail", test_by_mail);
    ADD("/login/cookie/scheme", test_scheme);
    ADD("/login/cookie/expired", test_expired);
    ADD("/login/cookie/other-seals", test_other_seals);
    ADD("/login/cookie/nobody", test_nobody);
    ADD("/login/cookie/logout", test_logout);
    ADD("/login/cookie/many-groups", test_many_groups);
    ADD("/login/csrf", test_csrf);
    ADD("/login/admin", test_admin);
    ADD("/login/admin/removed", test_admin_removed);
    ADD("/login/second-factor", test_second_factor);
    return g_test_run();
}
