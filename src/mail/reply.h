/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What mail servers answer, line by line: is that a yes, a no, or neither? */
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef enum {
    MAIL_IMAP, /* RFC 3501 */
    MAIL_SMTP, /* RFC 5321, and submission: RFC 6409 */
} MailProtocol;

typedef struct {
    char status[16]; /* IMAP: "OK", "NO", "BAD"; SMTP: three digits; "" when the line is no such answer */
    char code[32];   /* IMAP: the response code, such as "AUTHENTICATIONFAILED" (RFC 5530); SMTP: the enhanced status
                        code, such as "5.7.8" (RFC 3463); else "" */
} MailReply;

/* Reads the last line of an answer. Neither field ever has a character that a log or a terminal could mind. */
MailReply mail_reply_parse(MailProtocol protocol, const char *line);

/* Whether a line of ours, `length` bytes, begins a login with SASL. */
bool mail_line_is_login(MailProtocol protocol, const char *line, size_t length);

typedef enum {
    MAIL_UNKNOWN, /* the server says nothing about the credentials: it is overloaded, broken, or odd */
    MAIL_YES,
    MAIL_NO,
} MailVerdict;

/* What an answer to a login means. Only answers that speak of the credentials are "no". */
MailVerdict mail_reply_verdict(MailProtocol protocol, const MailReply *reply);

/* Whether an answer of an SMTP server refuses this message or its addressee for good; trouble with the dialogue (50x),
 * with a login (53x), or of the moment (4xx) does not. */
bool mail_reply_refuses_message(const MailReply *reply);
