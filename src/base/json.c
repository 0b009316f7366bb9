/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

json_t *json_object_parse(const char *text, size_t length, GError **error)
{
    json_error_t trouble;
    g_autoptr(JsonValue) value = json_loadb(text, length, JSON_REJECT_DUPLICATES, &trouble);
    if (!value) {
        qwd_error_fail(error, QWD_ERROR_USAGE, "Not JSON: %s (line %d)", trouble.text, trouble.line);
        return NULL;
    }
    if (!json_is_object(value)) {
        qwd_error_fail(error, QWD_ERROR_USAGE, "Not a JSON object");
        return NULL;
    }
    return g_steal_pointer(&value);
}

json_t *json_object_read(const char *path, size_t max_bytes, GError **error)
{
    size_t length;
    g_autofree char *text = file_read(path, max_bytes, &length, error);
    if (!text)
        return NULL;
    json_t *object = json_object_parse(text, length, error);
    if (!object)
        g_prefix_error(error, "%s: ", path);
    return object;
}

bool json_object_write(const char *path, const json_t *object, FileDurability durability, GError **error)
{
    char *text = json_dumps(object, JSON_INDENT(1));
    if (!text)
        return qwd_error_fail(error, QWD_ERROR_INTERNAL, "Cannot write %s: not UTF-8", path);
    bool good = file_write_atomic(path, text, strlen(text), 0600, durability, error);
    free(text);
    return good;
}

json_t *json_text_or_null(const char *text)
{
    return text && *text ? json_string(text) : json_null();
}

json_t *json_take_text(char *text)
{
    json_t *value = json_string(text);
    g_free(text);
    return value;
}

const char *json_get_text(const json_t *object, const char *key, const char *otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) ? json_string_value(value) : otherwise;
}

gint64 json_get_integer(const json_t *object, const char *key, gint64 otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

bool json_get_bool(const json_t *object, const char *key, bool otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}
