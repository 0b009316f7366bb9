/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/ini.h"

#include <stdbool.h>

#include "base/error.h"
#include "base/file.h"

#define FILE_MAX_BYTES (1024 * 1024)

/* The original marks comments with ';', which GKeyFile does not know. */
static void convert_comments(char *text)
{
    bool at_line_start = true;
    for (char *c = text; *c; c++) {
        if (at_line_start && *c == ';')
            *c = '#';
        at_line_start = *c == '\n' || (at_line_start && (*c == ' ' || *c == '\t'));
    }
}

/* A control character would be part of a value that looks like another one; a CR ends a line for some readers only. */
static bool check_controls(const char *text, size_t length, const char *path, GError **error)
{
    int line = 1;
    for (size_t i = 0; i < length; i++) {
        bool ends_line = text[i] == '\n' || (text[i] == '\r' && i + 1 < length && text[i + 1] == '\n');
        if (g_ascii_iscntrl(text[i]) && !ends_line && text[i] != '\t')
            return qwd_error_fail(error, QWD_ERROR_CONFIG, "%s, line %d: There is a control character (0x%02x).", path,
                                  line, (unsigned char)text[i]);
        line += text[i] == '\n';
    }
    return true;
}

GKeyFile *ini_parse(const char *text, size_t length, const char *path, GError **error)
{
    if (!g_utf8_validate_len(text, length, NULL)) {
        qwd_error_fail(error, QWD_ERROR_CONFIG, "%s is not UTF-8 text.", path);
        return NULL;
    }
    if (!check_controls(text, length, path, error))
        return NULL;
    g_autofree char *converted = g_strndup(text, length);
    convert_comments(converted);
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GError) cause = NULL;
    if (*converted && !g_key_file_load_from_data(file, converted, length, G_KEY_FILE_NONE, &cause)) {
        qwd_error_fail(error, QWD_ERROR_CONFIG, "%s: %s", path, cause->message);
        return NULL;
    }
    return g_steal_pointer(&file);
}

GKeyFile *ini_read(const char *path, GError **error)
{
    size_t length;
    g_autofree char *text = file_read(path, FILE_MAX_BYTES, &length, error);
    return text ? ini_parse(text, length, path, error) : NULL;
}
