/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <ldap.h>
#include <string.h>

#include "auth/directory.h"
#include "base/error.h"

static Settings *settings_with(const char *const *overrides)
{
    g_autoptr(GError) error = NULL;
    Settings *settings = settings_load("/nonexistent/qwd.conf", false, overrides, &error);
    g_assert_no_error(error);
    return settings;
}

/* --- address --- */

static void test_address(void)
{
    static const struct {
        const char *server, *port, *tls, *uri;
        DirectoryProtection protection;
    } cases[] = {
        {"ldap.example.org", "389", "starttls", "ldap://ldap.example.org:389", DIRECTORY_STARTTLS},
        {"ldap.example.org", "389", "none", "ldap://ldap.example.org:389", DIRECTORY_CLEAR},
        {"ldap.example.org", "389", "ldaps", "ldaps://ldap.example.org:636", DIRECTORY_LDAPS},
        {"ldap.example.org", "3269", "ldaps", "ldaps://ldap.example.org:3269", DIRECTORY_LDAPS},
        {"ldap.example.org:1389", "389", "starttls", "ldap://ldap.example.org:1389", DIRECTORY_STARTTLS},
        {"ldap://ldap.example.org", "389", "starttls", "ldap://ldap.example.org:389", DIRECTORY_STARTTLS},
        {"ldap://ldap.example.org/", "1389", "none", "ldap://ldap.example.org:1389", DIRECTORY_CLEAR},
        {"ldaps://ldap.example.org", "389", "starttls", "ldaps://ldap.example.org:636", DIRECTORY_LDAPS},
        {"ldaps://ldap.example.org", "389", "none", "ldaps://ldap.example.org:636", DIRECTORY_LDAPS},
        {"LDAPS://ldap.example.org:7", "389", "ldaps", "ldaps://ldap.example.org:7", DIRECTORY_LDAPS},
        {"127.0.0.1", "389", "starttls", "ldap://127.0.0.1:389", DIRECTORY_STARTTLS},
        {"::1", "389", "starttls", "ldap://[::1]:389", DIRECTORY_STARTTLS},
        {"[::1]:1389", "389", "starttls", "ldap://[::1]:1389", DIRECTORY_STARTTLS},
        {"ldaps://[::1]", "389", "starttls", "ldaps://[::1]:636", DIRECTORY_LDAPS},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *server = g_strconcat("ldap_server=", cases[i].server, NULL);
        g_autofree char *port = g_strconcat("ldap_port=", cases[i].port, NULL);
        g_autofree char *tls = g_strconcat("ldap_tls=", cases[i].tls, NULL);
        const char *overrides[] = {server, port, tls, NULL};
        g_autoptr(Settings) settings = settings_with(overrides);
        g_autoptr(GError) error = NULL;
        g_auto(DirectoryAddress) address = {0};
        g_assert_true(directory_address(settings, &address, &error));
        g_assert_cmpstr(address.uri, ==, cases[i].uri);
        g_assert_cmpint(address.protection, ==, cases[i].protection);
    }
}

