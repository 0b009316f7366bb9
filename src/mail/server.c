/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "mail/server.h"

#include <string.h>

#include "base/error.h"

/* What a host name or an IP address may consist of: nothing that means something else in a URL. */
#define HOST_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._:"

/* Mechanisms that prove this password and nothing else. Without the list libcurl would try Kerberos or a client
 * certificate where a server offers them: with the service's own tickets. */
#define MECHANISMS "AUTH=PLAIN;AUTH=LOGIN"

#define FAREWELL_MS 1000

static bool check_host(const char *key, const char *host, GError **error)
{
    if (!*host)
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "%s is not set.", key);
    return host[strspn(host, HOST_LETTERS)] == '\0' ||
           qwd_error_fail(error, QWD_ERROR_CONFIG, "%s = %s is not a host name.", key, host);
}

bool mail_server_imap(const Settings *settings, MailServer *server, GError **error)
{
    *server = (MailServer){
        .protocol = MAIL_IMAP,
        .protection = settings->imap_port == 993 ? MAIL_TLS : MAIL_STARTTLS,
        .host = settings->imap_server,
        .port = (int)settings->imap_port,
        .authorities = settings->mail_ca,
    };
    return check_host("imap_server", server->host, error);
}

static MailProtection smtp_protection(const Settings *settings)
{
    if (g_str_equal(settings->smtp_use_ssl, "none"))
        return MAIL_PLAIN;
    return g_str_equal(settings->smtp_use_ssl, "ssl") || settings->smtp_port == 465 ? MAIL_TLS : MAIL_STARTTLS;
}

bool mail_server_smtp(const Settings *settings, MailServer *server, GError **error)
{
    *server = (MailServer){
        .protocol = MAIL_SMTP,
        .protection = smtp_protection(settings),
        .host = settings->smtp_server,
        .port = (int)settings->smtp_port,
        .authorities = settings->mail_ca,
    };
    return check_host("smtp_server", server->host, error);
}

/* --- watching --- */

static void keep_line(MailDialogue *dialogue, const char *text, size_t length)
{
    size_t kept = MIN(length, sizeof dialogue->line - 1);
    memcpy(dialogue->line, text, kept);
    dialogue->line[kept] = '\0';
    dialogue->line[strcspn(dialogue->line, "\r\n")] = '\0';
}

static void watch_answer(MailDialogue *dialogue, const char *text, size_t length)
{
    keep_line(dialogue, text, length);
    if (dialogue->server->protocol == MAIL_IMAP || g_str_has_prefix(dialogue->line, "220"))
        dialogue->has_begun = true;
    if (dialogue->server->protocol == MAIL_SMTP && g_str_has_prefix(dialogue->line, "354"))
        dialogue->has_body = true;
}

static void watch_command(MailDialogue *dialogue, const char *text, size_t length)
{
    if (mail_line_is_login(dialogue->server->protocol, text, length)) {
        dialogue->has_login = true;
        *dialogue->line = '\0';
    }
    /* All is said: a server that does not answer QUIT is not waited for. */
    if (length >= 4 && memcmp(text, "QUIT", 4) == 0) {
        dialogue->has_ended = true;
        dialogue->end_us = MIN(dialogue->end_us, g_get_monotonic_time() + FAREWELL_MS * 1000);
    }
}

/* CURLOPT_DEBUGFUNCTION: libcurl shows each line of both sides, ours with their secrets: nothing of those is kept. */
static int on_line(CURL *curl, curl_infotype type, char *text, size_t length, void *data)
{
    MailDialogue *dialogue = data;
    (void)curl;
    if (type == CURLINFO_HEADER_IN && !dialogue->has_ended)
        watch_answer(dialogue, text, length);
    if (type == CURLINFO_HEADER_OUT)
        watch_command(dialogue, text, length);
    return 0;
}

static size_t on_data(char *text, size_t size, size_t count, void *data)
{
    (void)text, (void)data;
    return size * count;
}

