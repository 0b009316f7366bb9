/* SPDX-License-Identifier: AGPL-3.0-or-later
 * With the real qemu-img: what it makes, what it says, and what is refused whatever it says. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdarg.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/process.h"
#include "temp.h"
#include "vm/image.h"

#define DEADLINE_MS 60000
#define TEN_MIB (10 * 1024 * 1024)

typedef struct {
    char *top;     /* holds the machines' folder, and what lies outside */
    char *folder;  /* of the machines */
    char *outside; /* a file beside it */
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->top = temp_folder();
    f->folder = g_build_filename(f->top, "machines", NULL);
    f->outside = temp_file(f->top, "secret", "secret\n");
    g_assert_cmpint(g_mkdir(f->folder, 0755), ==, 0);
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_free(f->outside);
    g_free(f->folder);
    temp_folder_remove(f->top);
}

/* qemu-img with these arguments, in the machines' folder. */
static void qemu_img(const Fixture *f, const char *first, ...) G_GNUC_NULL_TERMINATED;
static void qemu_img(const Fixture *f, const char *first, ...)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_ptr_array_add(argv, (char *)"qemu-img");
    va_list more;
    va_start(more, first);
    for (const char *word = first; word; word = va_arg(more, const char *))
        g_ptr_array_add(argv, (char *)word);
    va_end(more);
    g_ptr_array_add(argv, NULL);
    SpawnOptions options = {.argv = (const char *const *)argv->pdata, SPAWN_OPTIONS_INIT, .folder = f->folder};
    g_auto(ProcessResult) result = {0};
    g_assert_true(process_run_options(options, DEADLINE_MS, &result, &error));
    g_assert_cmpstr(result.errors, ==, "");
}

static bool inspect(const Fixture *f, const char *name, ImageInfo *info, GError **error)
{
    g_autofree char *path = g_build_filename(f->folder, name, NULL);
    image_info_clear(info);
    return image_inspect(path, f->folder, info, error);
}

static void assert_refused(const Fixture *f, const char *name, QwdErrorKind kind, const char *message)
{
    g_autoptr(GError) error = NULL;
    g_auto(ImageInfo) info = {0};
    g_assert_false(inspect(f, name, &info, &error));
    assert_error(error, (int)kind, message);
}

/* --- formats --- */

/* Named misleadingly on purpose: what counts is what it is. */
static void test_formats(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const formats[] = {"qcow2", "vdi", "vmdk", "vpc", "vhdx", "qed", "raw"};
    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
        g_autoptr(GError) error = NULL;
        g_auto(ImageInfo) info = {0};
        qemu_img(f, "create", "-q", "-f", formats[i], "image.iso", "10M", NULL);
        g_assert_true(inspect(f, "image.iso", &info, &error));
        g_assert_cmpstr(info.format, ==, formats[i]);
        g_assert_cmpint(info.size_bytes, >=, TEN_MIB); /* VHD rounds up */
        g_assert_cmpint(info.size_bytes, <, TEN_MIB + 100000);
        g_assert_false(info.is_iso);
    }
}

static void write_at(const char *path, off_t offset, const char *text)
{
    autofd int fd = open(path, O_WRONLY | O_CLOEXEC);
    g_assert_cmpint(pwrite(fd, text, strlen(text), offset), ==, (ssize_t)strlen(text));
}

static void test_iso(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_auto(ImageInfo) info = {0};
    g_autofree char *path = g_build_filename(f->folder, "disk.raw", NULL);
    qemu_img(f, "create", "-q", "-f", "raw", "disk.raw", "1M", NULL);
    write_at(path, 32769, "CD00x");
    g_assert_true(inspect(f, "disk.raw", &info, &error));
    g_assert_false(info.is_iso);
    write_at(path, 32769, "CD001");
    g_assert_true(inspect(f, "disk.raw", &info, &error));
    g_assert_true(info.is_iso);
    g_assert_cmpint(truncate(path, 1000), ==, 0);
    g_assert_true(inspect(f, "disk.raw", &info, &error));
    g_assert_false(info.is_iso);
}

