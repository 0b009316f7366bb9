/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "mail/login.h"

#include "base/error.h"
#include "base/text.h"

/* What counts is the server's answer to our login, not that libcurl is content. */
static bool judge(const MailDialogue *dialogue, CURLcode result, GError **error)
{
    g_autofree char *name = mail_server_name(dialogue->server);
    if (result != CURLE_OK && result != CURLE_LOGIN_DENIED)
        return mail_dialogue_fail(dialogue, result, error);
    if (!dialogue->has_login)
        return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "%s does not ask for a password with PLAIN or LOGIN.",
                              name);
    MailReply reply = mail_reply_parse(dialogue->server->protocol, dialogue->line);
    MailVerdict verdict = mail_reply_verdict(dialogue->server->protocol, &reply);
    if (verdict == MAIL_YES && result == CURLE_OK)
        return true;
    return qwd_error_fail(error, verdict == MAIL_NO ? QWD_ERROR_LOGIN : QWD_ERROR_UNAVAILABLE, "%s %s: %s %s", name,
                          verdict == MAIL_NO ? "refuses the login" : "does not judge the login", reply.status,
                          reply.code);
}

bool mail_login(const MailServer *server, const char *user, const char *password, GError **error)
{
    if (server->protection == MAIL_PLAIN)
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "A password never goes over a connection without TLS.");
    if (text_has_controls(user))
        return qwd_error_fail(error, QWD_ERROR_LOGIN, "The user name has control characters.");
    g_auto(MailDialogue) dialogue = {0};
    if (!mail_dialogue_open(&dialogue, server, error))
        return false;
    CURLcode result = mail_dialogue_login(&dialogue, user, password);
    if (result == CURLE_OK)
        result = curl_easy_setopt(dialogue.curl, CURLOPT_CONNECT_ONLY, 1L); /* no more than the login */
    if (result == CURLE_OK)
        result = curl_easy_perform(dialogue.curl);
    return judge(&dialogue, result, error);
}
