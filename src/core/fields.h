/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Plain structs as JSON objects, and as packed values (base/packed.h), by a table of their fields. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/packed.h"

typedef enum {
    FIELD_TEXT,    /* char *, NULL is "" */
    FIELD_INTEGER, /* gint64 */
    FIELD_BOOL,    /* bool */
    FIELD_NAME,    /* an enum from 0 on, by the names of its values */
} FieldKind;

typedef struct {
    const char *key; /* NULL ends a table */
    FieldKind kind;
    size_t offset;
    const char *const *names; /* of FIELD_NAME, NULL-terminated */
} Field;

/* Rows of a table: of a struct's member under its name, or under another one, or an enum. */
#define FIELD(type, member, kind_) FIELD_AS(#member, type, member, kind_)
#define FIELD_AS(key_, type, member, kind_)                                                                            \
    {                                                                                                                  \
        .key = key_, .kind = FIELD_##kind_, .offset = offsetof(type, member)                                           \
    }
#define FIELD_NAMED(type, member, names_)                                                                              \
    {                                                                                                                  \
        .key = #member, .kind = FIELD_NAME, .offset = offsetof(type, member), .names = names_                          \
    }

/* New reference. What is "", 0 or false is left out; names never are. */
json_t *fields_to_json(const Field *fields, const void *record);

/* Fills the fields of a zeroed record; what is absent or of another type is "", 0 or false. False when a name is none
 * of its field's: that field is 0. */
bool fields_from_json(const Field *fields, void *record, const json_t *object);

void fields_pack(const Field *fields, const void *record, GByteArray *out);

/* Fills the fields of a zeroed record. */
void fields_unpack(const Field *fields, void *record, Unpacker *in);

/* Adds the names of the fields, in their order: what was packed by another table is not to be read by this one. */
void fields_describe(const Field *fields, GString *layout);

/* Frees the texts of a record. */
void fields_clear(const Field *fields, void *record);
