/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What the formats promise, from few reads, since each start of a session looks. The layouts: QEMU docs/interop/qcow2,
 * "VMware Virtual Disk Format 1.1", VirtualBox VDICore.h, ECMA-119. VHD and VHDX: QEMU looks when it opens them. */
#include "vm/image_complete.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/process.h"

#define CHECK_DEADLINE_MS 50000
#define TABLE_MAX_BYTES (64 * 1024 * 1024) /* larger ones are in no image that QEMU opens */
#define SECTOR_BYTES 512

typedef struct {
    const char *path, *format;
    int fd;
    gint64 size;
    bool is_doubtful; /* what is missing may be what nothing refers to */
} Image;

/* --- reading --- */

static uint64_t get_be(const guchar *at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

static uint64_t get_le(const guchar *at, int bytes)
{
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | at[i];
    return value;
}

/* Zeros stand for what the file has not, as QEMU reads it. NULL for what is too large. Free with g_free. */
static guchar *read_table(const Image *image, uint64_t offset, uint64_t length)
{
    if (length > TABLE_MAX_BYTES || offset > G_MAXINT64 / 2)
        return NULL;
    guchar *table = g_malloc0(length + 1);
    for (size_t done = 0; done < length;) {
        ssize_t n = pread(image->fd, table + done, length - done, (off_t)(offset + done));
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return table;
}

/* --- qcow2 --- */

enum { QCOW2_HEADER_BYTES = 104, QCOW2_DIRTY = 1, QCOW2_OFFSET_MASK = 0x1ff };

typedef struct {
    uint64_t cluster_bytes;
    uint64_t l1_offset, l1_entries;
    uint64_t refcounts_offset, refcounts_bytes;
    unsigned refcount_bits;
    bool is_dirty; /* its refcounts are not up to date */
} Qcow2;

static bool parse_qcow2(const Image *image, Qcow2 *qcow2)
{
    g_autofree guchar *header = read_table(image, 0, QCOW2_HEADER_BYTES);
    uint64_t version = get_be(header + 4, 4), cluster_bits = get_be(header + 20, 4), order = get_be(header + 96, 4);
    if (cluster_bits < 9 || cluster_bits > 21 || (version >= 3 && order > 6))
        return false;
    *qcow2 = (Qcow2){.cluster_bytes = (uint64_t)1 << cluster_bits,
                     .l1_entries = get_be(header + 36, 4),
                     .l1_offset = get_be(header + 40, 8),
                     .refcounts_offset = get_be(header + 48, 8),
                     .refcounts_bytes = get_be(header + 56, 4) << cluster_bits,
                     .refcount_bits = version >= 3 ? 1U << order : 16,
                     .is_dirty = version >= 3 && (get_be(header + 72, 8) & QCOW2_DIRTY)};
    return qcow2->l1_offset < G_MAXINT64 / 2 && qcow2->refcounts_offset < G_MAXINT64 / 2;
}

/* The last byte of a table that is not zero; -1: all are. */
static gint64 last_used(const guchar *table, uint64_t length)
{
    gint64 i = (gint64)length - 1;
    while (i >= 0 && !table[i])
        i--;
    return i;
}

/* The refcounts end with those of the last cluster that is in use. It may be shorter than others. */
static uint64_t qcow2_last_cluster(const Image *image, const Qcow2 *qcow2)
{
    g_autofree guchar *blocks = read_table(image, qcow2->refcounts_offset, qcow2->refcounts_bytes);
    gint64 last = blocks ? last_used(blocks, qcow2->refcounts_bytes) : -1;
    if (last < 0)
        return 0;
    uint64_t index = (uint64_t)last / 8;
    uint64_t offset = get_be(blocks + 8 * index, 8) & ~(uint64_t)QCOW2_OFFSET_MASK;
    if (offset >= (uint64_t)image->size)
        return offset;
    g_autofree guchar *block = read_table(image, offset, qcow2->cluster_bytes);
    gint64 last_count = last_used(block, qcow2->cluster_bytes);
    uint64_t counts = qcow2->cluster_bytes * 8 / qcow2->refcount_bits;
    uint64_t in_block = last_count < 0 ? 0 : (uint64_t)last_count * 8 / qcow2->refcount_bits;
    return last_count < 0 ? offset : (index * counts + in_block) * qcow2->cluster_bytes;
}

/* Clusters that nothing refers to may be counted without ever having been written, after a crash. */
static uint64_t promised_by_qcow2(Image *image)
{
    Qcow2 qcow2;
    if (!parse_qcow2(image, &qcow2))
        return 0;
    uint64_t tables = MAX(qcow2.l1_offset + 8 * qcow2.l1_entries, qcow2.refcounts_offset + 8);
    if (tables > (uint64_t)image->size || qcow2.is_dirty)
        return tables;
    image->is_doubtful = true;
    return qcow2_last_cluster(image, &qcow2) + 1;
}

/* --- QED, which is rare: its tables are for qemu-img to read --- */

static uint64_t promised_by_qed(Image *image)
{
    image->is_doubtful = true;
    return G_MAXINT64;
}

/* --- VMDK: a file that is not "sparse" has no header, and the description has its size --- */

enum { VMDK_HEADER_BYTES = 512, VMDK_FOOTER_BYTES = 1024, VMDK_TABLES_MAX = 1 << 18 /* usually 8 TiB */ };
static const uint64_t directory_at_end = UINT64_MAX;

/* The directory and the tables of grains have numbers of sectors. The end of the highest grain, or table. */
static uint64_t vmdk_end(const Image *image, const guchar *header)
{
    uint64_t capacity = get_le(header + 12, 8), grain = get_le(header + 20, 8), entries = get_le(header + 44, 4);
    uint64_t directory_offset = get_le(header + 56, 8) * SECTOR_BYTES, highest = 0;
    if (!grain || !entries || entries > 4096 || grain > G_MAXUINT32 || capacity > (uint64_t)1 << 50)
        return 0;
    uint64_t tables = (capacity + grain * entries - 1) / (grain * entries);
    if (tables > VMDK_TABLES_MAX)
        return 0;
    g_autofree guchar *directory = read_table(image, directory_offset, 4 * tables);
    for (uint64_t i = 0; directory && i < tables; i++) {
        uint64_t table_offset = get_le(directory + 4 * i, 4) * SECTOR_BYTES;
        g_autofree guchar *table = table_offset ? read_table(image, table_offset, 4 * entries) : NULL;
        for (uint64_t j = 0; table && j < entries; j++)
            highest = MAX(highest, get_le(table + 4 * j, 4) * SECTOR_BYTES + 1);
        highest = MAX(highest, table_offset ? table_offset + 4 * entries : 0);
    }
    return MAX(highest, directory_offset + 4 * tables);
}

/* What is written from the beginning to the end ("stream-optimized") has its last header there. */
static uint64_t promised_by_vmdk(Image *image)
{
    g_autofree guchar *header = read_table(image, 0, VMDK_HEADER_BYTES);
    if (memcmp(header, "KDMV", 4) != 0)
        return 0;
    if (get_le(header + 56, 8) != directory_at_end)
        return vmdk_end(image, header);
    gint64 footer_offset = image->size - VMDK_FOOTER_BYTES;
    g_autofree guchar *footer =
        footer_offset > 0 ? read_table(image, (uint64_t)footer_offset, VMDK_HEADER_BYTES) : NULL;
    bool has_footer = footer && memcmp(footer, "KDMV", 4) == 0;
    return has_footer ? vmdk_end(image, footer) : G_MAXINT64;
}

/* --- VDI: blocks are put one behind the other --- */

enum { VDI_HEADER_BYTES = 512 };

static uint64_t promised_by_vdi(Image *image)
{
    g_autofree guchar *header = read_table(image, 0, VDI_HEADER_BYTES);
    return get_le(header + 344, 4) + get_le(header + 388, 4) * get_le(header + 376, 4);
}

/* --- ISO 9660: the volume's size. Padding at its end (mkisofs has 150 sectors) may be cut. --- */

enum { ISO_DESCRIPTOR = 16 * 2048, ISO_DESCRIPTOR_BYTES = 2048, ISO_PADDING_SECTORS = 150, ISO_PRIMARY = 1 };

static uint64_t promised_by_iso(Image *image)
{
    g_autofree guchar *descriptor = read_table(image, ISO_DESCRIPTOR, ISO_DESCRIPTOR_BYTES);
    uint64_t sectors = get_le(descriptor + 80, 4), sector_bytes = get_le(descriptor + 128, 2);
    bool is_primary = descriptor[0] == ISO_PRIMARY && memcmp(descriptor + 1, "CD001", 5) == 0;
    return is_primary && sectors > ISO_PADDING_SECTORS ? (sectors - ISO_PADDING_SECTORS) * sector_bytes : 0;
}

/* --- all of them --- */

static const struct {
    const char *format;
    uint64_t (*promised)(Image *image); /* bytes that the file has to have */
} formats[] = {{"qcow2", promised_by_qcow2},
               {"qed", promised_by_qed},
               {"vmdk", promised_by_vmdk},
               {"vdi", promised_by_vdi},
               {"raw", promised_by_iso}};

bool image_refuse_incomplete(const char *path, GError **error)
{
    return qwd_error_fail(error, QWD_ERROR_CONFLICT,
                          "The image %s is incomplete: its header promises more than the file has. Download or copy it "
                          "again.",
                          path);
}

/* What qemu-img says of all tables: whether something that is used is missing. What it cannot tell is no reason to
 * refuse. The image below is not opened. */
static bool is_corrupt(const Image *image)
{
    g_autoptr(JsonValue) node = json_pack("{s:s, s:{s:s, s:s}, s:n}", "driver", image->format, "file", "driver", "file",
                                          "filename", image->path, "backing");
    char *text = json_dumps(node, JSON_COMPACT);
    g_autofree char *name = g_strconcat("json:", text, NULL);
    free(text);
    const char *argv[] = {"qemu-img", "check", "--force-share", "--output=json", name, NULL};
    g_auto(ProcessResult) result = {0};
    if (!process_run(argv, CHECK_DEADLINE_MS, &result, NULL))
        return false;
    g_autoptr(JsonValue) found = json_object_parse(result.output, strlen(result.output), NULL);
    return json_get_integer(found, "corruptions", 0) > 0;
}

static bool is_complete(Image *image)
{
    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
        if (g_str_equal(formats[i].format, image->format))
            return formats[i].promised(image) <= (uint64_t)image->size || (image->is_doubtful && !is_corrupt(image));
    }
    return true;
}

bool image_check_complete(const char *path, const char *format, GError **error)
{
    struct stat st;
    autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return true; /* whoever reads it says what is wrong */
    Image image = {.path = path, .format = format, .fd = fd, .size = st.st_size};
    return is_complete(&image) || image_refuse_incomplete(path, error);
}

bool image_check_size(const char *path, gint64 bytes, GError **error)
{
    struct stat st;
    return stat(path, &st) < 0 || st.st_size >= bytes || image_refuse_incomplete(path, error);
}
