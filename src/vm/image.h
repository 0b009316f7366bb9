/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Disk images. What an image is, qemu-img says, never its name; and it may refer to no file outside its folder. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct {
    char *format;      /* QEMU block driver: "qcow2", "raw", "vdi", "vmdk", "vpc", "vhdx", "qed" */
    bool is_iso;       /* a raw image with an ISO 9660 file system: started from a CD drive */
    gint64 size_bytes; /* as the guest sees it */
    char *reference;   /* a file that it needs besides itself; NULL: none */
    char **files;      /* the paths of it and of all that it needs */
    char *version;     /* of these files (vm/image_version.h) */
} ImageInfo;

void image_info_clear(ImageInfo *info);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ImageInfo, image_info_clear)

/* Looks at an image and all it is based on. QWD_ERROR_NOT_FOUND, QWD_ERROR_DENIED for a format that is not
 * accepted or a reference out of the folder `allowed_folder`, QWD_ERROR_CONFLICT for a file that is not all there. */
bool image_inspect(const char *path, const char *allowed_folder, ImageInfo *info, GError **error);

/* Whether an image that has been looked at may be written to by its guest, and opened again afterwards. What a guest
 * writes to the beginning of a raw one may be the header of another format, which has any file of the folder read or
 * written; so one that needs others has its format in its name. QWD_ERROR_DENIED. */
bool image_check_master(const char *path, const ImageInfo *info, GError **error);

/* Whether a file has what ISO 9660 begins with. */
bool image_has_iso_identifier(const char *path);

/* The files that an image needs besides itself: what it is based on, and what holds parts of it, as absolute paths
 * (char *). What cannot be read needs nothing. Free with g_ptr_array_unref. */
GPtrArray *image_references(const char *path);

/* A throw-away qcow2 over a master, which stays untouched. Fails when `overlay` exists. */
bool image_create_overlay(const char *master, const char *format, const char *overlay, GError **error);

/* Checks that a file is such an overlay of `master`, which has been looked at, and refers to nothing else; with NULL,
 * that it is a qcow2 which refers to nothing. QWD_ERROR_DENIED otherwise. */
bool image_check_overlay(const char *overlay, const char *master, GError **error);

/* Writes what an overlay holds into the qcow2 that it lies over. */
bool image_commit(const char *overlay, GError **error);

/* An empty qcow2; it takes room only as it fills. */
bool image_create_empty(const char *path, gint64 size_mib, GError **error);
