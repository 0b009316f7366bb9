/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "mail/send.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "mail/header.h"

/* --- the message --- */

typedef struct {
    struct curl_slist *headers, *recipients;
    curl_mime *body;
} Envelope;

static void envelope_clear(Envelope *envelope)
{
    curl_mime_free(envelope->body);
    curl_slist_free_all(envelope->headers);
    curl_slist_free_all(envelope->recipients);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Envelope, envelope_clear)

/* Takes the line over. As everywhere with GLib, the program ends when there is no memory left. */
static void add_line(struct curl_slist **list, char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (!longer)
        abort();
    g_free(line);
    *list = longer;
}

/* Auto-Submitted keeps holiday notices from answering: RFC 3834, section 5. */
static void add_headers(Envelope *envelope, const MailMessage *message)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    add_line(&envelope->headers, mail_header_mailbox("From", message->from_name, message->from));
    add_line(&envelope->headers, mail_header_mailbox("To", "", message->to));
    add_line(&envelope->headers, mail_header_text("Subject", message->subject));
    add_line(&envelope->headers, mail_header_date(now));
    add_line(&envelope->headers, mail_header_id(message->from));
    add_line(&envelope->headers, g_strdup("MIME-Version: 1.0"));
    add_line(&envelope->headers, g_strdup("Auto-Submitted: auto-generated"));
    add_line(&envelope->headers, g_strdup("Content-Type: multipart/alternative"));
    add_line(&envelope->recipients, g_strdup_printf("<%s>", message->to));
}

static CURLcode add_part(curl_mime *body, const char *text, const char *type)
{
    g_autofree char *lines = mail_body_lines(text);
    curl_mimepart *part = curl_mime_addpart(body);
    CURLcode result = part ? curl_mime_data(part, lines, CURL_ZERO_TERMINATED) : CURLE_OUT_OF_MEMORY;
    if (result == CURLE_OK)
        result = curl_mime_type(part, type);
    return result == CURLE_OK ? curl_mime_encoder(part, "quoted-printable") : result;
}

/* The best part stands last: RFC 2046, 5.1.4. */
static CURLcode add_body(Envelope *envelope, CURL *curl, const MailMessage *message)
{
    envelope->body = curl_mime_init(curl);
    CURLcode result = envelope->body ? CURLE_OK : CURLE_OUT_OF_MEMORY;
    if (result == CURLE_OK)
        result = add_part(envelope->body, message->text, "text/plain; charset=utf-8");
    if (result == CURLE_OK && message->html)
        result = add_part(envelope->body, message->html, "text/html; charset=utf-8");
    return result;
}

static CURLcode set_message(CURL *curl, Envelope *envelope, const MailMessage *message)
{
    g_autofree char *from = g_strdup_printf("<%s>", message->from);
    add_headers(envelope, message);
    CURLcode result = add_body(envelope, curl, message);
    if (result == CURLE_OK)
        result = curl_easy_setopt(curl, CURLOPT_MAIL_FROM, from);
    if (result == CURLE_OK)
        result = curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, envelope->recipients);
    if (result == CURLE_OK)
        result = curl_easy_setopt(curl, CURLOPT_HTTPHEADER, envelope->headers);
    if (result == CURLE_OK)
        result = curl_easy_setopt(curl, CURLOPT_MIMEPOST, envelope->body);
    return result;
}

/* --- one server --- */

/* What the server said, for a log. It may quote the message once it has it, and so a link that is a secret: then only
 * its codes are told. */
static char *words_of(const MailDialogue *dialogue, const MailReply *reply)
{
    if (dialogue->has_body)
        return g_strdup_printf("%s %s", reply->status, reply->code);
    char *words = g_utf8_make_valid(dialogue->line, -1);
    text_flatten(words);
    return words;
}

static bool judge(const MailDialogue *dialogue, CURLcode result, GError **error)
{
    if (result == CURLE_OK)
        return true;
    MailReply reply = mail_reply_parse(MAIL_SMTP, dialogue->line);
    bool answered = result == CURLE_SEND_ERROR || result == CURLE_WEIRD_SERVER_REPLY;
    if (!answered || !*reply.status || !dialogue->has_begun)
        return mail_dialogue_fail(dialogue, result, error);
    g_autofree char *name = mail_server_name(dialogue->server);
    g_autofree char *words = words_of(dialogue, &reply);
    return qwd_error_fail(error, mail_reply_refuses_message(&reply) ? QWD_ERROR_DENIED : QWD_ERROR_UNAVAILABLE,
                          "%s does not take the message: %s", name, words);
}

bool mail_send(const MailServer *server, const MailAccount *account, const MailMessage *message, GError **error)
{
    if (account && server->protection == MAIL_PLAIN)
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "A password never goes over a connection without TLS.");
    g_auto(Envelope) envelope = {0};
    g_auto(MailDialogue) dialogue = {0};
    if (!mail_dialogue_open(&dialogue, server, error))
        return false;
    CURLcode result = set_message(dialogue.curl, &envelope, message);
    if (result == CURLE_OK && account)
        result = mail_dialogue_login(&dialogue, account->user, account->password);
    if (result == CURLE_OK)
        result = curl_easy_perform(dialogue.curl);
    return judge(&dialogue, result, error);
}

/* --- the ways to a server --- */

static const struct {
    const char *name; /* as email_method says */
    MailProtection protection;
    int port; /* 0: smtp_port, protected as smtp_use_ssl says */
} methods[] = {
    {"ssl", MAIL_TLS, 465},
    {"port", MAIL_STARTTLS, 0},
    {"simple", MAIL_PLAIN, 25},
};

static bool server_by_method(const Settings *settings, size_t method, MailServer *server, GError **error)
{
    if (!mail_server_smtp(settings, server, error))
        return false;
    if (methods[method].port) {
        server->port = methods[method].port;
        server->protection = methods[method].protection;
    }
    return true;
}

static bool is_wanted(const Settings *settings, size_t method, const MailServer *server, const MailAccount *account)
{
    if (g_str_equal(settings->email_method, "auto"))
        return server->protection != MAIL_PLAIN || !account;
    return g_str_equal(settings->email_method, methods[method].name);
}

bool mail_deliver(const Settings *settings, const MailAccount *account, const MailMessage *message, int deadline_ms,
                  GError **error)
{
    gint64 end_us = g_get_monotonic_time() + (gint64)deadline_ms * 1000;
    g_autoptr(GString) troubles = g_string_new(NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(methods); i++) {
        MailServer server;
        g_autoptr(GError) trouble = NULL;
        if (!server_by_method(settings, i, &server, error))
            return false;
        if (!is_wanted(settings, i, &server, account))
            continue;
        server.deadline_ms = (int)MAX(1, (end_us - g_get_monotonic_time()) / 1000);
        server.begin_ms = server.deadline_ms / 2;
        if (mail_send(&server, account, message, &trouble))
            return true;
        if (!g_error_matches(trouble, QWD_ERROR, QWD_ERROR_NOT_FOUND)) {
            g_propagate_error(error, g_steal_pointer(&trouble));
            return false;
        }
        g_string_append_printf(troubles, "%s%s", troubles->len ? "; " : "", trouble->message);
    }
    return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "%s", troubles->str);
}
