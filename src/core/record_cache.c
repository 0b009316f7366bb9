/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/record_cache.h"

#include "base/file.h"

#define FILE_MAX_BYTES (256 * 1024 * 1024)
#define SETTLED_AFTER_NS (2 * G_GINT64_CONSTANT(1000000000)) /* FAT's clock ticks every two seconds */

/* What changes with each write: it makes a new file, and renames it. */
typedef struct {
    gint64 inode, size, modified_ns, changed_ns;
} Stamp;

typedef struct {
    Stamp stamp;
    Unpacker packed; /* borrowed from the file's content */
} Entry;

struct RecordCache {
    char *path, *layout;
    char *content;       /* of the file */
    GHashTable *entries; /* id -> Entry */
    GByteArray *next;    /* what the file is to hold */
    guint hits, puts;
};

static gint64 nanoseconds(const struct timespec *time)
{
    return (gint64)time->tv_sec * 1000000000 + time->tv_nsec;
}

static Stamp stamp_of(const struct stat *st)
{
    return (Stamp){(gint64)st->st_ino, st->st_size, nanoseconds(&st->st_mtim), nanoseconds(&st->st_ctim)};
}

static bool stamp_equal(const Stamp *a, const Stamp *b)
{
    return a->inode == b->inode && a->size == b->size && a->modified_ns == b->modified_ns &&
           a->changed_ns == b->changed_ns;
}

/* --- entries --- */

static void pack_entry(GByteArray *out, const char *id, const Stamp *stamp, const guint8 *bytes, size_t length)
{
    pack_text(out, id);
    pack_integer(out, stamp->inode);
    pack_integer(out, stamp->size);
    pack_integer(out, stamp->modified_ns);
    pack_integer(out, stamp->changed_ns);
    pack_bytes(out, bytes, length);
}

static void read_entries(RecordCache *cache, Unpacker *in)
{
    while (!in->is_bad && in->at < in->end) {
        char *id = unpack_text(in);
        Entry *entry = g_new0(Entry, 1);
        entry->stamp.inode = unpack_integer(in);
        entry->stamp.size = unpack_integer(in);
        entry->stamp.modified_ns = unpack_integer(in);
        entry->stamp.changed_ns = unpack_integer(in);
        entry->packed = unpack_bytes(in);
        g_hash_table_replace(cache->entries, id, entry);
    }
}

/* Of which program, and of which folder of sessions. */
static char *layout_of(const Settings *settings)
{
    GString *layout = g_string_new(NULL);
    session_pack_describe(layout);
    g_string_append(layout, settings->dir_snapshots);
    return g_string_free(layout, FALSE);
}

RecordCache *record_cache_open(const Settings *settings)
{
    size_t length = 0;
    RecordCache *cache = g_new0(RecordCache, 1);
    cache->path = g_build_filename(settings->dir_cfg, "records.cache", NULL);
    cache->layout = layout_of(settings);
    cache->entries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    cache->next = g_byte_array_new();
    cache->content = file_read(cache->path, FILE_MAX_BYTES, &length, NULL);
    const guint8 *bytes = (const guint8 *)cache->content;
    Unpacker in = {.at = bytes, .end = bytes ? bytes + length : NULL};
    g_autofree char *layout = unpack_text(&in);
    if (g_str_equal(layout, cache->layout))
        read_entries(cache, &in);
    pack_text(cache->next, cache->layout);
    return cache;
}

SessionRecord *record_cache_get(RecordCache *cache, const char *id, const struct stat *st)
{
    const Entry *entry = g_hash_table_lookup(cache->entries, id);
    Stamp stamp = stamp_of(st);
    if (!entry || !stamp_equal(&entry->stamp, &stamp))
        return NULL;
    Unpacker in = entry->packed;
    SessionRecord *session = session_unpack(&in);
    if (!session)
        return NULL;
    pack_entry(cache->next, id, &stamp, entry->packed.at, (size_t)(entry->packed.end - entry->packed.at));
    cache->hits++;
    return session;
}

void record_cache_put(RecordCache *cache, const SessionRecord *session, const struct stat *st)
{
    Stamp stamp = stamp_of(st);
    if (g_get_real_time() * 1000 - MAX(stamp.modified_ns, stamp.changed_ns) < SETTLED_AFTER_NS)
        return;
    g_autoptr(GByteArray) packed = g_byte_array_new();
    session_pack(session, packed);
    pack_entry(cache->next, session->id, &stamp, packed->data, packed->len);
    cache->puts++;
}

/* Nothing is lost where this fails. */
static void leave(const RecordCache *cache)
{
    bool has_changed = cache->puts > 0 || cache->hits != g_hash_table_size(cache->entries);
    if (has_changed)
        file_write_atomic(cache->path, (const char *)cache->next->data, cache->next->len, 0600, FILE_WRITE_FAST, NULL);
}

void record_cache_close(RecordCache *cache)
{
    leave(cache);
    g_hash_table_unref(cache->entries);
    g_byte_array_unref(cache->next);
    g_free(cache->content);
    g_free(cache->layout);
    g_free(cache->path);
    g_free(cache);
}