static void test_not_images(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *folder = g_build_filename(f->folder, "folder", NULL),
                    *fifo = g_build_filename(f->folder, "f", NULL);
    g_assert_cmpint(g_mkdir(folder, 0755) + mkfifo(fifo, 0644), ==, 0);
    assert_refused(f, "absent", QWD_ERROR_NOT_FOUND, "is not there");
    assert_refused(f, "folder", QWD_ERROR_NOT_FOUND, "is not there");
    assert_refused(f, "f", QWD_ERROR_NOT_FOUND, "is not there");
    qemu_img(f, "create", "-q", "-f", "parallels", "p", "1M", NULL);
    assert_refused(f, "p", QWD_ERROR_DENIED, "has the format parallels, which is not accepted here");
}

/* A name that looks like an option, or like another block driver, is a file's name all the same. */
static void test_odd_names(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const names[] = {"-a", "nbd:localhost:1", "json:{}", "a,b=c", "a b", "%s%n"};
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(GError) error = NULL;
        g_auto(ImageInfo) info = {0};
        g_free(temp_file(f->folder, names[i], "0123456789"));
        g_assert_true(inspect(f, names[i], &info, &error));
        g_assert_cmpstr(info.format, ==, "raw");
    }
}

/* --- references --- */

/* An image that says it is based on `reference`, which qemu-img does not look at. */
static void make_based_on(const Fixture *f, const char *format, const char *reference)
{
    qemu_img(f, "create", "-q", "-u", "-f", format, "-F", "raw", "-b", reference, "image", "10M", NULL);
}

static void test_backing_outside(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *link = g_build_filename(f->folder, "link", NULL);
    g_assert_cmpint(symlink(f->outside, link), ==, 0);
    g_autofree char *inside = temp_file(f->folder, "inside", "x");
    g_autofree char *json = g_strdup_printf("json:{\"driver\":\"file\",\"filename\":\"%s\"}", inside);
    g_autofree char *file = g_strdup_printf("file:%s", inside);
    g_autofree char *neighbour = g_strdup_printf("%s-not/x", f->folder); /* shares its beginning with the folder */
    const char *references[] = {
        "/etc/shadow", f->outside,  "../secret",           "sub/../../secret",   "link",
        json,          file,        "nbd://localhost:1/x", "nbd:unix:/tmp/sock", "https://localhost/",
        neighbour,     "/dev/null", "/proc/self/environ"};
    for (size_t i = 0; i < G_N_ELEMENTS(references); i++) {
        make_based_on(f, "qcow2", references[i]);
        assert_refused(f, "image", QWD_ERROR_DENIED, "that is not in the machines' folder, so it is not started.");
        make_based_on(f, "qed", references[i]);
        assert_refused(f, "image", QWD_ERROR_DENIED, references[i]);
    }
}

/* What is outside is not told of, whether it is there or not. */
static void test_backing_absent(Fixture *f, gconstpointer unused)
{
    (void)unused;
    make_based_on(f, "qcow2", "absent");
    assert_refused(f, "image", QWD_ERROR_NOT_FOUND, "/absent, which is not there. Put that file there, too.");
    make_based_on(f, "qcow2", "sub/../absent");
    assert_refused(f, "image", QWD_ERROR_NOT_FOUND, "/absent, which is not there");
    make_based_on(f, "qcow2", "../absent");
    assert_refused(f, "image", QWD_ERROR_DENIED, "that is not in the machines' folder");
}

/* Whoever opened it would wait for its writer. */
static void test_backing_pipe(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *pipe = g_build_filename(f->folder, "pipe", NULL),
                    *image = g_build_filename(f->folder, "image", NULL);
    g_assert_cmpint(mkfifo(pipe, 0644), ==, 0);
    make_based_on(f, "qcow2", "pipe");
    assert_refused(f, "image", QWD_ERROR_DENIED, "/pipe is not a regular file");
    g_autoptr(GPtrArray) references = image_references(image);
    g_assert_cmpuint(references->len, ==, 1);
}

