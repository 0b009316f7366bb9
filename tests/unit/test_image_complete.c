/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Images that are cut somewhere, as downloads that broke off, made with the real qemu-img; and images that are whole
 * however they were made. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "run.h"
#include "temp.h"
#include "vm/image.h"
#include "vm/image_complete.h"

#define MIB (1024 * 1024)
#define CONTENT_MIB 5

typedef struct {
    char *folder, *content; /* a raw image that is full, and no multiple of any cluster */
} Fixture;

static char *place(const Fixture *f, const char *name)
{
    return g_build_filename(f->folder, name, NULL);
}

static void set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree guint32 *bytes = g_new(guint32, CONTENT_MIB * MIB / 4 + 128);
    for (size_t i = 0; i < CONTENT_MIB * MIB / 4 + 128; i++)
        bytes[i] = g_random_int() | 1;
    f->folder = temp_folder();
    f->content = place(f, "content");
    g_assert_true(g_file_set_contents(f->content, (char *)bytes, CONTENT_MIB * MIB + 512, NULL));
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_free(f->content);
    temp_folder_remove(f->folder);
}

static bool inspect(const Fixture *f, const char *name, GError **error)
{
    g_auto(ImageInfo) info = {0};
    g_autofree char *path = place(f, name);
    return image_inspect(path, f->folder, &info, error);
}

static void assert_whole(const Fixture *f, const char *name)
{
    g_autoptr(GError) error = NULL;
    inspect(f, name, &error);
    g_assert_no_error(error);
}

static void assert_cut(const Fixture *f, const char *name)
{
    GError *error = NULL;
    g_assert_false(inspect(f, name, &error));
    g_assert_nonnull(strstr(error->message, "incomplete"));
    assert_error(error, error->code, "Download or copy it again.");
}

static gint64 size_of(const char *path)
{
    struct stat st = {0};
    g_assert_cmpint(stat(path, &st), ==, 0);
    return st.st_size;
}

static void convert(const Fixture *f, const char *format, const char *options, const char *target)
{
    const char *plain[] = {"qemu-img", "convert", "-f", "raw", "-O", format, f->content, target, NULL};
    const char *with[] = {"qemu-img", "convert", "-f", "raw", "-O", format, "-o", options, f->content, target, NULL};
    run(*options ? with : plain);
}

/* --- formats --- */

/* Where each is cut: in its tables, in its data, and a bit before its end. */
static void test_formats(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const kinds[][2] = {{"qcow2", ""},
                                           {"qcow2", "compat=0.10"},
                                           {"qcow2", "cluster_size=4k"},
                                           {"qcow2", "cluster_size=2M"},
                                           {"qcow2", "refcount_bits=1"},
                                           {"qcow2", "refcount_bits=64,extended_l2=on"},
                                           {"vdi", ""},
                                           {"vdi", "static=on"},
                                           {"vmdk", ""},
                                           {"vmdk", "subformat=streamOptimized"},
                                           {"vpc", ""},
                                           {"vhdx", ""},
                                           {"vhdx", "subformat=fixed"},
                                           {"qed", ""}};
    g_autofree char *path = place(f, "image");
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_test_message("%s %s", kinds[i][0], kinds[i][1]);
        convert(f, kinds[i][0], kinds[i][1], path);
        gint64 size = size_of(path);
        bool has_large_clusters = strstr(kinds[i][1], "2M") || g_str_equal(kinds[i][0], "vhdx");
        const gint64 cuts[] = {size - (has_large_clusters ? 3 : 1) * MIB, size / 2, 100000};
        assert_whole(f, "image");
        for (size_t j = 0; j < G_N_ELEMENTS(cuts); j++) {
            g_assert_cmpint(truncate(path, cuts[j]), ==, 0);
            assert_cut(f, "image");
        }
        g_assert_cmpint(unlink(path), ==, 0);
    }
}

static void test_compressed(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *path = place(f, "image");
    const char *argv[] = {"qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", f->content, path, NULL};
    run(argv);
    assert_whole(f, "image");
    g_assert_cmpint(truncate(path, size_of(path) - MIB), ==, 0);
    assert_cut(f, "image");
}

