/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/text.h"

#include <glib.h>
#include <string.h>

bool text_has_controls(const char *text)
{
    while (*text && !g_ascii_iscntrl(*text))
        text++;
    return *text != '\0';
}

bool text_is_line(const char *text)
{
    const char *at = text;
    while (*at && (*at == '\t' || !g_ascii_iscntrl(*at)))
        at++;
    return !*at && g_utf8_validate(text, -1, NULL);
}

void text_flatten(char *text)
{
    for (; *text; text++) {
        if (g_ascii_iscntrl(*text))
            *text = ' ';
    }
}

static bool is_shown_as_it_is(gunichar character)
{
    return character == '\n' || character == '\t' || g_unichar_isprint(character);
}

static void append_bytes(GString *shown, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        g_string_append_printf(shown, "\\x%02x", (unsigned char)text[i]);
}

/* Appends the character that begins a text, and returns its length. */
static size_t append_character(GString *shown, const char *text, size_t length)
{
    gunichar character = g_utf8_get_char_validated(text, (gssize)length);
    if (g_ascii_iscntrl(*text) && *text != '\n' && *text != '\t') {
        g_string_append_printf(shown, "^%c", *text ^ 0x40);
        return 1;
    }
    if (character >= 0x110000) { /* not UTF-8 */
        append_bytes(shown, text, 1);
        return 1;
    }
    size_t bytes = (size_t)g_unichar_to_utf8(character, NULL);
    if (is_shown_as_it_is(character))
        g_string_append_len(shown, text, (gssize)bytes);
    else
        append_bytes(shown, text, bytes);
    return bytes;
}

char *text_for_terminal(const char *text, size_t length)
{
    GString *shown = g_string_sized_new(length);
    for (size_t i = 0; i < length;) {
        bool ends_line = text[i] == '\r' && i + 1 < length && text[i + 1] == '\n';
        i += ends_line ? 1 : append_character(shown, text + i, length - i);
    }
    return g_string_free(shown, FALSE);
}

char *text_for_line(const char *text)
{
    GString *shown = g_string_new(NULL);
    for (size_t left = strlen(text); left > 0;) {
        bool is_space = *text == '\n' || *text == '\t';
        size_t length = is_space ? 1 : append_character(shown, text, left);
        if (is_space)
            g_string_append_printf(shown, "^%c", *text ^ 0x40);
        text += length;
        left -= length;
    }
    return g_string_free(shown, FALSE);
}

/* A line that has at most `width` characters, or begins with a longer word: where it ends. */
static const char *wrapped_end(const char *line, size_t width)
{
    const char *space = NULL, *at = line;
    for (size_t count = 0; *at && *at != '\n'; at = g_utf8_next_char(at), count++) {
        if (count > width && space)
            return space;
        space = *at == ' ' ? at : space;
        if (count >= width && space == at)
            return at;
    }
    return at;
}

char *text_wrap(const char *text, size_t width)
{
    GString *out = g_string_new(NULL);
    while (*text) {
        const char *end = wrapped_end(text, width);
        g_string_append_len(out, text, end - text);
        if (*end)
            g_string_append_c(out, '\n');
        text = *end ? end + 1 : end;
    }
    return g_string_free(out, FALSE);
}

void report_add(GPtrArray *report, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (report)
        g_ptr_array_add(report, g_strdup_vprintf(format, args));
    va_end(args);
}
