/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwd-mail: sends one message. Standard input is a JSON object:
 *
 *   {"to": "user@example.org", "template": "session-ready", "values": {...}, "language": "fr"}
 *   {"to": "user@example.org", "subject": "...", "text": "...", "html": "..."}  html may be left out
 *
 * The first is made from html/mail/session-ready.*, in a language of html/i18n (default English), or from what is in
 * their place in dir_layout; "end_at" among its values is the time, in UTC seconds, that the templates know as "end".
 *
 * Exit code 0: the mail server has taken it over; 1: refused, by the server or because the request is wrong, and trying
 * again would not help; 2: not possible at the moment, or badly configured. The reason is a line on standard error,
 * without secrets. Ends within 20 seconds. */
#include <stdio.h>
#include <string.h>

#include "auth/email.h"
#include "base/error.h"
#include "base/sandbox.h"
#include "base/json.h"
#include "base/secret.h"
#include "base/text.h"
#include "mail/send.h"
#include "web/catalogue.h"
#include "web/layout.h"
#include "web/template.h"

#define DEADLINE_MS 20000
#define REQUEST_MAX_BYTES (1024 * 1024)
#define SUBJECT_MAX_BYTES 500
#define LINE_MAX_CHARS 72
#define TEMPLATE_LETTERS "abcdefghijklmnopqrstuvwxyz-"

enum { EXIT_SENT = 0, EXIT_REFUSED = 1, EXIT_UNAVAILABLE = 2 };

static json_t *read_request(GError **error)
{
    g_autofree char *text = g_malloc(REQUEST_MAX_BYTES + 1);
    size_t length = fread(text, 1, REQUEST_MAX_BYTES + 1, stdin);
    if (length <= REQUEST_MAX_BYTES)
        return json_object_parse(text, length, error);
    qwd_error_fail(error, QWD_ERROR_USAGE, "The request is longer than %d bytes.", REQUEST_MAX_BYTES);
    return NULL;
}

/* --- what to say --- */

typedef struct {
    char *subject, *text, *html; /* html may be NULL */
} Content;

static void content_clear(Content *content)
{
    g_free(content->subject);
    g_free(content->text);
    g_free(content->html);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Content, content_clear)

/* A subject shows up in notifications and logs of mail servers, so the secret is not there to be named in it. */
static char *render_subject(const char *folder, const char *name, const json_t *values, GError **error)
{
    g_autoptr(JsonValue) public_values = json_copy((json_t *)values);
    json_object_del(public_values, "link");
    return template_render_plain(folder, name, public_values, error);
}

static bool render_content(const Settings *settings, const char *name, const json_t *values, Content *content,
                           GError **error)
{
    if (!*name || name[strspn(name, TEMPLATE_LETTERS)] || !json_is_object(values))
        return qwd_error_fail(error, QWD_ERROR_USAGE,
                              "The request needs the name of a template, and an object values.");
    g_autofree char *folder = g_build_filename(settings->dir_html, "mail", NULL);
    g_autofree char *subject = g_strconcat(name, ".subject", NULL);
    g_autofree char *text = g_strconcat(name, ".txt", NULL);
    g_autofree char *html = g_strconcat(name, ".html", NULL);
    content->subject = render_subject(folder, subject, values, error);
    if (!content->subject)
        return false;
    g_strchomp(g_strdelimit(content->subject, "\r\n", ' '));
    g_autofree char *plain = template_render_plain(folder, text, values, error);
    content->text = plain ? text_wrap(plain, LINE_MAX_CHARS) : NULL;
    content->html = content->text ? template_render(folder, html, values, error) : NULL;
    return content->html != NULL;
}

static bool take_content(const json_t *request, Content *content, GError **error)
{
    content->subject = g_strdup(json_get_text(request, "subject", NULL));
    content->text = g_strdup(json_get_text(request, "text", NULL));
    content->html = g_strdup(json_get_text(request, "html", NULL));
    return (content->subject && content->text) ||
           qwd_error_fail(error, QWD_ERROR_USAGE, "The request needs a template, or a subject and a text.");
}

