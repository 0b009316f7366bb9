/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "web/params.h"

#include <string.h>

#include "base/error.h"

#define NAME_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
#define NAME_SHOWN_MAX 32

/* Fields that may have several lines: the start-up script of the original's form. */
static const char *const multi_line_names[] = {"script", NULL};

/* Fields that may be given several times: the check boxes of a list. */
static const char *const repeated_names[] = {"folder", "sessions", NULL};

/* A field's name as it may stand in a message: strange ones are not repeated. */
static const char *shown_name(const char *name)
{
    size_t length = strlen(name);
    return length > 0 && length <= NAME_SHOWN_MAX && strspn(name, NAME_LETTERS) == length ? name : "A field";
}

/* Decodes in place; false for a % that is not followed by two hexadecimal digits. */
static bool decode(char *text, size_t *length)
{
    char *out = text;
    for (const char *in = text, *end = text + *length; in < end; in++) {
        if (*in != '%') {
            *out++ = *in == '+' ? ' ' : *in;
            continue;
        }
        if (end - in < 3 || !g_ascii_isxdigit(in[1]) || !g_ascii_isxdigit(in[2]))
            return false;
        *out++ = (char)(g_ascii_xdigit_value(in[1]) * 16 + g_ascii_xdigit_value(in[2]));
        in += 2;
    }
    *length = (size_t)(out - text);
    return true;
}

bool params_text_is_plain(const char *text, size_t length, bool lines)
{
    if (!g_utf8_validate_len(text, length, NULL))
        return false;
    for (const char *p = text; p < text + length; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        bool line = c == '\t' || c == '\n' || c == '\r';
        if ((c < 0x20 && !(lines && line)) || (c >= 0x7f && c < 0xa0))
            return false;
    }
    return true;
}

static bool check_name(const Params *params, const char *name, size_t length, GError **error)
{
    if (!params_text_is_plain(name, length, false) || length == 0)
        return qwd_error_fail(error, QWD_ERROR_USAGE, "The request has a field whose name is not text.");
    if (!g_strv_contains(repeated_names, name) && params_find(params, name))
        return qwd_error_fail(error, QWD_ERROR_USAGE, "%s: send it once, not several times.", shown_name(name));
    if (params->count == PARAMS_MAX)
        return qwd_error_fail(error, QWD_ERROR_USAGE, "The request has more than %d fields.", PARAMS_MAX);
    return true;
}

/* One "name=value" of `length` bytes; the byte behind it becomes NUL. */
static bool parse_pair(Params *params, char *pair, size_t length, GError **error)
{
    char *equals = memchr(pair, '=', length);
    char *value = equals ? equals + 1 : pair + length;
    size_t name_length = equals ? (size_t)(equals - pair) : length;
    size_t value_length = (size_t)(pair + length - value);
    if (!decode(pair, &name_length) || !decode(value, &value_length))
        return qwd_error_fail(error, QWD_ERROR_USAGE, "The request has a %% that is not followed by two digits.");
    pair[name_length] = '\0';
    value[value_length] = '\0';
    if (!check_name(params, pair, name_length, error))
        return false;
    if (!params_text_is_plain(value, value_length, g_strv_contains(multi_line_names, pair)))
        return qwd_error_fail(error, QWD_ERROR_USAGE, "%s: write text without control characters, in UTF-8.",
                              shown_name(pair));
    params->items[params->count++] = (Param){pair, value};
    return true;
}

bool params_parse(Params *params, char *buffer, size_t length, GError **error)
{
    *params = (Params){.buffer = buffer, .size = length};
    for (char *pair = buffer, *end = buffer + length; pair < end;) {
        char *ampersand = memchr(pair, '&', (size_t)(end - pair));
        char *next = ampersand ? ampersand : end;
        if (next > pair && !parse_pair(params, pair, (size_t)(next - pair), error))
            return false;
        pair = next + 1;
    }
    return true;
}

const char *params_find(const Params *params, const char *name)
{
    for (size_t i = 0; i < params->count; i++) {
        if (g_str_equal(params->items[i].name, name))
            return params->items[i].value;
    }
    return NULL;
}

GPtrArray *params_find_all(const Params *params, const char *name)
{
    GPtrArray *values = g_ptr_array_new();
    for (size_t i = 0; i < params->count; i++) {
        if (g_str_equal(params->items[i].name, name))
            g_ptr_array_add(values, (gpointer)params->items[i].value);
    }
    return values;
}

void params_wipe(Params *params)
{
    if (params->buffer)
        explicit_bzero(params->buffer, params->size);
    g_free(params->buffer);
    *params = (Params){.buffer = NULL};
}
