/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The parts of mail that need no server: header fields, answers, templates. */
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "mail/header.h"
#include "mail/reply.h"
#include "web/catalogue.h"
#include "web/template.h"
#include "paths.h"

/* --- header fields --- */

static void test_plain_fields(void)
{
    static const struct {
        const char *text, *field;
    } cases[] = {
        {"Hello", "Subject: Hello"},
        {"", "Subject: "},
        {"Your desktop (Debian 12) is ready: really?", "Subject: Your desktop (Debian 12) is ready: really?"},
        {"trailing line end\n", "Subject: trailing line end"},
        {"a\r\nBcc: x@example.org", "Subject: a  Bcc: x@example.org"},
        {"a\tb", "Subject: a b"},
        {"caf\xc3\xa9", "Subject: =?UTF-8?B?Y2Fmw6k=?="},
        {"=?UTF-8?B?eA==?=", "Subject: =?UTF-8?B?PT9VVEYtOD9CP2VBPT0/PQ==?="},
        {" begins with a space", "Subject: =?UTF-8?B?IGJlZ2lucyB3aXRoIGEgc3BhY2U=?="},
        {"\xff", "Subject: =?UTF-8?B?77+9?="},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *field = mail_header_text("Subject", cases[i].text);
        g_assert_cmpstr(field, ==, cases[i].field);
    }
}

/* Puts encoded words together again: RFC 2047, section 6.2. */
static char *decoded(const char *field)
{
    GString *text = g_string_new(NULL);
    for (const char *word = strstr(field, "=?UTF-8?B?"); word; word = strstr(word, "=?UTF-8?B?")) {
        word += strlen("=?UTF-8?B?");
        size_t length;
        g_autofree char *base64 = g_strndup(word, strcspn(word, "?"));
        g_autofree guchar *bytes = g_base64_decode(base64, &length);
        g_assert_true(g_utf8_validate((const char *)bytes, (gssize)length, NULL)); /* whole characters */
        g_string_append_len(text, (const char *)bytes, (gssize)length);
    }
    return g_string_free(text, FALSE);
}

static void assert_folded(const char *field)
{
    g_auto(GStrv) lines = g_strsplit(field, "\r\n", -1);
    for (char **line = lines; *line; line++) {
        g_assert_cmpuint(strlen(*line), <=, 76);
        g_assert_true(g_str_is_ascii(*line));
        g_assert_null(strpbrk(*line, "\r\n"));
        g_assert_true(line == lines || **line == ' ');
    }
}

static void test_long_fields(void)
{
    static const char *const pieces[] = {"x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x96\xa5", "word "};
    for (size_t i = 0; i < G_N_ELEMENTS(pieces); i++) {
        for (int count = 1; count < 200; count += 3) {
            g_autoptr(GString) text = g_string_new("\xc3\xa9");
            for (int j = 0; j < count; j++)
                g_string_append(text, pieces[i]);
            g_strchomp(text->str);
            g_autofree char *field = mail_header_text("Subject", text->str);
            g_autofree char *again = decoded(field);
            g_assert_cmpstr(again, ==, text->str);
            assert_folded(field);
        }
    }
}

static void test_mailboxes(void)
{
    static const struct {
        const char *name, *field;
    } cases[] = {
        {"", "From: <a@b.example>"},
        {"Desktops", "From: Desktops\r\n <a@b.example>"},
        {"Remote Desk & Co", "From: Remote Desk & Co\r\n <a@b.example>"},
        {"Desk, Inc. <x@y.example>", "From: =?UTF-8?B?RGVzaywgSW5jLiA8eEB5LmV4YW1wbGU+?=\r\n <a@b.example>"},
        {"\"", "From: =?UTF-8?B?Ig==?=\r\n <a@b.example>"},
        {"B\xc3\xbcro", "From: =?UTF-8?B?QsO8cm8=?=\r\n <a@b.example>"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *field = mail_header_mailbox("From", cases[i].name, "a@b.example");
        g_assert_cmpstr(field, ==, cases[i].field);
    }
}

static void test_date_and_id(void)
{
    g_autoptr(GTimeZone) zone = g_time_zone_new_offset(-12600);
    g_autoptr(GDateTime) time = g_date_time_new(zone, 2026, 11, 1, 7, 5, 9);
    g_autofree char *date = mail_header_date(time);
    g_assert_cmpstr(date, ==, "Date: Sun, 1 Nov 2026 07:05:09 -0330");
    g_autoptr(GDateTime) new_year = g_date_time_new_utc(2027, 1, 1, 0, 0, 0);
    g_autofree char *utc = mail_header_date(new_year);
    g_assert_cmpstr(utc, ==, "Date: Fri, 1 Jan 2027 00:00:00 +0000");
    g_autofree char *first = mail_header_id("desk@example.org"), *second = mail_header_id("desk@example.org");
    g_assert_true(g_regex_match_simple("^Message-ID: <[0-9a-f]{32}@example\\.org>$", first, 0, 0));
    g_assert_cmpstr(first, !=, second);
}

static void test_lines(void)
{
    static const char *const cases[][2] = {
        {"", ""}, {"a", "a"}, {"a\n", "a\r\n"}, {"a\r\nb\rc\n\nd", "a\r\nb\r\nc\r\n\r\nd"}, {"\r\n\r", "\r\n\r\n"}};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *body = mail_body_lines(cases[i][0]);
        g_assert_cmpstr(body, ==, cases[i][1]);
    }
}

