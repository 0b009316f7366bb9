/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Whether the file of an image is all there. A download that broke off has the header of the whole image, and QEMU
 * reads zeros where the file ends: its guest would not start, and nothing would say why. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Checks that a file is as long as what it has of headers and tables says. `format` is QEMU's name of it; "" or an
 * unknown one promises nothing, and raw only what an ISO 9660 file system in it does. Looks at no other file.
 * QWD_ERROR_CONFLICT. */
bool image_check_complete(const char *path, const char *format, GError **error);

/* The same for a file without a header, which has to have `bytes`. */
bool image_check_size(const char *path, gint64 bytes, GError **error);

/* An error about an image that is not all there. Always false. */
bool image_refuse_incomplete(const char *path, GError **error);
