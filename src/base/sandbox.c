/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/sandbox.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

#ifndef LANDLOCK_ACCESS_FS_TRUNCATE /* Linux 6.2 */
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#define VERSION_OF_TRUNCATE 3

#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define CHANGING                                                                                                       \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                      \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |                     \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |                       \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_TRUNCATE)

/* The rights that this kernel knows. Owners, modes and times of files are not among them. */
static __u64 known_rights(__u64 rights)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return version >= VERSION_OF_TRUNCATE ? rights : rights & ~LANDLOCK_ACCESS_FS_TRUNCATE;
}

static void allow(int ruleset, const char *path, __u64 access)
{
    autofd int fd = open(path, O_PATH | O_CLOEXEC);
    struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};
    if (fd >= 0)
        syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

static bool restrict_to(__u64 wanted, const char *const *folders)
{
    __u64 denied = known_rights(wanted);
    struct landlock_ruleset_attr attributes = {.handled_access_fs = denied};
    autofd int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
    if (ruleset < 0)
        return false;
    for (; folders && *folders; folders++)
        allow(ruleset, *folders, denied);
    allow(ruleset, "/dev/null",
          denied & (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_TRUNCATE));
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
}

bool sandbox_read_only(void)
{
    return restrict_to(CHANGING, NULL);
}

bool sandbox_write_below(const char *const *folders)
{
    return restrict_to(CHANGING & ~LANDLOCK_ACCESS_FS_EXECUTE, folders);
}

bool sandbox_no_files(void)
{
    return restrict_to(CHANGING | READING, NULL);
}