/* --- answers --- */

static void test_verdicts(void)
{
    static const struct {
        MailProtocol protocol;
        const char *line, *status, *code;
        MailVerdict verdict;
    } cases[] = {
        {MAIL_IMAP, "A002 OK [CAPABILITY IMAP4rev1] Logged in", "OK", "CAPABILITY", MAIL_YES},
        {MAIL_IMAP, "A002 OK done", "OK", "", MAIL_YES},
        {MAIL_IMAP, "A002 NO [AUTHENTICATIONFAILED] Authentication failed.", "NO", "AUTHENTICATIONFAILED", MAIL_NO},
        {MAIL_IMAP, "A002 NO [EXPIRED] change it", "NO", "EXPIRED", MAIL_NO},
        {MAIL_IMAP, "A002 NO LOGIN failed.", "NO", "", MAIL_NO},
        {MAIL_IMAP, "A002 NO", "NO", "", MAIL_NO},
        {MAIL_IMAP, "A002 NO [UNAVAILABLE] Temporary authentication failure.", "NO", "UNAVAILABLE", MAIL_UNKNOWN},
        {MAIL_IMAP, "A002 NO [PRIVACYREQUIRED] TLS", "NO", "PRIVACYREQUIRED", MAIL_UNKNOWN},
        {MAIL_IMAP, "A002 NO [LIMIT] too many", "NO", "LIMIT", MAIL_UNKNOWN},
        {MAIL_IMAP, "A002 BAD Error in command", "BAD", "", MAIL_UNKNOWN},
        {MAIL_IMAP, "* OK still here", "", "", MAIL_UNKNOWN},
        {MAIL_IMAP, "* NO [ALERT] disk full", "", "", MAIL_UNKNOWN},
        {MAIL_IMAP, "* BYE too many connections", "", "", MAIL_UNKNOWN},
        {MAIL_IMAP, "+ ", "", "", MAIL_UNKNOWN},
        {MAIL_IMAP, "", "", "", MAIL_UNKNOWN},
        {MAIL_IMAP, "A002", "", "", MAIL_UNKNOWN},
        {MAIL_IMAP, "A002 OKAY", "OKAY", "", MAIL_UNKNOWN},
        {MAIL_IMAP, "A002 NO [secret]", "NO", "", MAIL_NO},
        {MAIL_IMAP, "A002 ABCDEFGHIJKLMNOPQRSTUVWXYZ", "", "", MAIL_UNKNOWN},
        {MAIL_SMTP, "235 2.7.0 Logged in.", "235", "2.7.0", MAIL_YES},
        {MAIL_SMTP, "235", "235", "", MAIL_YES},
        {MAIL_SMTP, "535 5.7.8 Authentication failed", "535", "5.7.8", MAIL_NO},
        {MAIL_SMTP, "535 no", "535", "", MAIL_NO},
        {MAIL_SMTP, "525 5.7.13 User account disabled", "525", "5.7.13", MAIL_NO},
        {MAIL_SMTP, "534 5.7.9 app password required", "534", "5.7.9", MAIL_NO},
        {MAIL_SMTP, "454 4.7.0 Temporary authentication failure", "454", "4.7.0", MAIL_UNKNOWN},
        {MAIL_SMTP, "421 4.3.2 shutting down", "421", "4.3.2", MAIL_UNKNOWN},
        {MAIL_SMTP, "530 5.7.0 Must issue STARTTLS first", "530", "5.7.0", MAIL_UNKNOWN},
        {MAIL_SMTP, "538 5.7.11 Encryption required", "538", "5.7.11", MAIL_UNKNOWN},
        {MAIL_SMTP, "503 5.5.1 Bad sequence", "503", "5.5.1", MAIL_UNKNOWN},
        {MAIL_SMTP, "250 2.1.0 OK", "250", "2.1.0", MAIL_UNKNOWN},
        {MAIL_SMTP, "235-more follows", "", "", MAIL_UNKNOWN},
        {MAIL_SMTP, "2350 ", "", "", MAIL_UNKNOWN},
        {MAIL_SMTP, "235x", "", "", MAIL_UNKNOWN},
        {MAIL_SMTP, " 235 ", "", "", MAIL_UNKNOWN},
        {MAIL_SMTP, "535 4.7.8 mixed up", "535", "", MAIL_NO},
        {MAIL_SMTP, "", "", "", MAIL_UNKNOWN},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        MailReply reply = mail_reply_parse(cases[i].protocol, cases[i].line);
        g_assert_cmpstr(reply.status, ==, cases[i].status);
        g_assert_cmpstr(reply.code, ==, cases[i].code);
        g_assert_cmpint(mail_reply_verdict(cases[i].protocol, &reply), ==, cases[i].verdict);
    }
}

