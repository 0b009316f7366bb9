/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <string.h>
#include <unistd.h>

#include "auth/backends.h"
#include "base/error.h"
#include "temp.h"

#define PASSWORD "s3cret-p4ssword"
#define WRONG_WORDS "The user name or the password is not right."

/* Beginning of all programs: notes that it was asked. */
#define SCRIPT "#!/bin/sh\ncd \"$(dirname \"$0\")\"; basename \"$0\" >>asked\n"
#define YES SCRIPT "cat >stdin; echo '{\"user\": \"'$(basename \"$0\")'\"}'\n"
#define NO SCRIPT "echo \"not this one\" >&2; exit 1\n"

typedef struct {
    char *folder;
    GPtrArray *troubles;
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->folder = temp_folder();
    f->troubles = g_ptr_array_new_with_free_func(g_free);
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_ptr_array_unref(f->troubles);
    temp_folder_remove(f->folder);
}

static void add_program(const Fixture *f, const char *name, const char *text)
{
    g_free(temp_script(f->folder, name, text));
}

/* Settings with these ways on, in the usual order; "custom" is FOLDER/custom. */
static Settings *settings_with(const Fixture *f, const char *ways, const char *more)
{
    g_autofree char *lib = g_strconcat("dir_lib=", f->folder, NULL);
    g_autofree char *program = g_build_filename(f->folder, "custom", NULL);
    g_autofree char *custom = g_strconcat("check_user_custom=", strstr(ways, "custom") ? program : "", NULL);
    const char *local = strstr(ways, "local") ? "check_user_with_local=yes" : "check_user_with_local=no";
    const char *ldap = strstr(ways, "ldap") ? "check_user_with_ldap=yes" : "check_user_with_ldap=no";
    const char *imap = strstr(ways, "imap") ? "check_user_with_imap=yes" : "check_user_with_imap=no";
    return temp_settings(f->folder, lib, custom, local, ldap, imap, "check_user_deadline=60", more, NULL);
}

static bool check(const Fixture *f, const Settings *settings, const Claim *claim, AuthIdentity *identity)
{
    g_autoptr(GError) error = NULL;
    bool good = auth_check(settings, claim, identity, f->troubles, &error);
    if (!good) {
        assert_error(error, QWD_ERROR_LOGIN, WRONG_WORDS); /* the same, whatever was wrong */
        g_assert_null(identity->user);
    }
    return good;
}

/* Asks the custom program alone. */
static bool check_custom_within(const Fixture *f, const char *script, int deadline_s, AuthIdentity *identity)
{
    g_autoptr(Settings) settings = settings_with(f, "custom", NULL);
    settings->check_user_deadline = deadline_s;
    Claim claim = {.user = "alice", .password = PASSWORD};
    add_program(f, "custom", script);
    g_ptr_array_set_size(f->troubles, 0);
    return check(f, settings, &claim, identity);
}

static bool check_custom(const Fixture *f, const char *script, AuthIdentity *identity)
{
    return check_custom_within(f, script, 60, identity);
}

static char *content(const Fixture *f, const char *name, size_t *length)
{
    char *text = NULL;
    g_autofree char *path = g_build_filename(f->folder, name, NULL);
    g_file_get_contents(path, &text, length, NULL);
    return text;
}

static void assert_asked(const Fixture *f, const char *expected)
{
    g_autofree char *asked = content(f, "asked", NULL), *path = g_build_filename(f->folder, "asked", NULL);
    g_assert_cmpstr(asked ? asked : "", ==, expected);
    unlink(path);
}

static void assert_trouble(const Fixture *f, guint index, const char *text)
{
    g_assert_cmpint(f->troubles->len, >, index);
    if (!strstr(f->troubles->pdata[index], text))
        g_error("\"%s\" does not say \"%s\"", (char *)f->troubles->pdata[index], text);
    g_assert_null(strstr(f->troubles->pdata[index], PASSWORD));
}

/* --- answers --- */

static void test_yes(Fixture *f, gconstpointer unused)
{
    (void)unused;
    size_t length;
    g_auto(AuthIdentity) identity = {0};
    g_assert_true(check_custom(f,
                               SCRIPT "cat >stdin; echo '{\"user\": \"alice\", \"name\": \"Alice\", \"email\": "
                                      "\"a@example.org\", \"groups\": [\"staff\"], \"other\": 1}'\n",
                               &identity));
    g_assert_cmpstr(identity.user, ==, "alice");
    g_assert_cmpstr(identity.name, ==, "Alice");
    g_assert_cmpstr(identity.email, ==, "a@example.org");
    g_assert_cmpstr(identity.groups[0], ==, "staff");
    g_assert_cmpint(f->troubles->len, ==, 0);
    g_autofree char *got = content(f, "stdin", &length);
    g_assert_cmpmem(got, length, "alice\0" PASSWORD, sizeof("alice\0" PASSWORD));
}

