/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "mail/reply.h"

#include <glib.h>
#include <string.h>

#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* Copies the characters of `accept` at the beginning of `text`; none when there are more than fit. */
static const char *take(const char *text, const char *accept, char *field, size_t size)
{
    size_t length = strspn(text, accept);
    if (length < size) {
        memcpy(field, text, length);
        field[length] = '\0';
    }
    return text + length;
}

/* tag SP ("OK" / "NO" / "BAD") SP ["[" code ... "]"] text: RFC 3501, section 7.1. Tag "*" is an answer to nothing. */
static void parse_imap(const char *line, MailReply *reply)
{
    size_t tag = strspn(line, CAPITALS DIGITS);
    if (tag == 0 || line[tag] != ' ')
        return;
    const char *rest = take(line + tag + 1, CAPITALS, reply->status, sizeof reply->status);
    if (g_str_has_prefix(rest, " ["))
        take(rest + 2, CAPITALS DIGITS "-", reply->code, sizeof reply->code);
}

/* Three digits SP [enhanced code SP] text: RFC 5321, section 4.2; RFC 2034, section 4. */
static void parse_smtp(const char *line, MailReply *reply)
{
    if (strspn(line, DIGITS) != 3 || (line[3] != ' ' && line[3] != '\0'))
        return;
    take(line, DIGITS, reply->status, sizeof reply->status);
    if (line[3] == ' ' && line[4] == line[0] && line[5] == '.')
        take(line + 4, DIGITS ".", reply->code, sizeof reply->code);
}

MailReply mail_reply_parse(MailProtocol protocol, const char *line)
{
    MailReply reply = {0};
    if (protocol == MAIL_IMAP)
        parse_imap(line, &reply);
    else
        parse_smtp(line, &reply);
    return reply;
}

/* SMTP: "AUTH mechanism"; IMAP: tag "AUTHENTICATE mechanism". */
bool mail_line_is_login(MailProtocol protocol, const char *line, size_t length)
{
    const char *command = line;
    if (protocol == MAIL_IMAP) {
        command = memchr(line, ' ', length);
        command = command ? command + 1 : line;
    }
    g_autofree char *begin = g_strndup(command, MIN(length - (size_t)(command - line), strlen("AUTHENTICATE ")));
    return g_str_has_prefix(begin, protocol == MAIL_IMAP ? "AUTHENTICATE " : "AUTH ");
}

/* RFC 5530, section 3; RFC 4954, section 6; RFC 5248 for 525. */
static const struct {
    MailProtocol protocol;
    const char *status;
    const char *code; /* NULL: any */
    MailVerdict verdict;
} verdicts[] = {
    {MAIL_IMAP, "OK", NULL, MAIL_YES},
    {MAIL_IMAP, "NO", "", MAIL_NO},
    {MAIL_IMAP, "NO", "ALERT", MAIL_NO},
    {MAIL_IMAP, "NO", "AUTHENTICATIONFAILED", MAIL_NO},
    {MAIL_IMAP, "NO", "AUTHORIZATIONFAILED", MAIL_NO},
    {MAIL_IMAP, "NO", "EXPIRED", MAIL_NO},
    {MAIL_SMTP, "235", NULL, MAIL_YES},
    {MAIL_SMTP, "525", NULL, MAIL_NO}, /* the account is switched off */
    {MAIL_SMTP, "534", NULL, MAIL_NO}, /* this account must not log in with this mechanism */
    {MAIL_SMTP, "535", NULL, MAIL_NO},
};

MailVerdict mail_reply_verdict(MailProtocol protocol, const MailReply *reply)
{
    for (size_t i = 0; i < G_N_ELEMENTS(verdicts); i++) {
        if (verdicts[i].protocol == protocol && g_str_equal(verdicts[i].status, reply->status) &&
            (!verdicts[i].code || g_str_equal(verdicts[i].code, reply->code)))
            return verdicts[i].verdict;
    }
    return MAIL_UNKNOWN;
}

bool mail_reply_refuses_message(const MailReply *reply)
{
    return reply->status[0] == '5' && reply->status[1] != '0' && reply->status[1] != '3';
}