static void test_refusals(void)
{
    static const char *const refused[] = {"550 5.1.1 unknown", "552 full", "553 5.1.3 bad address", "554 5.7.1 no",
                                          "521 no"};
    static const char *const not_refused[] = {"250 ok",          "450 4.2.0 greylisted",
                                              "451 later",       "421 bye",
                                              "503 5.5.1 order", "530 5.7.0 log in",
                                              "535 5.7.8",       "502 what",
                                              "nonsense",        ""};
    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
        MailReply reply = mail_reply_parse(MAIL_SMTP, refused[i]);
        g_assert_true(mail_reply_refuses_message(&reply));
    }
    for (size_t i = 0; i < G_N_ELEMENTS(not_refused); i++) {
        MailReply reply = mail_reply_parse(MAIL_SMTP, not_refused[i]);
        g_assert_false(mail_reply_refuses_message(&reply));
    }
}

static void test_login_lines(void)
{
    static const struct {
        MailProtocol protocol;
        const char *line;
        bool is_login;
    } cases[] = {
        {MAIL_IMAP, "A003 AUTHENTICATE PLAIN AGEAYg==\r\n", true},
        {MAIL_IMAP, "A003 AUTHENTICATE LOGIN\r\n", true},
        {MAIL_IMAP, "A003 CAPABILITY\r\n", false},
        {MAIL_IMAP, "A003 STARTTLS\r\n", false},
        {MAIL_IMAP, "AUTHENTICATE PLAIN\r\n", false},
        {MAIL_IMAP, "A003", false},
        {MAIL_IMAP, "", false},
        {MAIL_SMTP, "AUTH PLAIN\r\n", true},
        {MAIL_SMTP, "AUTH LOGIN\r\n", true},
        {MAIL_SMTP, "EHLO AUTH PLAIN\r\n", false},
        {MAIL_SMTP, "AUTH", false},
        {MAIL_SMTP, "QUIT\r\n", false},
        {MAIL_SMTP, "", false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        size_t length = strlen(cases[i].line);
        g_autofree char *unended = g_memdup2(cases[i].line, length); /* for the sanitizer: no NUL behind it */
        g_assert_cmpint(mail_line_is_login(cases[i].protocol, length ? unended : "", length), ==, cases[i].is_login);
    }
}

/* --- templates --- */

static const char *const templates[] = {"session-ready", "login-link", "session-ending", "session-idle"};

static json_t *values_of(const char *machine, const char *link, bool extend)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:s?}", "service", "desk.example.org", "user", "zo\xc3\xa9 & co",
                     "machine", machine, "link", link, "end", "21 Nov 2026 22:00 CET", "extend", extend, "kept",
                     extend ? "1 d" : NULL);
}

static char *render(const char *name, const char *suffix, const json_t *values)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = source_path("html/mail");
    g_autofree char *file = g_strconcat(name, suffix, NULL);
    bool is_html = g_str_equal(suffix, ".html");
    char *text =
        is_html ? template_render(folder, file, values, &error) : template_render_plain(folder, file, values, &error);
    g_assert_no_error(error);
    return text;
}