static void test_no(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_auto(AuthIdentity) identity = {0};
    g_assert_false(check_custom(f, NO, &identity));
    g_assert_cmpint(f->troubles->len, ==, 0); /* that is nothing for the log's trouble lines */
}

static void test_trouble(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        const char *script, *trouble;
    } cases[] = {
        {SCRIPT "kill -SEGV $$\n", "exit code 139"},
        {SCRIPT "kill -KILL $$\n", "exit code 137"},
        {SCRIPT "echo 'first' >&2; echo 'the server is away' >&2; exit 2\n", "exit code 2: the server is away"},
        {SCRIPT "echo '{\"user\": \"alice\"}'; exit 3\n", "exit code 3"},
        {SCRIPT "echo '{\"user\": \"alice\"}'; kill -SEGV $$\n", "exit code 139"},
        {SCRIPT, "Login with custom is not possible:"},
        {SCRIPT "echo yes\n", "Login with custom is not possible:"},
        {SCRIPT "echo '{\"user\": \"alice\"'\n", "Login with custom is not possible:"},
        {SCRIPT "echo '[\"alice\"]'\n", "Login with custom is not possible:"},
        {SCRIPT "echo '{}'\n", "names no user"},
        {SCRIPT "echo '{\"user\": \"\"}'\n", "names no user"},
        {SCRIPT "echo '{\"user\": 7}'\n", "names no user"},
        {SCRIPT "echo '{\"user\": \"a\\\\nb\"}'\n", "names no user"},
        {SCRIPT "echo '{\"user\": \"alice\"} {\"user\": \"root\"}'\n", "Login with custom is not possible:"},
        {SCRIPT "head -c 3000000 /dev/zero | tr '\\0' '['\n", "Login with custom is not possible:"},
        {"not-a-program\n", "exit code 127"},
        {"#!/nonexistent/interpreter\n", "Cannot start"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(AuthIdentity) identity = {0};
        g_test_message("%s", cases[i].script);
        g_assert_false(check_custom(f, cases[i].script, &identity));
        g_assert_cmpint(f->troubles->len, ==, 1);
        assert_trouble(f, 0, cases[i].trouble);
    }
}

/* One that does not read what it is given, or writes no end of it, is no trouble to us. */
static void test_rude(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const scripts[] = {
        SCRIPT "exec <&-; echo '{\"user\": \"custom\"}'\n",
        SCRIPT "head -c 200000 /dev/zero | tr '\\0' 'x' >&2; echo '{\"user\": \"custom\"}'\n",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(scripts); i++) {
        g_auto(AuthIdentity) identity = {0};
        g_assert_true(check_custom(f, scripts[i], &identity));
    }
}

static void test_hang(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const scripts[] = {
        SCRIPT "exec sleep 1000\n",
        SCRIPT "sleep 1000\n",
        SCRIPT "echo '{\"user\": \"alice\"}'; exec sleep 1000\n",
        SCRIPT "trap '' TERM INT HUP; exec sleep 1000\n",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(scripts); i++) {
        g_auto(AuthIdentity) identity = {0};
        gint64 begin_us = g_get_monotonic_time();
        g_assert_false(check_custom_within(f, scripts[i], 1, &identity));
        g_assert_cmpint(g_get_monotonic_time() - begin_us, <, 60 * G_USEC_PER_SEC); /* they would go on for 1000 s */
        assert_trouble(f, 0, "No answer within 1.0 s.");
    }
}

static void test_missing(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(Settings) settings = settings_with(f, "ldap,custom", NULL);
    g_auto(AuthIdentity) identity = {0};
    Claim claim = {.user = "alice", .password = PASSWORD};
    g_free(temp_file(f->folder, "custom", YES)); /* without the right to be executed */
    g_assert_false(check(f, settings, &claim, &identity));
    assert_trouble(f, 0, "Login with ldap is not possible: Cannot start");
    assert_trouble(f, 1, "Login with custom is not possible: Cannot start");
    assert_asked(f, "");
}

/* --- order --- */

/* What is not in the order is not asked, and what is in it must have a meaning. */
static void test_wrong_order(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(Settings) settings = settings_with(f, "ldap,custom", "check_user_order=local,ldpa,header");
    g_auto(AuthIdentity) identity = {0};
    add_program(f, "qwd-auth-ldap", YES);
    add_program(f, "custom", YES);
    g_assert_false(check(f, settings, &(Claim){.user = "alice", .password = PASSWORD}, &identity));
    assert_asked(f, "");
    assert_trouble(f, 0, "Login with ldpa is not possible: check_user_order has a word");
    assert_trouble(f, 1, "Login with header is not possible: check_user_order has a word");
    assert_trouble(f, 2, "Login with ldap is on, but check_user_order leaves it out.");
    assert_trouble(f, 3, "Login with custom is on, but");
    g_assert_cmpint(f->troubles->len, ==, 4);
}

