/* SPDX-License-Identifier: AGPL-3.0-or-later
 * ISO 9660 (ECMA-119) as far as a few small files in one folder need it, each of less than 4 GiB. The image:
 *
 *   sectors 0-15   system area, empty       18, 19   path tables, little and big endian
 *   16             volume descriptor        20       root directory
 *   17             end of descriptors       21-      files
 *
 * Systems show file names in lower case and without the version; none needs an extension for ours. Dates are absent
 * (zero), so that the same files give the same image. */
#include "vm/seed.h"

#include <string.h>

enum { SECTOR = 2048, DESCRIPTOR = 16, DESCRIPTORS_END, PATHS_LITTLE, PATHS_BIG, ROOT, FIRST_FILE };
enum { PATH_TABLE_BYTES = 10, RECORD_HEAD_BYTES = 33, FLAG_FOLDER = 2 };

/* --- numbers --- */

static void put_little(guint8 *at, guint32 value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        at[i] = (guint8)(value >> (8 * i));
}

static void put_big(guint8 *at, guint32 value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        at[bytes - 1 - i] = (guint8)(value >> (8 * i));
}

/* Most numbers stand there twice, in both orders (7.2.3, 7.3.3). */
static void put_both(guint8 *at, guint32 value, size_t bytes)
{
    put_little(at, value, bytes);
    put_big(at + bytes, value, bytes);
}

static guint32 sectors_of(const char *content)
{
    return (guint32)((strlen(content) + SECTOR - 1) / SECTOR);
}

/* --- directory records (9.1) --- */

typedef struct {
    const char *identifier;
    size_t identifier_length;
    guint32 sector, length;
    guint8 flags;
} Record;

/* Returns the record's length. */
static size_t put_record(guint8 *at, const Record *record)
{
    size_t length = RECORD_HEAD_BYTES + record->identifier_length;
    length += length % 2;
    at[0] = (guint8)length;
    put_both(at + 2, record->sector, 4);
    put_both(at + 10, record->length, 4);
    at[25] = record->flags;
    put_both(at + 28, 1, 2); /* volume in the set */
    at[32] = (guint8)record->identifier_length;
    memcpy(at + RECORD_HEAD_BYTES, record->identifier, record->identifier_length);
    return length;
}

/* The identifiers of a folder itself and of its parent are one byte. */
static const Record root_self = {"\0", 1, ROOT, SECTOR, FLAG_FOLDER};
static const Record root_parent = {"\1", 1, ROOT, SECTOR, FLAG_FOLDER};

static void put_root(guint8 *at, const SeedFile *files, size_t count)
{
    guint32 sector = FIRST_FILE;
    at += put_record(at, &root_self);
    at += put_record(at, &root_parent);
    for (size_t i = 0; i < count; i++) {
        g_autofree char *upper = g_ascii_strup(files[i].name, -1);
        g_autofree char *identifier = g_strconcat(upper, ".;1", NULL);
        Record record = {identifier, strlen(identifier), sector, (guint32)strlen(files[i].content), 0};
        at += put_record(at, &record);
        sector += sectors_of(files[i].content);
    }
}

/* --- the whole --- */

static void put_padded(guint8 *at, const char *text, size_t length)
{
    memset(at, ' ', length);
    memcpy(at, text, strlen(text));
}

/* Primary volume descriptor (8.4). */
static void put_descriptor(guint8 *at, guint32 sectors)
{
    at[0] = 1;
    memcpy(at + 1, "CD001\1", 6);
    put_padded(at + 8, "", 32);
    put_padded(at + 40, "cidata", 32);
    put_both(at + 80, sectors, 4);
    put_both(at + 120, 1, 2); /* size of the volume set, and our place in it */
    put_both(at + 124, 1, 2);
    put_both(at + 128, SECTOR, 2);
    put_both(at + 132, PATH_TABLE_BYTES, 4);
    put_little(at + 140, PATHS_LITTLE, 4);
    put_big(at + 148, PATHS_BIG, 4);
    put_record(at + 156, &root_self);
    put_padded(at + 190, "", 623); /* who made it, of what, and with which files: nothing of that is known */
    memset(at + 813, '0', 4 * 17); /* four dates: not given (8.4.26.1) */
    for (size_t i = 0; i < 4; i++)
        at[813 + i * 17 + 16] = 0;
    at[881] = 1;
}

GByteArray *seed_image(const SeedFile *files, size_t count)
{
    guint32 sectors = FIRST_FILE;
    for (size_t i = 0; i < count; i++)
        sectors += sectors_of(files[i].content);
    GByteArray *image = g_byte_array_new();
    g_byte_array_set_size(image, sectors * SECTOR);
    memset(image->data, 0, image->len);
    put_descriptor(image->data + DESCRIPTOR * SECTOR, sectors);
    memcpy(image->data + DESCRIPTORS_END * SECTOR, "\377CD001\1", 7);
    guint8 *paths_little = image->data + PATHS_LITTLE * SECTOR, *paths_big = image->data + PATHS_BIG * SECTOR;
    paths_little[0] = paths_big[0] = 1; /* the root alone, its own parent (9.4) */
    put_little(paths_little + 2, ROOT, 4);
    put_little(paths_little + 6, 1, 2);
    put_big(paths_big + 2, ROOT, 4);
    put_big(paths_big + 6, 1, 2);
    put_root(image->data + ROOT * SECTOR, files, count);
    guint8 *at = image->data + FIRST_FILE * SECTOR;
    for (size_t i = 0; i < count; at += sectors_of(files[i].content) * SECTOR, i++)
        memcpy(at, files[i].content, strlen(files[i].content));
    return image;
}