static void test_address_refused(void)
{
    static const struct {
        const char *server, *tls;
    } cases[] = {
        {"", "starttls"},
        {"ldap://ldap.example.org", "ldaps"}, /* one of the two would have to give way */
        {"http://ldap.example.org", "starttls"},
        {"ldapi://%2frun%2fslapd", "starttls"},
        {"ldap://", "starttls"},
        {"ldap://ldap.example.org/dc=example", "starttls"},
        {"ldap://ldap.example.org?uid", "starttls"},
        {"ldap://ldap.example.org#x", "starttls"},
        {"ldap://user@ldap.example.org", "starttls"},
        {"ldap://ldap.example.org:port", "starttls"},
        {"ldap://ldap.example.org:99999", "starttls"},
        {"a.example.org b.example.org", "starttls"}, /* libldap would read two servers */
        {"a.example.org,b.example.org", "starttls"},
        {"ldap.example.org\tldap://x", "starttls"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *server = g_strconcat("ldap_server=", cases[i].server, NULL);
        g_autofree char *tls = g_strconcat("ldap_tls=", cases[i].tls, NULL);
        const char *overrides[] = {server, tls, NULL};
        g_autoptr(Settings) settings = settings_with(overrides);
        g_autoptr(GError) error = NULL;
        g_auto(DirectoryAddress) address = {0};
        g_assert_false(directory_address(settings, &address, &error));
        g_assert_error(error, QWD_ERROR, QWD_ERROR_CONFIG);
        g_assert_nonnull(strstr(error->message, "ldap_server"));
    }
}

/* --- base --- */

static void test_base(void)
{
    static const struct {
        const char *base, *domain, *expected; /* NULL: refused */
    } cases[] = {
        {"ldap_base=ou=people,dc=example,dc=org", "ldap_domain=elsewhere", "ou=people,dc=example,dc=org"},
        {"ldap_base=", "ldap_domain=example.org", "dc=example,dc=org"},
        {"ldap_base=", "ldap_domain=EXP", "dc=EXP"},
        {"ldap_base=", "ldap_domain=", NULL},
        {"ldap_base=", "ldap_domain=example..org", NULL},
        {"ldap_base=", "ldap_domain=.", NULL},
        {"ldap_base=", "ldap_domain=x,ou=admins", NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *overrides[] = {cases[i].base, cases[i].domain, NULL};
        g_autoptr(Settings) settings = settings_with(overrides);
        g_autoptr(GError) error = NULL;
        g_autofree char *base = directory_base(settings, &error);
        g_assert_cmpstr(base, ==, cases[i].expected);
        if (!cases[i].expected)
            g_assert_error(error, QWD_ERROR, QWD_ERROR_CONFIG);
    }
}

/* --- filter --- */

static void test_filter(void)
{
    static const struct {
        const char *pattern, *user, *dn, *expected;
    } cases[] = {
        {"(uid=%u)", "alice", NULL, "(uid=alice)"},
        {"(|(uid=%u)(mail=%u))", "a", NULL, "(|(uid=a)(mail=a))"},
        {"(|(member=%d)(memberUid=%u))", "alice", "uid=alice,dc=x", "(|(member=uid=alice,dc=x)(memberUid=alice))"},
        {"(uid=%u)", "%u", "D", "(uid=%u)"}, /* what is put in is not looked at again */
        {"(uid=%u)", "%d%u%%", "D", "(uid=%d%u%%)"},
        {"(member=%d)", "U", "cn=%u,cn=%d", "(member=cn=%u,cn=%d)"},
        {"(uid=%u)(cn=%d)", "a", NULL, "(uid=a)(cn=%d)"}, /* no DN in a search for users */
        {"(cn=100%)", "a", "d", "(cn=100%)"},
        {"%", "a", "d", "%"},
        {"%%u", "a", "d", "%a"},
        {"(cn=%U%D%s%n)", "a", "d", "(cn=%U%D%s%n)"},
        {"", "a", "d", ""},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *filter = directory_filter(cases[i].pattern, cases[i].user, cases[i].dn);
        g_assert_cmpstr(filter, ==, cases[i].expected);
    }
}

static char *escaped(const char *value)
{
    struct berval in = {.bv_len = strlen(value), .bv_val = (char *)value}, out = {0};
    g_assert_cmpint(ldap_bv2escaped_filter_value(&in, &out), ==, 0);
    char *copy = g_strndup(out.bv_val, out.bv_len);
    ber_memfree(out.bv_val);
    return copy;
}

/* Undoes the escapes; fails on a character that ends a value or means something in it (RFC 4515, section 3). */
static char *unescaped(const char *value)
{
    GString *text = g_string_new(NULL);
    for (const char *c = value; *c; c++) {
        g_assert_null(strchr("*()", *c));
        if (*c == '\\') {
            g_assert_true(g_ascii_isxdigit(c[1]) && g_ascii_isxdigit(c[2]));
            g_string_append_c(text, (char)(g_ascii_xdigit_value(c[1]) * 16 + g_ascii_xdigit_value(c[2])));
            c += 2;
        } else {
            g_string_append_c(text, *c);
        }
    }
    return g_string_free(text, FALSE);
}

static void assert_harmless(const char *user)
{
    static const char begin[] = "(|(uid=", middle[] = ")(mail=", end[] = "))";
    g_autofree char *value = escaped(user);
    g_autofree char *back = unescaped(value);
    g_assert_cmpstr(back, ==, user);
    g_autofree char *filter = directory_filter("(|(uid=%u)(mail=%u))", value, "uid=other");
    g_autofree char *expected = g_strconcat(begin, value, middle, value, end, NULL);
    g_assert_cmpstr(filter, ==, expected);
}

/* The library's escaping and our filling in together: whatever the user, the filter keeps its two terms. */
static void test_filter_hostile(void)
{
    static const char *const users[] = {
        "*",
        "*)(uid=*",
        "*))%00",
        "alice)(|(uid=*",
        "a\\",
        "\\2a",
        "\\\\",
        "(",
        ")",
        "))((",
        "%u",
        "%d",
        "%",
        "%2a",
        "\x01\x02\x1f\x7f",
        "a\nb\r\n",
        "a\tb",
        " alice ",
        "#x",
        "a=b,c=d+e;f<g>h\"i",
        "&(uid=x)",
        "!(uid=x)",
        "a:dn:=b",
        "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
        "\xe2\x80\xae"
        "ecila",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(users); i++)
        assert_harmless(users[i]);
    g_autofree char *parentheses = g_strnfill(1000, ')');
    g_autofree char *stars = g_strnfill(1000, '*');
    assert_harmless(parentheses);
    assert_harmless(stars);
    char one[2] = "";
    for (int c = 1; c < 128; c++) {
        one[0] = (char)c;
        assert_harmless(one);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/directory/address", test_address);
    g_test_add_func("/directory/address/refused", test_address_refused);
    g_test_add_func("/directory/base", test_base);
    g_test_add_func("/directory/filter", test_filter);
    g_test_add_func("/directory/filter/hostile", test_filter_hostile);
    return g_test_run();
}
