/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "mail/header.h"

#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "base/token.h"

#define PLAIN_MAX_BYTES 60
/* An encoded word of 39 bytes has 64 characters: with a short field name before it the line stays below 76. */
#define WORD_MAX_BYTES 39

/* Characters of a phrase that need neither quotes nor encoding: RFC 5322, 3.2.3. */
static bool is_plain_in_phrase(char c)
{
    return g_ascii_isalnum(c) || strchr(" !#$%&'*+-/=^_`{|}~", c);
}

static bool is_plain_in_text(char c)
{
    return g_ascii_isprint(c);
}

static bool is_plain(const char *text, bool (*plain)(char))
{
    for (const char *c = text; *c; c++) {
        if (!plain(*c))
            return false;
    }
    return strlen(text) <= PLAIN_MAX_BYTES && !strstr(text, "=?") && *text != ' ';
}

/* Length of the longest beginning of whole characters that fits one encoded word. */
static size_t word_length(const char *text)
{
    const char *end = text;
    while (*end && g_utf8_next_char(end) <= text + WORD_MAX_BYTES)
        end = g_utf8_next_char(end);
    return (size_t)(end - text);
}

static void append_words(GString *out, const char *text)
{
    for (const char *rest = text; *rest;) {
        size_t length = word_length(rest);
        g_autofree char *base64 = g_base64_encode((const guchar *)rest, length);
        g_string_append_printf(out, "%s=?UTF-8?B?%s?=", rest == text ? "" : "\r\n ", base64);
        rest += length;
    }
}

static char *one_line(const char *text)
{
    char *line = g_utf8_make_valid(text, -1);
    text_flatten(line);
    return g_strchomp(line);
}

static void append_encoded(GString *out, const char *text, bool (*plain)(char))
{
    g_autofree char *line = one_line(text);
    if (is_plain(line, plain))
        g_string_append(out, line);
    else
        append_words(out, line);
}

char *mail_header_text(const char *name, const char *text)
{
    GString *field = g_string_new(name);
    g_string_append(field, ": ");
    append_encoded(field, text, is_plain_in_text);
    return g_string_free(field, FALSE);
}

char *mail_header_mailbox(const char *name, const char *display_name, const char *address)
{
    GString *field = g_string_new(name);
    g_string_append(field, ": ");
    if (*display_name) {
        append_encoded(field, display_name, is_plain_in_phrase);
        g_string_append(field, "\r\n ");
    }
    g_string_append_printf(field, "<%s>", address);
    return g_string_free(field, FALSE);
}

/* Names of days and months are English, whatever the locale: RFC 5322, 3.3. */
char *mail_header_date(GDateTime *time)
{
    static const char days[] = "MonTueWedThuFriSatSun", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    g_autofree char *clock = g_date_time_format(time, "%H:%M:%S %z");
    return g_strdup_printf("Date: %.3s, %d %.3s %04d %s", days + 3 * (g_date_time_get_day_of_week(time) - 1),
                           g_date_time_get_day_of_month(time), months + 3 * (g_date_time_get_month(time) - 1),
                           g_date_time_get_year(time), clock);
}

char *mail_header_id(const char *address)
{
    g_autofree char *token = token_new();
    return g_strdup_printf("Message-ID: <%s%s>", token, strrchr(address, '@'));
}

char *mail_body_lines(const char *text)
{
    GString *body = g_string_new(NULL);
    for (const char *c = text; *c; c++) {
        if (*c == '\r' && c[1] == '\n')
            continue;
        if (*c == '\r' || *c == '\n')
            g_string_append(body, "\r\n");
        else
            g_string_append_c(body, *c);
    }
    return g_string_free(body, FALSE);
}