static void test_backing_inside(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_auto(ImageInfo) info = {0};
    g_autofree char *sub = g_build_filename(f->folder, "sub", NULL), *base = g_build_filename(sub, "base", NULL);
    g_assert_cmpint(g_mkdir(sub, 0755), ==, 0);
    g_assert_true(image_create_empty(base, 10, &error));
    const char *references[] = {"sub/base", "./sub/../sub/base", base};
    for (size_t i = 0; i < G_N_ELEMENTS(references); i++) {
        qemu_img(f, "create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", references[i], "image", "10M", NULL);
        g_assert_true(inspect(f, "image", &info, &error));
        g_assert_no_error(error);
    }
    g_autofree char *link = g_build_filename(f->top, "link", NULL); /* the administrator's own link to an image */
    g_autofree char *image = g_build_filename(f->folder, "sub", "base", NULL);
    g_assert_cmpint(symlink(image, link), ==, 0);
    image_info_clear(&info);
    g_assert_true(image_inspect(link, f->top, &info, &error));
}

/* What it is based on is looked at as well, as far down as it goes. */
static void test_backing_of_backing(Fixture *f, gconstpointer unused)
{
    (void)unused;
    qemu_img(f, "create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", f->outside, "middle", "10M", NULL);
    qemu_img(f, "create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", "middle", "image", "10M", NULL);
    assert_refused(f, "image", QWD_ERROR_DENIED, f->outside);
}

static void test_chain(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_auto(ImageInfo) info = {0};
    qemu_img(f, "create", "-q", "-f", "qcow2", "0", "10M", NULL);
    for (int i = 1; i < 20; i++) {
        g_autofree char *below = g_strdup_printf("%d", i - 1), *name = g_strdup_printf("%d", i);
        qemu_img(f, "create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", below, name, "10M", NULL);
    }
    g_assert_true(inspect(f, "15", &info, &error));
    g_assert_no_error(error);
    assert_refused(f, "16", QWD_ERROR_DENIED, "based on more than 16 others");
    assert_refused(f, "19", QWD_ERROR_DENIED, "based on more than 16 others");
    qemu_img(f, "create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", "./loop", "loop", "10M", NULL);
    assert_refused(f, "loop", QWD_ERROR_DENIED, "based on more than 16 others");
}

/* A raw image into which a guest has written the head of a qcow2 image that is based on a file of ours. */
static void test_planted_header(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *header = g_build_filename(f->folder, "image", NULL),
                    *raw = g_build_filename(f->folder, "raw", NULL);
    make_based_on(f, "qcow2", "/etc/shadow");
    qemu_img(f, "create", "-q", "-f", "raw", "raw", "10M", NULL);
    size_t length;
    g_autofree char *bytes = file_read(header, TEN_MIB, &length, NULL);
    autofd int fd = open(raw, O_WRONLY | O_CLOEXEC);
    g_assert_cmpint(pwrite(fd, bytes, length, 0), ==, (ssize_t)length);
    assert_refused(f, "raw", QWD_ERROR_DENIED, "/etc/shadow");
}

static bool may_be_written(const Fixture *f, const char *name, GError **error)
{
    g_auto(ImageInfo) info = {0};
    g_autofree char *path = g_build_filename(f->folder, name, NULL);
    g_assert_true(inspect(f, name, &info, NULL));
    return image_check_master(path, &info, error);
}

/* The same where the guest writes to the machine's image itself, and names another machine's. */
static void test_planted_for_master(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const good[] = {"raw.img", "plain", "based.qcow2", "whole.vmdk", "flat.vmdk"};
    static const char *const bad[] = {"based", "based.raw", "based.img", "data.raw", "extents.raw"};
    qemu_img(f, "create", "-q", "-f", "raw", "raw.img", "10M", NULL);
    qemu_img(f, "create", "-q", "-f", "qcow2", "plain", "10M", NULL);
    qemu_img(f, "create", "-q", "-f", "vmdk", "whole.vmdk", "10M", NULL);
    qemu_img(f, "create", "-q", "-f", "vmdk", "-o", "subformat=monolithicFlat", "flat.vmdk", "10M", NULL);
    for (const char *const *name = (const char *const[]){"based.qcow2", "based", "based.raw", "based.img", NULL}; *name;
         name++)
        qemu_img(f, "create", "-q", "-f", "qcow2", "-b", "raw.img", "-F", "raw", *name, NULL);
    qemu_img(f, "create", "-q", "-f", "qcow2", "-o", "data_file=data", "data.raw", "10M", NULL);
    g_free(temp_file(f->folder, "extents.raw",
                     "# Disk DescriptorFile\nversion=1\nCID=00000001\nparentCID=ffffffff\n"
                     "createType=\"monolithicFlat\"\n\nRW 20480 FLAT \"raw.img\" 0\n"));
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++)
        g_assert_true(may_be_written(f, good[i], NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        GError *error = NULL;
        g_assert_false(may_be_written(f, bad[i], &error));
        assert_error(error, QWD_ERROR_DENIED, "refers to another file");
    }
}

