/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "server/head.h"

#include <string.h>

#include "base/error.h"

/* The characters of a token (RFC 9110, 5.6.2). */
#define TOKEN_CHARACTERS "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static void field_free(gpointer data)
{
    HeadField *field = data;
    g_free(field->name);
    g_free(field->value);
    g_free(field);
}

GPtrArray *head_new(void)
{
    return g_ptr_array_new_with_free_func(field_free);
}

void head_add(GPtrArray *fields, const char *name, const char *value)
{
    HeadField *field = g_new(HeadField, 1);
    *field = (HeadField){g_strdup(name), g_strdup(value)};
    g_ptr_array_add(fields, field);
}

const char *head_get(const GPtrArray *fields, const char *name)
{
    for (guint i = 0; i < fields->len; i++) {
        const HeadField *field = g_ptr_array_index(fields, i);
        if (g_ascii_strcasecmp(field->name, name) == 0)
            return field->value;
    }
    return NULL;
}

bool head_name_is_token(const char *name)
{
    return *name && strspn(name, TOKEN_CHARACTERS) == strlen(name);
}

bool head_value_is_plain(const char *value)
{
    for (const char *c = value; *c; c++) {
        if (g_ascii_iscntrl(*c) && *c != '\t')
            return false;
    }
    return true;
}

size_t head_length(const char *data, size_t length)
{
    const char *end = data + length;
    for (const char *line = data; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        if (!newline)
            return 0;
        if (newline == line || (newline == line + 1 && *line == '\r'))
            return (size_t)(newline + 1 - data);
        line = newline + 1;
    }
    return 0;
}

/* Splits "Name: value" in place. */
static bool add_line(GPtrArray *fields, char *line)
{
    char *colon = strchr(line, ':');
    size_t length = colon ? (size_t)(colon - line) : 0;
    if (length == 0 || strspn(line, TOKEN_CHARACTERS) != length || fields->len >= HEAD_MAX_FIELDS)
        return false;
    *colon = '\0';
    const char *value = g_strstrip(colon + 1);
    if (!head_value_is_plain(value))
        return false;
    head_add(fields, line, value);
    return true;
}

/* Cuts the line end off; false for a line with a NUL byte inside. */
static bool trim_line(char *line, size_t length)
{
    if (strlen(line) != length)
        return false;
    if (length > 0 && line[length - 1] == '\r')
        line[length - 1] = '\0';
    return true;
}

GPtrArray *head_parse(const char *data, size_t length, GError **error)
{
    g_autoptr(GPtrArray) fields = head_new();
    bool good = length <= HEAD_MAX_BYTES;
    for (size_t at = 0; good && at < length;) {
        const char *newline = memchr(data + at, '\n', length - at);
        size_t line_length = newline ? (size_t)(newline - data) - at : length - at;
        g_autofree char *line = g_strndup(data + at, line_length);
        good = trim_line(line, line_length) && (*line == '\0' || add_line(fields, line));
        at += line_length + 1;
    }
    if (good)
        return g_steal_pointer(&fields);
    qwd_error_fail(error, QWD_ERROR_INTERNAL, "The answer does not begin with header lines.");
    return NULL;
}
