/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "auth/browser.h"

#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "temp.h"

typedef struct {
    char *folder;
    Settings *settings;
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    clock_s = NOON;
    f->folder = temp_folder();
    f->settings = temp_settings(f->folder, "login_browser_lifetime=60", NULL);
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    settings_free(f->settings);
    temp_folder_remove(f->folder);
}

static char *added(const Fixture *f, const char *cookie, const char *one, const char *other)
{
    const char *const names[] = {one, other, NULL};
    char *value = browser_cookie_add(f->settings, cookie, names, NULL);
    g_assert_nonnull(value);
    return value;
}

static bool is_known(const Fixture *f, const char *cookie, const char *user)
{
    g_autofree char *id = browser_known_id(f->settings, cookie, user);
    g_assert_true(!id || strlen(id) == 32);
    return id != NULL;
}

static void test_known(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *cookie = added(f, NULL, "alice", "Alice@Example.org");
    g_assert_true(is_known(f, cookie, "alice"));
    g_assert_true(is_known(f, cookie, "ALICE"));
    g_assert_true(is_known(f, cookie, "alice@example.org"));
    g_assert_false(is_known(f, cookie, "bob"));
    g_assert_false(is_known(f, cookie, ""));
    g_assert_false(is_known(f, NULL, "alice"));
    clock_s += 60;
    g_assert_false(is_known(f, cookie, "alice"));
}

/* A shared computer keeps its id, and its last few users. */
static void test_several(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *cookie = added(f, NULL, "user0", NULL), *first = browser_known_id(f->settings, cookie, "user0");
    for (int i = 1; i <= 30; i++) {
        g_autofree char *before = g_steal_pointer(&cookie), *user = g_strdup_printf("user%d", i);
        cookie = added(f, before, user, NULL);
        g_assert_cmpuint(strlen(cookie), <, 1000);
    }
    g_autofree char *last = browser_known_id(f->settings, cookie, "user30");
    g_assert_cmpstr(last, ==, first);
    g_assert_true(is_known(f, cookie, "user23"));
    g_assert_false(is_known(f, cookie, "user22"));
    g_autofree char *again = added(f, cookie, "user23", NULL);
    g_assert_true(is_known(f, again, "user24"));
}

/* Another purpose, a change, and what was never one. */
static void test_forged(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *cookie = added(f, NULL, "alice", NULL), *shorter = g_strndup(cookie, strlen(cookie) - 1);
    g_autofree char *other = added(f, NULL, "bob", NULL), *mixed = NULL;
    mixed = g_strdup_printf("%.*s%s", (int)(strchr(cookie, '.') - cookie), cookie, strchr(other, '.'));
    const char *const forged[] = {shorter, mixed, "", ".", "x.y"};
    for (size_t i = 0; i < G_N_ELEMENTS(forged); i++) {
        g_assert_false(is_known(f, forged[i], "alice"));
        g_autofree char *fresh = added(f, forged[i], "carol", NULL);
        g_assert_false(is_known(f, fresh, "alice"));
    }
    f->settings->login_browser_lifetime = 0;
    g_assert_false(is_known(f, cookie, "alice"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/browser/known", Fixture, NULL, set_up, test_known, tear_down);
    g_test_add("/browser/several", Fixture, NULL, set_up, test_several, tear_down);
    g_test_add("/browser/forged", Fixture, NULL, set_up, test_forged, tear_down);
    return g_test_run();
}