static void test_data_file(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_auto(ImageInfo) info = {0};
    g_autofree char *outside = g_build_filename(f->top, "data", NULL);
    g_autofree char *option = g_strdup_printf("data_file=%s,data_file_raw=on", outside);
    qemu_img(f, "create", "-q", "-f", "qcow2", "-o", option, "image", "10M", NULL);
    assert_refused(f, "image", QWD_ERROR_DENIED, outside);
    qemu_img(f, "create", "-q", "-f", "qcow2", "-o", "data_file=data", "good", "10M", NULL);
    g_assert_true(inspect(f, "good", &info, &error));
}

static void test_vmdk_extents(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_auto(ImageInfo) info = {0};
    qemu_img(f, "create", "-q", "-f", "vmdk", "-o", "subformat=monolithicFlat", "good.vmdk", "10M", NULL);
    g_assert_true(inspect(f, "good.vmdk", &info, &error));
    g_assert_cmpstr(info.format, ==, "vmdk");
    g_autofree char *absolute = g_strdup_printf("RW 1 FLAT \"%s\" 0\n", f->outside);
    const char *extents[] = {absolute, "RW 1 FLAT \"../secret\" 0\n"};
    for (size_t i = 0; i < G_N_ELEMENTS(extents); i++) {
        g_autofree char *text = g_strconcat("# Disk DescriptorFile\nversion=1\nCID=00000001\nparentCID=ffffffff\n"
                                            "createType=\"monolithicFlat\"\n\n# Extent description\n",
                                            extents[i], NULL);
        g_assert_true(g_file_set_contents(f->outside, "0123456789", -1, NULL) && truncate(f->outside, 512) == 0);
        g_free(temp_file(f->folder, "image", text));
        assert_refused(f, "image", QWD_ERROR_DENIED, "secret");
    }
}

/* --- making --- */

static void test_overlay(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const formats[] = {"qcow2", "vdi", "vmdk", "vpc", "vhdx", "qed", "raw"};
    g_autoptr(GError) error = NULL;
    g_auto(ImageInfo) info = {0};
    g_autofree char *master = g_build_filename(f->folder, "master, of \"x\"", NULL);
    g_autofree char *overlay = g_build_filename(f->top, "disk.qcow2", NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
        qemu_img(f, "create", "-q", "-f", formats[i], master, "10M", NULL);
        g_assert_true(image_create_overlay(master, formats[i], overlay, &error));
        g_assert_true(image_inspect(overlay, f->top, &info, &error));
        g_assert_cmpstr(info.format, ==, "qcow2");
        g_assert_cmpint(info.size_bytes, >=, TEN_MIB);
        image_info_clear(&info);
        g_assert_false(image_create_overlay(master, formats[i], overlay, &error));
        assert_error(error, QWD_ERROR_CONFLICT, "exists already");
        g_assert_cmpint(unlink(overlay), ==, 0);
    }
    g_assert_false(image_create_overlay(f->outside, "qcow2", overlay, &error)); /* which it is not */
    assert_error(error, QWD_ERROR_INTERNAL, "qemu-img failed");
}

