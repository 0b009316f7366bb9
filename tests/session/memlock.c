/* SPDX-License-Identifier: AGPL-3.0-or-later
 * A limit of locked memory for tests, which real limits do not let them set: $FAKE_MEMLOCK_MIB. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static rlim_t most(void)
{
    return (rlim_t)atol(getenv("FAKE_MEMLOCK_MIB")) << 20;
}

int getrlimit(__rlimit_resource_t resource, struct rlimit *limit)
{
    if (resource != RLIMIT_MEMLOCK)
        return (int)syscall(SYS_prlimit64, 0, resource, NULL, limit);
    *limit = (struct rlimit){.rlim_cur = most(), .rlim_max = most()};
    return 0;
}

int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
    if (resource != RLIMIT_MEMLOCK)
        return (int)syscall(SYS_prlimit64, 0, resource, limit, NULL);
    if (limit->rlim_max <= most())
        return 0;
    errno = EPERM;
    return -1;
}
