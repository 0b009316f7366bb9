/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Where tests find the files of the source tree, whatever folder they are started in. */
#pragma once

#include <glib.h>

/* A path in the source tree: test programs stand in build/VARIANT/tests. Free with g_free. */
static inline char *source_path(const char *relative)
{
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *folder = g_path_get_dirname(program);
    return g_build_filename(folder, "../../..", relative, NULL);
}
