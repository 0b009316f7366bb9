/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/sysroot.h"

#include <glib.h>

const char *sysroot(void)
{
    const char *root = g_getenv("QWD_SYSROOT");
    return root ? root : "";
}

char *sysroot_path(const char *path)
{
    return g_strconcat(sysroot(), path, NULL);
}