static void test_templates(void)
{
    static const char link[] = "https://desk.example.org/cgi-bin/x.cgi?session=1&key=2";
    for (size_t i = 0; i < G_N_ELEMENTS(templates); i++) {
        g_autoptr(JsonValue) values = values_of("Debian <12>", link, i % 2);
        g_autofree char *text = render(templates[i], ".txt", values), *html = render(templates[i], ".html", values);
        g_assert_nonnull(strstr(text, link));
        g_assert_null(strstr(text, "&amp;"));
        g_assert_null(strstr(text, "{{"));
        g_assert_nonnull(strstr(html, "href=\"https://desk.example.org/cgi-bin/x.cgi?session=1&amp;key=2\""));
        g_assert_null(strstr(html, "<12>"));
        g_assert_null(strstr(html, "<script"));
        g_assert_null(strstr(html, "src="));
        g_autofree char *wrapped = text_wrap(text, 72);
        g_auto(GStrv) lines = g_strsplit(wrapped, "\n", -1);
        for (char **line = lines; *line; line++)
            g_assert_cmpuint(g_utf8_strlen(*line, -1), <=, 72);
    }
}

static void test_french(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = source_path("html");
    g_assert_true(catalogue_use(folder, "fr", &error));
    g_assert_no_error(error);
    for (size_t i = 0; i < G_N_ELEMENTS(templates); i++) {
        g_autoptr(JsonValue) values = values_of("Debian", "https://desk.example.org/", i % 2);
        g_autofree char *text = render(templates[i], ".txt", values), *html = render(templates[i], ".html", values),
                        *subject = render(templates[i], ".subject", values);
        g_assert_true(g_str_has_prefix(text, "Bonjour"));
        g_assert_nonnull(strstr(html, "<html lang=\"fr\">"));
        const char *const all[] = {text, html, subject};
        for (size_t j = 0; j < G_N_ELEMENTS(all); j++)
            g_assert_false(g_regex_match_simple("\\b(the|your|you|this|is|Log in|Open)\\b", all[j], 0, 0));
    }
    catalogue_use(folder, "en", NULL);
}

/* Well-formed, for GMarkup has no other way to look at HTML. */
static void test_html_is_well_formed(void)
{
    static const GMarkupParser parser = {0};
    for (size_t i = 0; i < G_N_ELEMENTS(templates); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(JsonValue) values = values_of("<b>\"'&", "https://x.example/?a=1&b=\"'<>", true);
        g_autofree char *html = render(templates[i], ".html", values);
        GMarkupParseContext *context = g_markup_parse_context_new(&parser, 0, NULL, NULL);
        const char *root = strstr(html, "<html");
        g_markup_parse_context_parse(context, root, -1, &error);
        g_assert_no_error(error);
        g_markup_parse_context_end_parse(context, &error);
        g_assert_no_error(error);
        g_markup_parse_context_free(context);
    }
}

/* The secret is not named in a subject, and a value does not begin a line. */
static void test_subjects(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(templates); i++) {
        g_autoptr(JsonValue) values = values_of("a\r\nBcc: x@example.com\xe2\x80\xa8", "https://secret.example/", true);
        g_autofree char *with = render(templates[i], ".subject", values);
        json_object_del(values, "link");
        g_autofree char *subject = render(templates[i], ".subject", values);
        g_assert_cmpstr(with, ==, subject);
        g_assert_null(strstr(subject, "secret"));
        g_strchomp(subject);
        g_assert_cmpuint(strlen(subject), >, 10);
        g_assert_null(strpbrk(subject, "\r\n"));
        g_assert_null(strstr(subject, "\xe2\x80\xa8"));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/mail/plain-fields", test_plain_fields);
    g_test_add_func("/mail/long-fields", test_long_fields);
    g_test_add_func("/mail/mailboxes", test_mailboxes);
    g_test_add_func("/mail/date-and-id", test_date_and_id);
    g_test_add_func("/mail/lines", test_lines);
    g_test_add_func("/mail/verdicts", test_verdicts);
    g_test_add_func("/mail/refusals", test_refusals);
    g_test_add_func("/mail/login-lines", test_login_lines);
    g_test_add_func("/mail/french", test_french);
    g_test_add_func("/mail/templates", test_templates);
    g_test_add_func("/mail/html-is-well-formed", test_html_is_well_formed);
    g_test_add_func("/mail/subjects", test_subjects);
    return g_test_run();
}
