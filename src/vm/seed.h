/* SPDX-License-Identifier: AGPL-3.0-or-later
 * A cloud-init seed (data source NoCloud): a small ISO 9660 image labelled cidata. */
#pragma once

#include <glib.h>

/* A file of the seed: "user-data", "meta-data". */
typedef struct {
    const char *name;
    const char *content;
} SeedFile;

/* The image with these files in its root. Free with g_byte_array_unref. */
GByteArray *seed_image(const SeedFile *files, size_t count);
