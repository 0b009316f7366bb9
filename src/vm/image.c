/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/process.h"
#include "base/text.h"
#include "vm/image_complete.h"
#include "vm/image_version.h"

#define QEMU_IMG_DEADLINE_MS 50000 /* a busy host is no fault; web servers wait for an answer for a minute */
#define CHAIN_MAX_IMAGES 16

/* ISO 9660 (ECMA-119, 8.1): the first volume descriptor stands in sector 16, its identifier after one byte. */
#define ISO_IDENTIFIER_OFFSET (16 * 2048 + 1)
#define ISO_IDENTIFIER "CD001"

static const char *const accepted_formats[] = {"qcow2", "raw", "vdi", "vmdk", "vpc", "vhdx", "qed", NULL};

void image_info_clear(ImageInfo *info)
{
    g_clear_pointer(&info->format, g_free);
    g_clear_pointer(&info->version, g_free);
    g_clear_pointer(&info->files, g_strfreev);
    g_clear_pointer(&info->reference, g_free);
}

bool image_has_iso_identifier(const char *path)
{
    char found[sizeof ISO_IDENTIFIER - 1];
    autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && pread(fd, found, sizeof found, ISO_IDENTIFIER_OFFSET) == (ssize_t)sizeof found &&
           memcmp(found, ISO_IDENTIFIER, sizeof found) == 0;
}

/* QEMU looks at the size of VHD and VHDX files when it opens them. */
static void explain_unreadable(const char *path, const ProcessResult *result, GError **error)
{
    if (result->errors && strstr(result->errors, "truncated")) {
        g_clear_error(error);
        image_refuse_incomplete(path, error);
    } else if (result->errors && access(path, R_OK) == 0) {
        g_prefix_error(error, N_("The image %s is incomplete or broken. Download or copy it again. "), path);
    }
}

/* What `qemu-img info` says of one file; the files it refers to are not opened. A pipe would be waited for. */
static json_t *ask_qemu_img(const char *path, GError **error)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        qwd_error_fail(error, QWD_ERROR_DENIED, "%s is not a regular file, so it is no image.", path);
        return NULL;
    }
    g_autofree char *file = g_strconcat("file:", path, NULL);
    const char *argv[] = {"qemu-img", "info", "--force-share", "--output=json", file, NULL};
    g_auto(ProcessResult) result = {0};
    if (!process_run_checked(argv, QEMU_IMG_DEADLINE_MS, &result, error)) {
        explain_unreadable(path, &result, error);
        return NULL;
    }
    return json_object_parse(result.output, strlen(result.output), error);
}

/* The folder itself is inside as well. */
static bool is_inside(const char *path, const char *folder)
{
    char *real_path = realpath(path, NULL), *real_folder = realpath(folder, NULL);
    size_t length = real_folder ? strlen(real_folder) : 0;
    bool inside = real_path && real_folder && strncmp(real_path, real_folder, length) == 0 &&
                  (real_path[length] == '/' || !real_path[length] || g_str_equal(real_folder, "/"));
    free(real_path);
    free(real_folder);
    return inside;
}

static bool refuse_reference(const char *path, const char *reference, GError **error)
{
    return qwd_error_fail(
        error, QWD_ERROR_DENIED,
        "The image %s refers to another file (%s) that is not in the machines' folder, so it is not started.", path,
        reference);
}

/* Told only of what would be in the folder. */
static bool refuse_absent(const char *path, const char *file, GError **error)
{
    return qwd_error_fail(error, QWD_ERROR_NOT_FOUND,
                          "The image %s needs the file %s, which is not there. Put that file there, too.", path, file);
}

static bool is_missing_inside(const char *file, const char *folder)
{
    struct stat st;
    g_autofree char *parent = g_path_get_dirname(file);
    return lstat(file, &st) < 0 && errno == ENOENT && is_inside(parent, folder);
}

/* A reference is a plain path here. What QEMU takes for another block driver (nbd:, json:, https:) has a colon before
 * the first slash. */