/* What was kept is used again only when it is what this service has made over this very master. */
static void test_check_overlay(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_autofree char *master = g_build_filename(f->folder, "master.qcow2", NULL);
    g_autofree char *overlay = g_build_filename(f->top, "disk.qcow2", NULL);
    qemu_img(f, "create", "-q", "-f", "qcow2", master, "10M", NULL);
    g_assert_false(image_check_overlay(overlay, master, &error)); /* it is not there */
    g_clear_error(&error);
    g_assert_true(image_create_overlay(master, "qcow2", overlay, &error));
    g_assert_true(image_check_overlay(overlay, master, &error));
    g_assert_no_error(error);
    g_assert_false(image_check_overlay(overlay, f->outside, &error));
    assert_error(error, QWD_ERROR_DENIED, "not what this service has made");
    g_assert_false(image_check_overlay(overlay, NULL, &error));
    assert_error(error, QWD_ERROR_DENIED, "not what this service has made");
    g_assert_cmpint(unlink(overlay), ==, 0);
    g_assert_true(image_create_empty(overlay, 10, &error));
    g_assert_true(image_check_overlay(overlay, NULL, &error));
    g_assert_false(image_check_overlay(overlay, master, &error));
    assert_error(error, QWD_ERROR_DENIED, "not what this service has made");
    qemu_img(f, "create", "-q", "-f", "qcow2", "-o", "data_file=other.raw", overlay, "10M", NULL);
    g_assert_false(image_check_overlay(overlay, NULL, &error));
    assert_error(error, QWD_ERROR_DENIED, "not what this service has made");
    qemu_img(f, "create", "-q", "-f", "raw", overlay, "10M", NULL);
    g_assert_false(image_check_overlay(overlay, NULL, &error));
    assert_error(error, QWD_ERROR_DENIED, "not what this service has made");
}

/* Another text for another file, or another content; also of one far below. */
static void test_version(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_auto(ImageInfo) first = {0}, second = {0}, third = {0};
    g_autofree char *path = g_build_filename(f->folder, "disk.raw", NULL);
    qemu_img(f, "create", "-q", "-f", "raw", "disk.raw", "1M", NULL);
    g_assert_true(inspect(f, "disk.raw", &first, NULL) && inspect(f, "disk.raw", &second, NULL));
    g_assert_cmpstr(first.version, ==, second.version);
    g_assert_cmpint(utimes(path, (struct timeval[2]){{1, 0}, {1, 0}}), ==, 0);
    g_assert_true(inspect(f, "disk.raw", &third, NULL));
    g_assert_cmpstr(first.version, !=, third.version);
    g_auto(ImageInfo) before = {0}, after = {0};
    qemu_img(f, "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "disk.raw", "middle", NULL);
    qemu_img(f, "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "middle", "top", NULL);
    g_assert_true(inspect(f, "top", &before, NULL));
    g_assert_cmpint(utimes(path, (struct timeval[2]){{2, 0}, {2, 0}}), ==, 0);
    g_assert_true(inspect(f, "top", &after, NULL));
    g_assert_cmpstr(before.version, !=, after.version);
}

static void test_empty(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_auto(ImageInfo) info = {0};
    g_autofree char *path = g_build_filename(f->folder, "empty", NULL);
    struct stat st;
    g_assert_true(image_create_empty(path, 10240, &error));
    g_assert_true(inspect(f, "empty", &info, &error));
    g_assert_cmpint(info.size_bytes, ==, 10737418240);
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_size, <, 1024 * 1024);
    g_autofree char *nowhere = g_build_filename(f->folder, "no", "where", NULL);
    g_assert_false(image_create_empty(nowhere, 1, &error));
    assert_error(error, QWD_ERROR_INTERNAL, "No such file");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(Fixture *, gconstpointer);
    } tests[] = {
        {"/image/formats", test_formats},
        {"/image/iso", test_iso},
        {"/image/not-images", test_not_images},
        {"/image/odd-names", test_odd_names},
        {"/image/backing-outside", test_backing_outside},
        {"/image/backing-absent", test_backing_absent},
        {"/image/backing-pipe", test_backing_pipe},
        {"/image/backing-inside", test_backing_inside},
        {"/image/backing-of-backing", test_backing_of_backing},
        {"/image/chain", test_chain},
        {"/image/planted-header", test_planted_header},
        {"/image/planted-for-master", test_planted_for_master},
        {"/image/data-file", test_data_file},
        {"/image/vmdk-extents", test_vmdk_extents},
        {"/image/overlay", test_overlay},
        {"/image/check-overlay", test_check_overlay},
        {"/image/version", test_version},
        {"/image/empty", test_empty},
    };
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].name, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
