/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Plain structs as JSON objects, and as packed values (base/packed.h), by a table of their fields. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/packed.h"

typedef enum {
    FIELD_TEXT,    /* char *, NULL is "" */
    FIELD_INTEGER, /* gint64 */
    FIELD_BOOL,    /* bool */
} FieldKind;

typedef struct {
    const char *key; /* NULL ends a table */
    FieldKind kind;
    size_t offset;
} Field;

/* New reference. What is "", 0 or false is left out. */
json_t *fields_to_json(const Field *fields, const void *record);

/* Fills the fields of a zeroed record; what is absent or of another type is "", 0 or false. */
void fields_from_json(const Field *fields, void *record, const json_t *object);

void fields_pack(const Field *fields, const void *record, GByteArray *out);

/* Fills the fields of a zeroed record. */
void fields_unpack(const Field *fields, void *record, Unpacker *in);

/* Adds the names of the fields, in their order: what was packed by another table is not to be read by this one. */
void fields_describe(const Field *fields, GString *layout);

/* Frees the texts of a record. */
void fields_clear(const Field *fields, void *record);
