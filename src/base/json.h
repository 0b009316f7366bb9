/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What jansson lacks: values that free themselves, bounded files, typed reads with a default. */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "base/file.h"

typedef json_t JsonValue;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonValue, json_decref)

/* Parses one JSON object; QWD_ERROR_USAGE says where it is broken. New reference. */
json_t *json_object_parse(const char *text, size_t length, GError **error);

/* Reads one JSON object from a file of at most max_bytes. New reference. */
json_t *json_object_read(const char *path, size_t max_bytes, GError **error);

/* Writes an object atomically, one key per line, mode 0600. */
bool json_object_write(const char *path, const json_t *object, FileDurability durability, GError **error);

/* A string; null for "" and NULL. New reference. */
json_t *json_text_or_null(const char *text);

/* A string of a text that it frees. NULL when the text is not UTF-8. New reference. */
json_t *json_take_text(char *text);

/* Typed reads; the default when the key is absent or of another type. Texts are borrowed. */
const char *json_get_text(const json_t *object, const char *key, const char *otherwise);
gint64 json_get_integer(const json_t *object, const char *key, gint64 otherwise);
bool json_get_bool(const json_t *object, const char *key, bool otherwise);