/* CURLOPT_XFERINFOFUNCTION: ends what libcurl's own timeouts leave out, such as the wait for the answer to QUIT. */
static int on_progress(void *data, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    const MailDialogue *dialogue = data;
    (void)down_total, (void)down, (void)up_total, (void)up;
    return g_get_monotonic_time() > dialogue->end_us;
}

/* --- opening --- */

static char *server_url(const MailServer *server)
{
    static const char *const schemes[][2] = {[MAIL_IMAP] = {"imap", "imaps"}, [MAIL_SMTP] = {"smtp", "smtps"}};
    const char *scheme = schemes[server->protocol][server->protection == MAIL_TLS];
    bool is_ipv6 = strchr(server->host, ':') != NULL;
    return g_strdup_printf("%s://%s%s%s:%d", scheme, is_ipv6 ? "[" : "", server->host, is_ipv6 ? "]" : "",
                           server->port);
}

static CURLcode set_numbers(CURL *curl, const MailServer *server)
{
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {
        {CURLOPT_USE_SSL, server->protection == MAIL_PLAIN ? CURLUSESSL_NONE : CURLUSESSL_ALL},
        {CURLOPT_SSL_VERIFYPEER, 1},
        {CURLOPT_SSL_VERIFYHOST, 2},
        {CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
        {CURLOPT_NETRC, CURL_NETRC_IGNORED},
        {CURLOPT_FOLLOWLOCATION, 0},
        {CURLOPT_NOSIGNAL, 1},
        {CURLOPT_QUICK_EXIT, 1}, /* does not wait for a resolver that hangs */
        {CURLOPT_FORBID_REUSE, 1},
        {CURLOPT_TIMEOUT_MS, server->deadline_ms},
        {CURLOPT_CONNECTTIMEOUT_MS, server->begin_ms ? server->begin_ms : server->deadline_ms},
        {CURLOPT_NOPROGRESS, 0},
        {CURLOPT_VERBOSE, 1}, /* shows each line to on_line, and to nobody else */
    };
    CURLcode result = CURLE_OK;
    for (size_t i = 0; i < G_N_ELEMENTS(numbers) && result == CURLE_OK; i++)
        result = curl_easy_setopt(curl, numbers[i].option, numbers[i].value);
    return result;
}

static CURLcode set_texts(CURL *curl, const MailServer *server, const char *url)
{
    const char *protocols = server->protocol == MAIL_IMAP ? "imap,imaps" : "smtp,smtps";
    const struct {
        CURLoption option;
        const char *value;
    } texts[] = {
        {CURLOPT_URL, url},
        {CURLOPT_PROTOCOLS_STR, protocols},
        {CURLOPT_REDIR_PROTOCOLS_STR, protocols},
        {CURLOPT_PROXY, ""}, /* none, whatever the environment says */
    };
    CURLcode result = CURLE_OK;
    for (size_t i = 0; i < G_N_ELEMENTS(texts) && result == CURLE_OK; i++)
        result = curl_easy_setopt(curl, texts[i].option, texts[i].value);
    return result;
}

/* Authorities that are named are the only ones: the system's folder of them is switched off. */
static CURLcode set_authorities(CURL *curl, const char *authorities)
{
    if (!*authorities)
        return CURLE_OK;
    CURLcode result = curl_easy_setopt(curl, CURLOPT_CAINFO, authorities);
    return result == CURLE_OK ? curl_easy_setopt(curl, CURLOPT_CAPATH, NULL) : result;
}

static CURLcode set_watch(MailDialogue *dialogue)
{
    CURL *curl = dialogue->curl;
    CURLcode result = curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, dialogue->trouble);
    if (result == CURLE_OK)
        result = curl_easy_setopt(curl, CURLOPT_DEBUGFUNCTION, on_line);
    if (result == CURLE_OK)
        result = curl_easy_setopt(curl, CURLOPT_DEBUGDATA, dialogue);
    if (result == CURLE_OK)
        result = curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    if (result == CURLE_OK)
        result = curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    if (result == CURLE_OK)
        result = curl_easy_setopt(curl, CURLOPT_XFERINFODATA, dialogue);
    return result;
}