static char *reference_path(const char *path, const char *reference, const char *folder, GError **error)
{
    g_autofree char *parent = g_path_get_dirname(path);
    g_autofree char *full = g_canonicalize_filename(reference, parent);
    bool plain = reference[strcspn(reference, ":/")] != ':';
    if (plain && is_inside(full, folder))
        return g_steal_pointer(&full);
    if (plain && is_missing_inside(full, folder))
        refuse_absent(path, full, error);
    else
        refuse_reference(path, reference, error);
    return NULL;
}

/* A part in another file, which goes to `files`. */
static bool check_part(const char *path, const char *reference, const char *folder, GPtrArray *files, GError **error)
{
    char *full = reference_path(path, reference, folder, error);
    if (full)
        g_ptr_array_add(files, full);
    return full != NULL;
}

/* An extent that is FLAT is nothing but content. */
static bool check_extent(const char *path, const json_t *extent, const char *folder, GPtrArray *files, GError **error)
{
    if (!check_part(path, json_get_text(extent, "filename", ""), folder, files, error))
        return false;
    const char *file = files->pdata[files->len - 1];
    if (g_str_equal(json_get_text(extent, "format", ""), "FLAT"))
        return image_check_size(file, json_get_integer(extent, "virtual-size", 0), error);
    return image_check_complete(file, "vmdk", error);
}

/* Files that hold parts of an image: qcow2's external data file, VMDK's extents. */
static bool check_parts(const char *path, const json_t *info, const char *folder, GPtrArray *files, GError **error)
{
    const json_t *data = json_object_get(json_object_get(info, "format-specific"), "data");
    const char *data_file = json_get_text(data, "data-file", NULL);
    if (data_file && !check_part(path, data_file, folder, files, error))
        return false;
    size_t i;
    json_t *extent;
    json_array_foreach(json_object_get(data, "extents"), i, extent)
    {
        if (!check_extent(path, extent, folder, files, error))
            return false;
    }
    return true;
}

static bool check_format(const char *path, const char *format, GError **error)
{
    return g_strv_contains(accepted_formats, format) ||
           qwd_error_fail(error, QWD_ERROR_DENIED, "The image %s has the format %s, which is not accepted here.", path,
                          format);
}

/* Checks the images that `path` is based on; each is looked at only after its place has been checked. All go to
 * `files`. */
static bool check_chain(const char *path, const json_t *info, const char *folder, GPtrArray *files, GError **error)
{
    g_autofree char *current = g_strdup(path);
    g_autoptr(JsonValue) described = json_deep_copy(info);
    for (int i = 0; i < CHAIN_MAX_IMAGES; i++) {
        const char *format = json_get_text(described, "format", "unknown");
        g_ptr_array_add(files, g_strdup(current));
        if (!check_format(current, format, error) || !check_parts(current, described, folder, files, error) ||
            !image_check_complete(current, format, error))
            return false;
        const char *backing = json_get_text(described, "backing-filename", NULL);
        if (!backing)
            return true;
        g_autofree char *next = reference_path(current, backing, folder, error);
        json_t *next_described = next ? ask_qemu_img(next, error) : NULL;
        if (!next_described)
            return false;
        json_decref(described);
        described = next_described;
        g_free(current);
        current = g_steal_pointer(&next);
    }
    return qwd_error_fail(error, QWD_ERROR_DENIED, "The image %s is based on more than %d others.", path,
                          CHAIN_MAX_IMAGES);
}

static void add_reference(GPtrArray *files, const char *path, const char *reference)
{
    g_autofree char *parent = g_path_get_dirname(path);
    if (reference)
        g_ptr_array_add(files, g_canonicalize_filename(reference, parent));
}

static void add_references_of(GPtrArray *files, const char *path, const json_t *info)
{
    size_t i;
    json_t *extent;
    const json_t *data = json_object_get(json_object_get(info, "format-specific"), "data");
    add_reference(files, path, json_get_text(data, "data-file", NULL));
    json_array_foreach(json_object_get(data, "extents"), i, extent)
        add_reference(files, path, json_get_text(extent, "filename", NULL));
    add_reference(files, path, json_get_text(info, "backing-filename", NULL));
}

