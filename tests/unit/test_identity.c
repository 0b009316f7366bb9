/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "requests.h"
#include "web/identity.h"

static bool is_local(const char *variable, const char *more)
{
    const char *environment[] = {"REQUEST_METHOD=GET", variable, more, NULL};
    g_autoptr(Request) request = test_request_new(environment, "", 0);
    return identity_is_local(request);
}

static void test_addresses(void)
{
    static const char *const local[] = {"127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "0:0:0:0:0:0:0:1"};
    static const char *const remote[] = {
        "203.0.113.5", "128.0.0.1",  "::",           "2001:db8::1", "::ffff:203.0.113.5", "",           "localhost",
        "127.0.0.1 ",  " 127.0.0.1", "127.0.0.1:80", "127.1",       "0x7f000001",         "2130706433", "127.0.0.1\n",
        "::1%lo",      "[::1]",      "0177.0.0.1",   "127.0.0.256", "::127.0.0.1.2"};
    for (size_t i = 0; i < G_N_ELEMENTS(local); i++) {
        g_autofree char *variable = g_strconcat("REMOTE_ADDR=", local[i], NULL);
        g_assert_true(is_local(variable, NULL));
        g_assert_false(is_local(variable, "HTTP_X_FORWARDED_FOR=127.0.0.1"));
        g_assert_false(is_local(variable, "HTTP_FORWARDED=for=127.0.0.1"));
        g_assert_true(is_local(variable, "HTTP_X_FORWARDED_FOR="));
    }
    for (size_t i = 0; i < G_N_ELEMENTS(remote); i++) {
        g_autofree char *variable = g_strconcat("REMOTE_ADDR=", remote[i], NULL);
        g_assert_false(is_local(variable, NULL));
    }
    g_assert_false(is_local("SERVER_ADDR=127.0.0.1", NULL)); /* no address at all */
}

/* A name is only what the form claims: it proves nothing. */
static void test_claims(void)
{
    const char *environment[] = {"REQUEST_METHOD=GET", "REMOTE_ADDR=127.0.0.1", "REMOTE_USER=root", NULL};
    g_autoptr(Request) request = test_request_new(environment, "", 0);
    Identity who = identity_of(request, "root"), nobody = identity_of(request, "");
    g_assert_cmpstr(who.user, ==, "root");
    g_assert_true(who.is_local && !who.is_admin && !who.is_authenticated);
    g_assert_cmpstr(nobody.user, ==, "guest");
    g_assert_true(nobody.is_local && !nobody.is_admin && !nobody.is_authenticated);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/identity/addresses", test_addresses);
    g_test_add_func("/identity/claims", test_claims);
    return g_test_run();
}
