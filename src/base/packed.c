/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/packed.h"

#include <string.h>

void pack_integer(GByteArray *out, gint64 value)
{
    g_byte_array_append(out, (const guint8 *)&value, sizeof(value));
}

void pack_bytes(GByteArray *out, const guint8 *bytes, size_t length)
{
    pack_integer(out, (gint64)length);
    g_byte_array_append(out, bytes, (guint)length);
}

void pack_text(GByteArray *out, const char *text)
{
    pack_bytes(out, (const guint8 *)(text ? text : ""), text ? strlen(text) : 0);
}

gint64 unpack_integer(Unpacker *in)
{
    gint64 value;
    if (in->is_bad || (size_t)(in->end - in->at) < sizeof(value)) {
        in->is_bad = true;
        return 0;
    }
    memcpy(&value, in->at, sizeof(value));
    in->at += sizeof(value);
    return value;
}

Unpacker unpack_bytes(Unpacker *in)
{
    gint64 length = unpack_integer(in);
    if (length < 0 || length > in->end - in->at)
        in->is_bad = true;
    if (in->is_bad)
        return (Unpacker){.is_bad = true};
    Unpacker part = {.at = in->at, .end = in->at + length};
    in->at += length;
    return part;
}

char *unpack_text(Unpacker *in)
{
    Unpacker text = unpack_bytes(in);
    return text.is_bad ? g_strdup("") : g_strndup((const char *)text.at, (gsize)(text.end - text.at));
}
