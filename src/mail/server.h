/* SPDX-License-Identifier: AGPL-3.0-or-later
 * A mail server and a dialogue with it, through libcurl. TLS is always verified, certificate and name; there is no
 * other protocol, proxy, redirection or .netrc; every wait ends in time. Programs that use nothing of this folder do
 * not link libcurl: the library libqwd.a gives each program what it asks for. */
#pragma once

#include <curl/curl.h>
#include <glib.h>
#include <stdbool.h>

#include "core/settings.h"
#include "mail/reply.h"

typedef enum {
    MAIL_STARTTLS, /* TLS before anything else, or nothing at all */
    MAIL_TLS,      /* from the first byte */
    MAIL_PLAIN,    /* no TLS: for a relay on this host, never for passwords */
} MailProtection;

/* Texts are borrowed. */
typedef struct {
    MailProtocol protocol;
    MailProtection protection;
    const char *host; /* name or address */
    int port;
    const char *authorities; /* file of certificates to trust; "" the system's */
    int deadline_ms;         /* of the whole dialogue */
    int begin_ms;            /* of its beginning, up to the login; 0: deadline_ms */
} MailServer;

/* imap_server and imap_port. QWD_ERROR_CONFIG when there is none. */
bool mail_server_imap(const Settings *settings, MailServer *server, GError **error);

/* smtp_server and smtp_port, protected as smtp_use_ssl says; port 465 is TLS from the start. QWD_ERROR_CONFIG when
 * there is none. */
bool mail_server_smtp(const Settings *settings, MailServer *server, GError **error);

/* One dialogue. What is said is watched, because libcurl's result alone does not tell whether a login took
 * place: it goes on without one when a server offers none. */
typedef struct {
    const MailServer *server;
    CURL *curl;
    char trouble[CURL_ERROR_SIZE]; /* libcurl's words */
    char line[512];                /* the server's last line, without its end */
    bool has_begun;                /* it has greeted us */
    bool has_login;                /* we have begun to log in; `line` is of later */
    bool has_body;                 /* it has asked for a message's text */
    bool has_ended;                /* we have said good-bye; `line` is of before */
    gint64 end_us;                 /* monotonic time at which all ends */
} MailDialogue;

/* Prepares a dialogue; nothing is sent yet. The dialogue must not move afterwards. */
bool mail_dialogue_open(MailDialogue *dialogue, const MailServer *server, GError **error);

/* Has the dialogue log in with SASL PLAIN (RFC 4616) or LOGIN, as soon as there is TLS. */
CURLcode mail_dialogue_login(MailDialogue *dialogue, const char *user, const char *password);

void mail_dialogue_clear(MailDialogue *dialogue);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MailDialogue, mail_dialogue_clear)

/* "IMAP server mail.example.org:993". Free with g_free. */
char *mail_server_name(const MailServer *server);

/* Sets *error for a dialogue that ended with `result`, in words; always returns false. QWD_ERROR_NOT_FOUND when there
 * is no such service (nobody listens, or without the TLS asked for), else QWD_ERROR_UNAVAILABLE. */
bool mail_dialogue_fail(const MailDialogue *dialogue, CURLcode result, GError **error);
