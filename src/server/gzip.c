/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "server/gzip.h"

#include <stdint.h>
#include <unistd.h>
#include <zlib.h>

#define WORTHWHILE_MIN_BYTES 1024
#define WORTHWHILE_MAX_BYTES (1024 * 1024)
#define GZIP_WINDOW_BITS (15 + 16) /* zlib.h: 16 more for the format of gzip */
#define MEMORY_LEVEL 8

bool gzip_is_worthwhile(const char *media_type, gint64 size)
{
    static const char *const kinds[] = {"text/", "application/json", "image/svg+xml"};
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (g_str_has_prefix(media_type, kinds[i]))
            return size >= WORTHWHILE_MIN_BYTES && size <= WORTHWHILE_MAX_BYTES;
    }
    return false;
}

/* "gzip" or "gzip;q=..." that is not 0. */
static bool names_gzip(const char *entry)
{
    g_auto(GStrv) parts = g_strsplit(entry, ";", 2);
    if (!parts[0] || g_ascii_strcasecmp(g_strstrip(parts[0]), "gzip") != 0)
        return false;
    const char *weight = parts[1] ? g_strstrip(parts[1]) : "q=1";
    return g_ascii_strncasecmp(weight, "q=", 2) == 0 && g_ascii_strtod(weight + 2, NULL) > 0;
}

bool gzip_is_accepted(const char *accept_encoding)
{
    g_auto(GStrv) entries = g_strsplit(accept_encoding ? accept_encoding : "", ",", -1);
    for (char **entry = entries; *entry; entry++) {
        if (names_gzip(*entry))
            return true;
    }
    return false;
}

static GByteArray *compress_bytes(const uint8_t *bytes, size_t length)
{
    z_stream stream = {.next_in = (Bytef *)bytes, .avail_in = (uInt)length};
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return NULL;
    GByteArray *output = g_byte_array_new();
    g_byte_array_set_size(output, (guint)deflateBound(&stream, (uLong)length));
    stream.next_out = output->data;
    stream.avail_out = output->len;
    int result = deflate(&stream, Z_FINISH);
    g_byte_array_set_size(output, (guint)stream.total_out);
    deflateEnd(&stream);
    if (result == Z_STREAM_END)
        return output;
    g_byte_array_unref(output);
    return NULL;
}

GByteArray *gzip_file(int fd, gint64 size)
{
    g_autofree uint8_t *bytes = g_malloc((gsize)size);
    ssize_t n = pread(fd, bytes, (size_t)size, 0);
    return n == size ? compress_bytes(bytes, (size_t)size) : NULL;
}
