/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/host.h"

#include <sys/utsname.h>
#include <unistd.h>

void host_read(Host *host)
{
    struct utsname names;
    uname(&names);
    host->arch = g_strdup(g_str_equal(names.machine, "arm64") ? "aarch64" : names.machine);
    host->cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
    host->memory_mib = (gint64)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / (1024 * 1024);
}

void host_clear(Host *host)
{
    g_clear_pointer(&host->arch, g_free);
}
