/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * libmicrohttpd before 1.0 takes more than the RFC allows (blanks before the colon, folded lines, a CR or a NUL that
 * ends a line), and hands over the fields without a trace of it, but for one: it reads the head where it has received
 * it, and writes NUL over each colon and over CR and LF. So the head is clear when its parts follow each other without
 * a gap: HTTP/1.1 NUL NUL name NUL blanks value NUL NUL name NUL blanks value NUL NUL NUL NUL A folded field is put
 * together elsewhere, and anything else leaves too few or too many bytes in between. From 1.0 on the library refuses
 * all this by itself (MHD_OPTION_STRICT_FOR_CLIENT). Debian 12 has 0.9.75, Debian 13 has 1.0.1. */
#include "server/framing.h"

#include <string.h>

#include "server/head.h"

typedef struct {
    const char *next; /* where the next field has to begin; NULL: anywhere */
    bool is_clear;
    int hosts, lengths, encodings;
} Framing;

static bool is_digits(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

/* Counts those that say where a request ends, or whose it is. */
static bool judge_field(Framing *framing, const char *name, const char *value)
{
    if (g_ascii_strcasecmp(name, "Host") == 0)
        return ++framing->hosts == 1;
    if (g_ascii_strcasecmp(name, "Content-Length") == 0)
        return is_digits(value) && ++framing->lengths + framing->encodings == 1;
    if (g_ascii_strcasecmp(name, "Transfer-Encoding") == 0)
        return g_ascii_strcasecmp(value, "chunked") == 0 && ++framing->encodings + framing->lengths == 1;
    return true;
}

/* Whether the value stands behind its name, on the same line. */
static bool is_on_line(const char *name, size_t name_length, const char *value)
{
    const char *at = name + name_length + 1;
    while (at < value && (*at == ' ' || *at == '\t'))
        at++;
    return at == value;
}

static enum MHD_Result check_field(void *data, enum MHD_ValueKind kind, const char *name, size_t name_length,
                                   const char *value, size_t value_length)
{
    (void)kind;
    Framing *framing = data;
    bool is_in_place = !framing->next || (framing->next == name && value && is_on_line(name, name_length, value));
    framing->is_clear = is_in_place && value && strlen(name) == name_length && strlen(value) == value_length &&
                        head_name_is_token(name) && head_value_is_plain(value) && judge_field(framing, name, value);
    if (framing->next && framing->is_clear)
        framing->next = value + value_length + 2;
    return framing->is_clear ? MHD_YES : MHD_NO;
}

/* Behind the last field there is the empty line, and nothing else was before the first line. */
static bool is_whole(const Request *request, const Framing *framing)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return !framing->next || (info && framing->next + 2 == request->method + info->header_size);
}

bool framing_is_clear(const Request *request)
{
    bool shows_place = g_str_has_prefix(MHD_get_version(), "0.");
    Framing framing = {.next = shows_place ? request->protocol + strlen(request->protocol) + 2 : NULL,
                       .is_clear = true};
    MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, check_field, &framing);
    return framing.is_clear && is_whole(request, &framing) &&
           (framing.encodings == 0 || g_str_equal(request->protocol, "HTTP/1.1"));
}
