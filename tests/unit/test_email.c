/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <string.h>

#include "auth/email.h"
#include "base/error.h"

#define TEN "abcdefghij"
#define SIXTY TEN TEN TEN TEN TEN TEN
#define LABEL_63 SIXTY "abc"

static void test_valid(void)
{
    static const char *const addresses[] = {
        "a@b.cc",
        "alice@example.org",
        "Alice.Miller@Example.ORG",
        "alice+desktop@example.org",
        "alice+a+b=c@example.org",
        "first.middle.last@sub.sub.example.org",
        "x@long.museum",
        "x@desk.photography",
        "x@example.international",
        "x@example.travelersinsurance",
        "1234567890@example.org",
        "_______@example.org",
        "-@example.org",
        "a-b@ex-ample.org",
        "o'neil@example.org",
        "!#$%&'*+-/=?^_`{|}~@example.org",
        "user%example.com@example.org",
        "x@1.example.org",
        "x@163.com",
        "x@3com.com",
        "x@example.c0m",
        "x@xn--bcher-kva.example",
        "x@xn--fsq.xn--0zwm56d",
        "x@a--b.example",
        "x@synchrotron-soleil.fr",
        SIXTY "abcd@example.org",
        "x@" LABEL_63 ".org",
        "x@" LABEL_63 "." LABEL_63 "." LABEL_63 "." SIXTY, /* 254 */
    };
    for (size_t i = 0; i < G_N_ELEMENTS(addresses); i++) {
        g_autoptr(GError) error = NULL;
        bool good = email_address_check(addresses[i], &error);
        if (!good)
            g_test_message("%s: %s", addresses[i], error->message);
        g_assert_true(good);
        g_assert_true(email_address_is_valid(addresses[i]));
    }
}