/* The values with "end" in words. New reference. */
static json_t *values_in_words(const json_t *values)
{
    json_t *more = json_copy((json_t *)values);
    gint64 end = json_get_integer(values, "end_at", 0);
    g_autoptr(GDateTime) when = end ? g_date_time_new_from_unix_local(end) : NULL;
    if (when)
        json_object_set_new(more, "end", json_take_text(g_strchug(tr_time(when, "%e %b %Y %H:%M %Z"))));
    return more;
}

static bool make_content(const Settings *settings, const json_t *request, Content *content, GError **error)
{
    const char *template = json_get_text(request, "template", NULL);
    layout_use_mail(settings);
    layout_use_language(settings, json_get_text(request, "language", "en"), NULL); /* else it is English */
    g_autoptr(JsonValue) values = values_in_words(json_object_get(request, "values"));
    bool good =
        template ? render_content(settings, template, values, content, error) : take_content(request, content, error);
    if (good && (text_has_controls(content->subject) || strlen(content->subject) > SUBJECT_MAX_BYTES))
        return qwd_error_fail(error, QWD_ERROR_USAGE, "The subject must be one line of at most %d bytes.",
                              SUBJECT_MAX_BYTES);
    return good;
}

/* --- sending --- */

static Secret *read_password(const Settings *settings, GError **error)
{
    if (*settings->email_password_file)
        return secret_read_file(settings->email_password_file, error);
    qwd_error_fail(error, QWD_ERROR_CONFIG, "email_user needs email_password_file.");
    return NULL;
}

static bool deliver(const Settings *settings, const MailMessage *message, GError **error)
{
    if (!*settings->email_user)
        return mail_deliver(settings, NULL, message, DEADLINE_MS, error);
    g_autoptr(Secret) password = read_password(settings, error);
    MailAccount account = {settings->email_user, password};
    return password && mail_deliver(settings, &account, message, DEADLINE_MS, error);
}

static bool read_sender(const Settings *settings, char **name, char **address, GError **error)
{
    if (!*settings->email_from)
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "email_from is not set: no mail is sent.");
    return email_mailbox_parse(settings->email_from, name, address, NULL) ||
           qwd_error_fail(error, QWD_ERROR_CONFIG, "email_from = %s is not a mail address.", settings->email_from);
}

static bool send_request(const Settings *settings, GError **error)
{
    g_auto(Content) content = {0};
    g_autofree char *from_name = NULL, *from = NULL;
    g_autoptr(JsonValue) request = read_request(error);
    if (!request || !email_address_check(json_get_text(request, "to", ""), error) ||
        !make_content(settings, request, &content, error) || !read_sender(settings, &from_name, &from, error))
        return false;
    const MailMessage message = {
        .from_name = from_name,
        .from = from,
        .to = json_get_text(request, "to", ""),
        .subject = content.subject,
        .text = content.text,
        .html = content.html,
    };
    return deliver(settings, &message, error);
}

static int exit_code_of(const GError *error)
{
    bool refused =
        g_error_matches(error, QWD_ERROR, QWD_ERROR_USAGE) || g_error_matches(error, QWD_ERROR, QWD_ERROR_DENIED);
    return refused ? EXIT_REFUSED : EXIT_UNAVAILABLE;
}

int main(void)
{
    g_autoptr(GError) error = NULL;
    sandbox_read_only();
    g_autoptr(Settings) settings = settings_load(settings_default_file(), false, NULL, &error);
    if (settings && send_request(settings, &error))
        return EXIT_SENT;
    text_flatten(error->message);
    fprintf(stderr, "qwd-mail: %s\n", error->message);
    return settings ? exit_code_of(error) : EXIT_UNAVAILABLE;
}