static void test_order(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        const char *ways, *order, *asked, *user; /* NULL: no */
    } cases[] = {
        {"local,ldap,custom", NULL, "qwd-auth-local\nqwd-auth-ldap\n", "qwd-auth-ldap"},
        {"local,ldap,custom", "check_user_order=custom,ldap,local", "custom\n", "custom"},
        {"local,custom", NULL, "qwd-auth-local\ncustom\n", "custom"},
        {"local", NULL, "qwd-auth-local\n", NULL},
        {"imap,ldap", "check_user_order=imap,ldap", "qwd-auth-imap\nqwd-auth-ldap\n", "qwd-auth-ldap"},
        {"", NULL, "", NULL},
    };
    add_program(f, "qwd-auth-local", NO);
    add_program(f, "qwd-auth-ldap", YES);
    add_program(f, "qwd-auth-imap", SCRIPT "echo 'server is away' >&2; exit 2\n");
    add_program(f, "custom", YES);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(Settings) settings = settings_with(f, cases[i].ways, cases[i].order);
        g_auto(AuthIdentity) identity = {0};
        Claim claim = {.user = "alice", .password = PASSWORD};
        g_assert_cmpint(check(f, settings, &claim, &identity), ==, cases[i].user != NULL);
        g_assert_cmpstr(identity.user, ==, cases[i].user);
        assert_asked(f, cases[i].asked);
    }
    assert_trouble(f, 0, "Login with imap is not possible: exit code 2: server is away");
    g_assert_cmpint(f->troubles->len, ==, 1);
}

static void test_takes_password(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        const char *ways;
        bool takes;
    } cases[] = {{"", false}, {"local", true}, {"imap", true}, {"custom", true}};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(Settings) settings = settings_with(f, cases[i].ways, "check_user_with_header=yes");
        g_assert_cmpint(auth_takes_password(settings), ==, cases[i].takes);
    }
}

/* --- claims --- */

static void test_implausible(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *longest = g_strnfill(CREDENTIAL_MAX_BYTES, 'x'),
                    *longer = g_strnfill(CREDENTIAL_MAX_BYTES + 1, 'x');
    g_autofree char *huge = g_strnfill(1000000, 'x');
    const Claim claims[] = {{"alice", ""},      {"", PASSWORD},    {"", ""},
                            {longer, PASSWORD}, {"alice", longer}, {huge, huge}};
    g_autoptr(Settings) settings = settings_with(f, "custom", NULL);
    add_program(f, "custom", YES);
    for (size_t i = 0; i < G_N_ELEMENTS(claims); i++) {
        g_auto(AuthIdentity) identity = {0};
        g_assert_false(check(f, settings, &claims[i], &identity));
    }
    assert_asked(f, "");
    g_auto(AuthIdentity) identity = {0};
    g_assert_true(check(f, settings, &(Claim){longest, longest}, &identity));
}

/* Other accounts of the host see command lines, and the service's own account sees environments. */
static void test_secrecy(Fixture *f, gconstpointer unused)
{
    (void)unused;
    size_t argv_length, environment_length;
    g_auto(AuthIdentity) identity = {0};
    g_setenv("HTTP_COOKIE", "qwd_login=" PASSWORD, TRUE);
    g_setenv("QWD_CONFIG", "/etc/x.conf", TRUE);
    g_assert_true(
        check_custom(f, SCRIPT "cat /proc/$$/cmdline >argv; cat /proc/$$/environ >environment\n" YES, &identity));
    g_unsetenv("HTTP_COOKIE");
    g_unsetenv("QWD_CONFIG");
    g_autofree char *argv = content(f, "argv", &argv_length),
                    *environment = content(f, "environment", &environment_length);
    g_assert_cmpint(argv_length, >, 0);
    g_assert_null(g_strstr_len(argv, (gssize)argv_length, "alice"));
    g_assert_null(memmem(argv, argv_length, PASSWORD, strlen(PASSWORD)));
    g_assert_null(memmem(environment, environment_length, PASSWORD, strlen(PASSWORD)));
    g_assert_null(memmem(environment, environment_length, "HTTP_", 5));
    g_assert_nonnull(memmem(environment, environment_length, "QWD_CONFIG=/etc/x.conf", 22));
    g_assert_nonnull(memmem(environment, environment_length, "PATH=/usr", 9));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, function) g_test_add(path, Fixture, NULL, set_up, function, tear_down)
    ADD("/backends/yes", test_yes);
    ADD("/backends/no", test_no);
    ADD("/backends/trouble", test_trouble);
    ADD("/backends/rude", test_rude);
    ADD("/backends/hang", test_hang);
    ADD("/backends/missing", test_missing);
    ADD("/backends/order", test_order);
    ADD("/backends/order/wrong", test_wrong_order);
    ADD("/backends/takes-password", test_takes_password);
    ADD("/backends/implausible", test_implausible);
    ADD("/backends/secrecy", test_secrecy);
    return g_test_run();
}