/* An image that is large and empty has nothing but its beginning. */
static void test_empty(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const formats[] = {"qcow2", "vdi", "vmdk", "vpc", "vhdx", "qed"};
    g_autofree char *path = place(f, "image");
    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
        const char *argv[] = {"qemu-img", "create", "-q", "-f", formats[i], path, "900G", NULL};
        run(argv);
        assert_whole(f, "image");
    }
}

/* --- a crash --- */

static void write_at(const char *path, off_t offset, const char *bytes, size_t length)
{
    autofd int fd = open(path, O_WRONLY | O_CLOEXEC);
    g_assert_cmpint(pwrite(fd, bytes, length, offset), ==, (ssize_t)length);
}

/* What was counted and never written is missed by nobody. */
static void test_leak(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *path = place(f, "image");
    convert(f, "qcow2", "", path);
    gint64 next = (size_of(path) + 65535) / 65536;
    write_at(path, 2 * 65536 + 2 * (next + 5), "\0\1", 2); /* refcounts are in the third cluster, each has 16 bits */
    assert_whole(f, "image");
}

/* --- references --- */

static void test_base(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *base = place(f, "base"), *image = place(f, "image");
    convert(f, "qcow2", "", base);
    g_assert_true(image_create_overlay(base, "qcow2", image, NULL));
    assert_whole(f, "image");
    g_assert_cmpint(truncate(base, MIB), ==, 0);
    assert_cut(f, "image");
}

static void test_extents(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const kinds[][2] = {{"subformat=monolithicFlat", "image-flat.vmdk"},
                                           {"subformat=twoGbMaxExtentFlat", "image-f001.vmdk"},
                                           {"subformat=twoGbMaxExtentSparse", "image-s001.vmdk"}};
    g_autofree char *path = place(f, "image.vmdk");
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *extent = place(f, kinds[i][1]);
        convert(f, "vmdk", kinds[i][0], path);
        assert_whole(f, "image.vmdk");
        g_assert_cmpint(truncate(extent, 2 * MIB), ==, 0);
        assert_cut(f, "image.vmdk");
    }
}

/* --- ISO 9660 --- */

/* A descriptor of a volume of `sectors`, in a file of `file_sectors`. */
static void make_iso(const Fixture *f, guint32 sectors, gint64 file_sectors)
{
    g_autofree char *path = place(f, "image.iso");
    char descriptor[2048] = "\1CD001\1";
    for (int i = 0; i < 4; i++)
        descriptor[80 + i] = (char)(sectors >> 8 * i);
    descriptor[129] = 8; /* sectors of 2048 bytes */
    g_assert_true(g_file_set_contents(path, "", 0, NULL));
    write_at(path, 16 * 2048, descriptor, sizeof descriptor);
    g_assert_cmpint(truncate(path, file_sectors * 2048), ==, 0);
}

static void test_iso(Fixture *f, gconstpointer unused)
{
    (void)unused;
    make_iso(f, 1000, 1000);
    assert_whole(f, "image.iso");
    make_iso(f, 1000, 2000);
    assert_whole(f, "image.iso");
    make_iso(f, 1000, 998); /* as some programs read discs */
    assert_whole(f, "image.iso");
    make_iso(f, 1000, 500);
    assert_cut(f, "image.iso");
    make_iso(f, 0, 20);
    assert_whole(f, "image.iso");
}

/* Headers that nobody has made so are for qemu-img to refuse; looking at them costs nothing. */
static void test_nonsense(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const formats[] = {"qcow2", "vdi", "vmdk"};
    g_autofree char *path = place(f, "image");
    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
        g_autofree char *header = NULL;
        convert(f, formats[i], "", path);
        g_assert_true(g_file_get_contents(path, &header, NULL, NULL));
        for (off_t at = 4; at < 400; at += 4) {
            write_at(path, at, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
            image_check_complete(path, formats[i], NULL);
            write_at(path, 0, header, 512);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(Fixture *, gconstpointer);
    } tests[] = {
        {"/image-complete/formats", test_formats}, {"/image-complete/compressed", test_compressed},
        {"/image-complete/empty", test_empty},     {"/image-complete/leak", test_leak},
        {"/image-complete/base", test_base},       {"/image-complete/extents", test_extents},
        {"/image-complete/iso", test_iso},         {"/image-complete/nonsense", test_nonsense},
    };
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].name, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