/* A file that an image needs besides itself; NULL: none. Free with g_free. */
static char *first_reference(const char *path, const json_t *info)
{
    g_autofree char *own = g_canonicalize_filename(path, NULL);
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(g_free);
    add_references_of(files, own, info);
    for (guint i = 0; i < files->len; i++) {
        if (!g_str_equal(files->pdata[i], own))
            return g_strdup(files->pdata[i]);
    }
    return NULL;
}

bool image_inspect(const char *path, const char *allowed_folder, ImageInfo *info, GError **error)
{
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return qwd_error_fail(error, QWD_ERROR_NOT_FOUND,
                              "The image %s is not there. Its administrator can put it there.", path);
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(JsonValue) described = ask_qemu_img(path, error);
    if (!described || !check_chain(path, described, allowed_folder, files, error))
        return false;
    g_ptr_array_add(files, NULL);
    info->files = (char **)g_ptr_array_steal(files, NULL);
    info->format = g_strdup(json_get_text(described, "format", ""));
    if (!image_check_bases(info->files, error))
        return false;
    info->version = image_version_of(info->files);
    info->reference = first_reference(path, described);
    info->size_bytes = json_get_integer(described, "virtual-size", 0);
    info->is_iso = g_str_equal(info->format, "raw") && image_has_iso_identifier(path);
    return true;
}

bool image_check_master(const char *path, const ImageInfo *info, GError **error)
{
    g_autofree char *suffix = g_strconcat(".", info->format, NULL);
    return !info->reference || g_str_has_suffix(path, suffix) ||
           qwd_error_fail(error, QWD_ERROR_DENIED,
                          "The image %s refers to another file (%s), and its sessions may have written that into it, "
                          "so it is not started. If its administrator has made it so, its name has to end in %s.",
                          path, info->reference, suffix);
}

static void add_references(GPtrArray *files, const char *path)
{
    g_autoptr(JsonValue) info = ask_qemu_img(path, NULL);
    add_references_of(files, path, info);
}

GPtrArray *image_references(const char *path)
{
    GPtrArray *files = g_ptr_array_new_with_free_func(g_free);
    add_references(files, path);
    for (guint i = 0; i < files->len && i < CHAIN_MAX_IMAGES; i++)
        add_references(files, files->pdata[i]);
    return files;
}

static bool run_qemu_img(const char *const *argv, GError **error)
{
    g_auto(ProcessResult) result = {0};
    return process_run_checked(argv, QEMU_IMG_DEADLINE_MS, &result, error);
}

bool image_create_overlay(const char *master, const char *format, const char *overlay, GError **error)
{
    if (g_file_test(overlay, G_FILE_TEST_EXISTS))
        return qwd_error_fail(error, QWD_ERROR_CONFLICT, "%s exists already.", overlay);
    const char *argv[] = {"qemu-img", "create", "-q", "-f", "qcow2", "-b", master, "-F", format, overlay, NULL};
    return run_qemu_img(argv, error);
}

bool image_check_overlay(const char *overlay, const char *master, GError **error)
{
    g_autoptr(JsonValue) described = ask_qemu_img(overlay, error);
    if (!described)
        return false;
    const json_t *data = json_object_get(json_object_get(described, "format-specific"), "data");
    bool plain = g_str_equal(json_get_text(described, "format", ""), "qcow2") && !json_object_get(data, "data-file");
    const char *backing = json_get_text(described, "backing-filename", NULL);
    return (plain && g_strcmp0(backing, master) == 0) ||
           qwd_error_fail(error, QWD_ERROR_DENIED, "The disk %s is not what this service has made, so it is not used.",
                          overlay);
}

bool image_commit(const char *overlay, GError **error)
{
    const char *argv[] = {"qemu-img", "commit", "-q", "-f", "qcow2", overlay, NULL};
    return run_qemu_img(argv, error);
}

bool image_create_empty(const char *path, gint64 size_mib, GError **error)
{
    g_autofree char *size = g_strdup_printf("%" G_GINT64_FORMAT "M", size_mib);
    const char *argv[] = {"qemu-img", "create", "-q", "-f", "qcow2", path, size, NULL};
    return run_qemu_img(argv, error);
}
