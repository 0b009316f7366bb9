/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#ifndef LANDLOCK_ACCESS_FS_TRUNCATE /* Linux 6.2 */
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#define VERSION_OF_TRUNCATE 3
#define VERSION_OF_SCOPES 6

#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define CHANGING                                                                                                       \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                      \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |                     \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |                       \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_TRUNCATE)
/* In a folder of sockets. No links: others, who may do more, open what is in there. */
#define MAKING_SOCKETS                                                                                                 \
    (READING | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |          \
     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_TRUNCATE)
#define OF_FILES                                                                                                       \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |                       \
     LANDLOCK_ACCESS_FS_TRUNCATE)

/* As linux/landlock.h has it from Linux 6.12 on. An older kernel takes the beginning. */
typedef struct {
    __u64 files, network, scopes;
} RulesetAttributes;
enum { SCOPE_ABSTRACT_SOCKETS = 1, SCOPE_SIGNALS = 2 };

int sandbox_version(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

/* The rights that this kernel knows. Owners, modes and times of files are not among them. */
static __u64 known_rights(__u64 rights)
{
    return sandbox_version() >= VERSION_OF_TRUNCATE ? rights : rights & ~LANDLOCK_ACCESS_FS_TRUNCATE;
}

static void allow(int ruleset, const char *path, __u64 access)
{
    struct stat st;
    autofd int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return;
    struct landlock_path_beneath_attr rule = {.allowed_access = S_ISDIR(st.st_mode) ? access : access & OF_FILES,
                                              .parent_fd = fd};
    syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

static bool enter(int ruleset)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
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
    return enter(ruleset);
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

/* --- closed places --- */

/* A place that is not there yet counts by its folder, so that it is closed when it comes. */
static char *real_path(const char *path)
{
    char buffer[PATH_MAX];
    if (realpath(path, buffer))
        return g_strdup(buffer);
    g_autofree char *folder = g_path_get_dirname(path), *name = g_path_get_basename(path);
    return realpath(folder, buffer) ? g_build_filename(buffer, name, NULL) : NULL;
}

static GPtrArray *real_paths(const char *const *paths)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
    for (; paths && *paths; paths++) {
        char *path = real_path(*paths);
        if (path)
            g_ptr_array_add(list, path);
    }
    return list;
}

typedef enum { OPEN, CLOSED, ABOVE_CLOSED } Place;

static Place look_at(const char *path, const GPtrArray *closed)
{
    size_t length = strlen(path);
    Place place = OPEN;
    for (guint i = 0; i < closed->len; i++) {
        const char *other = closed->pdata[i];
        if (g_str_equal(path, other))
            return CLOSED;
        if (g_str_has_prefix(other, path) && other[length] == '/')
            place = ABOVE_CLOSED;
    }
    return place;
}

/* Landlock knows no exceptions from what it allows: what lies beside a closed place is allowed piece by piece. Symbolic
 * links need no rule, since what counts is where they lead. */
static void allow_around(int ruleset, const char *folder, __u64 access, const GPtrArray *closed)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        Place place = g_file_test(path, G_FILE_TEST_IS_SYMLINK) ? CLOSED : look_at(path, closed);
        if (place == OPEN)
            allow(ruleset, path, access);
        else if (place == ABOVE_CLOSED)
            allow_around(ruleset, path, access, closed);
    }
}

static void allow_all(int ruleset, const char *const *paths, __u64 access)
{
    for (; paths && *paths; paths++)
        allow(ruleset, *paths, access);
}

bool sandbox_keep_out(const SandboxPlaces *places, GError **error)
{
    __u64 denied = known_rights(CHANGING | READING);
    bool has_scopes = sandbox_version() >= VERSION_OF_SCOPES;
    RulesetAttributes attributes = {.files = denied, .scopes = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS};
    autofd int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes,
                                      has_scopes ? sizeof attributes : sizeof attributes.files, 0);
    if (ruleset < 0)
        return qwd_error_errno(error, errno, "Landlock");
    g_autoptr(GPtrArray) closed = real_paths(places->closed);
    allow_around(ruleset, "/", denied, closed);
    allow_all(ruleset, places->readable, READING);
    allow_all(ruleset, places->writable, denied);
    allow_all(ruleset, places->sockets, known_rights(MAKING_SOCKETS));
    return enter(ruleset) || qwd_error_errno(error, errno, "Landlock");
}