bool mail_dialogue_open(MailDialogue *dialogue, const MailServer *server, GError **error)
{
    g_autofree char *url = server_url(server);
    gint64 end_us = g_get_monotonic_time() + (gint64)server->deadline_ms * 1000;
    *dialogue = (MailDialogue){.server = server, .curl = curl_easy_init(), .end_us = end_us};
    CURLcode result = dialogue->curl ? CURLE_OK : CURLE_FAILED_INIT;
    if (result == CURLE_OK)
        result = set_watch(dialogue);
    if (result == CURLE_OK)
        result = set_numbers(dialogue->curl, server);
    if (result == CURLE_OK)
        result = set_texts(dialogue->curl, server, url);
    if (result == CURLE_OK)
        result = set_authorities(dialogue->curl, server->authorities);
    return result == CURLE_OK || mail_dialogue_fail(dialogue, result, error);
}

CURLcode mail_dialogue_login(MailDialogue *dialogue, const char *user, const char *password)
{
    CURLcode result = curl_easy_setopt(dialogue->curl, CURLOPT_LOGIN_OPTIONS, MECHANISMS);
    if (result == CURLE_OK)
        result = curl_easy_setopt(dialogue->curl, CURLOPT_USERNAME, user);
    if (result == CURLE_OK)
        result = curl_easy_setopt(dialogue->curl, CURLOPT_PASSWORD, password);
    return result;
}

void mail_dialogue_clear(MailDialogue *dialogue)
{
    g_clear_pointer(&dialogue->curl, curl_easy_cleanup);
}

/* --- what went wrong --- */

char *mail_server_name(const MailServer *server)
{
    return g_strdup_printf("%s server %s:%d", server->protocol == MAIL_IMAP ? "IMAP" : "SMTP", server->host,
                           server->port);
}

/* Words that tell more than libcurl's. */
static const char *words_for(CURLcode result)
{
    static const struct {
        CURLcode result;
        const char *words;
    } table[] = {
        {CURLE_COULDNT_RESOLVE_HOST, "there is no host of that name"},
        {CURLE_COULDNT_CONNECT, "nobody answers there"},
        {CURLE_OPERATION_TIMEDOUT, "it does not answer in time"},
        {CURLE_ABORTED_BY_CALLBACK, "it does not answer in time"}, /* on_progress */
        {CURLE_USE_SSL_FAILED, "it offers no STARTTLS, and nothing is said without TLS"},
        {CURLE_SSL_CACERT_BADFILE, "the file mail_ca cannot be read or holds no certificates"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
        if (table[i].result == result)
            return table[i].words;
    }
    return NULL;
}

static bool there_is_no_service(const MailDialogue *dialogue, CURLcode result)
{
    bool is_late = result == CURLE_OPERATION_TIMEDOUT || result == CURLE_ABORTED_BY_CALLBACK;
    return result == CURLE_COULDNT_CONNECT || result == CURLE_USE_SSL_FAILED || result == CURLE_SSL_CONNECT_ERROR ||
           (is_late && !dialogue->has_begun);
}

bool mail_dialogue_fail(const MailDialogue *dialogue, CURLcode result, GError **error)
{
    g_autofree char *name = mail_server_name(dialogue->server);
    const char *words = words_for(result);
    if (!words)
        words = *dialogue->trouble ? dialogue->trouble : curl_easy_strerror(result);
    return qwd_error_fail(error, there_is_no_service(dialogue, result) ? QWD_ERROR_NOT_FOUND : QWD_ERROR_UNAVAILABLE,
                          "%s: %s", name, words);
}