static void test_invalid(void)
{
    static const struct {
        const char *address, *reason;
    } cases[] = {
        {"", "no @"},
        {"alice", "no @"},
        {"example.org", "no @"},
        {"@", "before the @"},
        {"@example.org", "before the @"},
        {"alice@", "domain"},
        {"alice@example", "no dot"},
        {"alice@localhost", "no dot"},
        {"alice@example.", "domain"},
        {"alice@example.org.", "domain"},
        {"alice@.example.org", "domain"},
        {"alice@example..org", "domain"},
        {"alice@.", "domain"},
        {".alice@example.org", "dots"},
        {"alice.@example.org", "dots"},
        {"al..ice@example.org", "dots"},
        {".@example.org", "dots"},
        {"alice@home@example.org", "not allowed"},
        {"alice@@example.org", "not allowed"},
        {"alice@example.org@", "not allowed"},
        {"alice @example.org", "not allowed"},
        {" alice@example.org", "not allowed"},
        {"alice@example.org ", "domain"},
        {"alice@ example.org", "domain"},
        {"alice@exa mple.org", "domain"},
        {"alice@example.org\n", "domain"},
        {"alice@example.org\r\nBcc: x@example.com", "not allowed"},
        {"alice@example.org\r\nRCPT TO:<x>", "domain"},
        {"alice\n@example.org", "not allowed"},
        {"alice\t@example.org", "not allowed"},
        {"alice\x7f@example.org", "not allowed"},
        {"a,b@example.org", "not allowed"},
        {"alice@example.org,bob@example.org", "not allowed"},
        {"alice@example.org;bob@example.org", "not allowed"},
        {"alice@example.org, bob", "domain"},
        {"a;b@example.org", "not allowed"},
        {"a:b@example.org", "not allowed"},
        {"a(b)@example.org", "not allowed"},
        {"a[b]@example.org", "not allowed"},
        {"a\\b@example.org", "not allowed"},
        {"a<b@example.org", "not allowed"},
        {"<alice@example.org>", "not allowed"},
        {"Alice <alice@example.org>", "not allowed"},
        {"\"alice\"@example.org", "quotation"},
        {"\"a b\"@example.org", "quotation"},
        {"\"a@b\"@example.org", "quotation"},
        {"alice@[127.0.0.1]", "not a number"},
        {"alice@[IPv6:::1]", "not a number"},
        {"alice@127.0.0.1", "not a number"},
        {"alice@1.2", "not a number"},
        {"alice@example.123", "not a number"},
        {"alice@-example.org", "domain"},
        {"alice@example-.org", "domain"},
        {"alice@exam_ple.org", "domain"},
        {"alice@example.org/x", "domain"},
        {"alice@example.org?x", "domain"},
        {"alice@example.org>", "domain"},
        {"mailto:alice@example.org", "not allowed"},
        {"alic\xc3\xa9@example.org", "ASCII"},
        {"alice@b\xc3\xbc"
         "cher.example",
         "ASCII"},
        {"alice@example.\xd0\xbe\xd1\x80\xd0\xb3", "ASCII"},
        {"alice@\xef\xbd\x85xample.org", "ASCII"},
        {"alice@example\xe3\x80\x82org", "ASCII"},
        {"\xff@example.org", "ASCII"},
        {SIXTY "abcde@example.org", "1 to 64"},
        {"x@" LABEL_63 "x.org", "domain"},
        {"x@" LABEL_63 "." LABEL_63 "." LABEL_63 "." SIXTY "a", "too long"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        if (email_address_check(cases[i].address, &error))
            g_error("\"%s\" is accepted", cases[i].address);
        g_assert_error(error, QWD_ERROR, QWD_ERROR_USAGE);
        if (!strstr(error->message, cases[i].reason))
            g_error("\"%s\": %s", cases[i].address, error->message);
        g_assert_false(email_address_is_valid(cases[i].address));
    }
}

/* Every byte in the local part and in the domain, against the RFC's lists. */
static void test_every_byte(void)
{
    for (int c = 1; c < 256; c++) {
        char local[] = "a?b@example.org", domain[] = "ab@ex?mple.org";
        local[1] = domain[5] = (char)c;
        bool is_alnum = g_ascii_isalnum(c);
        g_assert_cmpint(email_address_is_valid(local), ==, is_alnum || strchr("!#$%&'*+-/=?^_`{|}~.", c) != NULL);
        g_assert_cmpint(email_address_is_valid(domain), ==, is_alnum || c == '-' || c == '.');
    }
}

static void test_domains(void)
{
    g_auto(GStrv) domains = g_strsplit("example.org,Lab.Example.COM", ",", -1);
    char *all[] = {NULL}, nothing[] = "", *blank[] = {nothing, NULL};
    static const struct {
        const char *address;
        bool allowed;
    } cases[] = {
        {"a@example.org", true},
        {"a@EXAMPLE.Org", true},
        {"a@lab.example.com", true},
        {"a@example.com", false},
        {"a@sub.example.org", false},
        {"a@notexample.org", false},
        {"a@example.org.evil.com", false},
        {"a@evil.com", false},
        {"example.org", false},
        {"a@evil.com@example.org", false},
        {"\"a@evil.com\"@example.org", false},
        {"a@evil.com,b@example.org", false},
        {"a@example.org\n", false},
        {"", false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        g_assert_cmpint(email_domain_is_allowed(domains, cases[i].address), ==, cases[i].allowed);
    g_assert_true(email_domain_is_allowed(all, "a@anything.example"));
    g_assert_false(email_domain_is_allowed(all, "nonsense"));
    g_assert_false(email_domain_is_allowed(blank, "a@example.org"));
}

static void test_mailbox(void)
{
    static const struct {
        const char *text, *name, *address;
    } cases[] = {
        {"desk@example.org", "", "desk@example.org"},
        {"<desk@example.org>", "", "desk@example.org"},
        {"Desktops <desk@example.org>", "Desktops", "desk@example.org"},
        {"  Remote, \"big\" Desktops   <desk@example.org>", "Remote, \"big\" Desktops", "desk@example.org"},
        {"B\xc3\xbcro <a@b.example>", "B\xc3\xbcro", "a@b.example"},
        {"A <B> <a@b.example>", "A <B>", "a@b.example"},
        {"", NULL, NULL},
        {"Desktops", NULL, NULL},
        {"Desktops <desk>", NULL, NULL},
        {"Desktops <desk@example.org> x", NULL, NULL},
        {"Desk\r\nBcc: x <desk@example.org>", NULL, NULL},
        {"desk@example.org>", NULL, NULL},
        {">", NULL, NULL},
        {"<>", NULL, NULL},
        {"a <desk@example.org\r\n>", NULL, NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *name = NULL, *address = NULL;
        g_assert_cmpint(email_mailbox_parse(cases[i].text, &name, &address, &error), ==, cases[i].address != NULL);
        g_assert_cmpstr(name, ==, cases[i].name);
        g_assert_cmpstr(address, ==, cases[i].address);
        g_assert_cmpint(error != NULL, ==, cases[i].address == NULL);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/email/valid", test_valid);
    g_test_add_func("/email/invalid", test_invalid);
    g_test_add_func("/email/every-byte", test_every_byte);
    g_test_add_func("/email/domains", test_domains);
    g_test_add_func("/email/mailbox", test_mailbox);
    return g_test_run();
}
