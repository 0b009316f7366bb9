/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/fields.h"

#include <glib.h>
#include <stdbool.h>

#include "base/json.h"

static void *place_of(const Field *field, const void *record)
{
    return (char *)record + field->offset;
}

/* NULL for what a reader takes an absent one for: a record has many fields, and most are empty most of the time. */
static json_t *value_of(const Field *field, const void *record)
{
    const void *place = place_of(field, record);
    const char *text;
    switch (field->kind) {
    case FIELD_TEXT:
        text = *(char *const *)place;
        return text && *text ? json_string(text) : NULL;
    case FIELD_INTEGER:
        return *(const gint64 *)place ? json_integer(*(const gint64 *)place) : NULL;
    case FIELD_NAME:
        return json_string(field->names[*(const unsigned *)place]);
    default:
        return *(const bool *)place ? json_true() : NULL;
    }
}

json_t *fields_to_json(const Field *fields, const void *record)
{
    json_t *object = json_object();
    for (const Field *field = fields; field->key; field++) {
        json_t *value = value_of(field, record);
        if (value)
            json_object_set_new(object, field->key, value);
    }
    return object;
}

static bool read_name(const Field *field, const char *name, unsigned *value)
{
    for (*value = 0; field->names[*value]; (*value)++) {
        if (g_str_equal(field->names[*value], name))
            return true;
    }
    *value = 0;
    return false;
}

bool fields_from_json(const Field *fields, void *record, const json_t *object)
{
    bool is_good = true;
    for (const Field *field = fields; field->key; field++) {
        void *place = place_of(field, record);
        if (field->kind == FIELD_TEXT)
            *(char **)place = g_strdup(json_get_text(object, field->key, ""));
        else if (field->kind == FIELD_INTEGER)
            *(gint64 *)place = json_get_integer(object, field->key, 0);
        else if (field->kind == FIELD_NAME)
            is_good = read_name(field, json_get_text(object, field->key, ""), place) && is_good;
        else
            *(bool *)place = json_get_bool(object, field->key, false);
    }
    return is_good;
}

void fields_pack(const Field *fields, const void *record, GByteArray *out)
{
    for (const Field *field = fields; field->key; field++) {
        const void *place = place_of(field, record);
        if (field->kind == FIELD_TEXT)
            pack_text(out, *(char *const *)place);
        else if (field->kind == FIELD_NAME)
            pack_integer(out, *(const unsigned *)place);
        else
            pack_integer(out, field->kind == FIELD_INTEGER ? *(const gint64 *)place : *(const bool *)place);
    }
}

static void unpack_name(const Field *field, unsigned *value, Unpacker *in)
{
    gint64 wanted = unpack_integer(in);
    if (wanted >= 0 && wanted < g_strv_length((char **)field->names))
        *value = (unsigned)wanted;
    else
        in->is_bad = true;
}

void fields_unpack(const Field *fields, void *record, Unpacker *in)
{
    for (const Field *field = fields; field->key; field++) {
        void *place = place_of(field, record);
        if (field->kind == FIELD_TEXT)
            *(char **)place = unpack_text(in);
        else if (field->kind == FIELD_INTEGER)
            *(gint64 *)place = unpack_integer(in);
        else if (field->kind == FIELD_NAME)
            unpack_name(field, place, in);
        else
            *(bool *)place = unpack_integer(in) != 0;
    }
}

void fields_describe(const Field *fields, GString *layout)
{
    for (const Field *field = fields; field->key; field++)
        g_string_append_printf(layout, "%s:%d ", field->key, (int)field->kind);
}

void fields_clear(const Field *fields, void *record)
{
    for (const Field *field = fields; field->key; field++) {
        if (field->kind == FIELD_TEXT)
            g_clear_pointer((char **)place_of(field, record), g_free);
    }
}
