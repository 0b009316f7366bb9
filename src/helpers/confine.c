/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwd-confine OPTION... -- PROGRAM ARGUMENT...: becomes a program that a guest may take over, and keeps it out of what
 * belongs to the service and to other sessions: files by Landlock; processes, sockets and the kernel's rarer doors by
 * seccomp. Without Landlock in the kernel the program starts with what seccomp can do; qwdctl doctor tells. */
#include <errno.h>
#include <glib.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sandbox.h"

static char **closed, **readable, **writable, **sockets;
static gboolean with_network, with_owners;

static const GOptionEntry options[] = {
    {"closed", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &closed, "a file or folder that is closed", "PATH"},
    {"readable", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &readable, "what can be read nevertheless", "PATH"},
    {"writable", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &writable, "what can be changed nevertheless", "PATH"},
    {"sockets", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &sockets, "a folder for its sockets", "PATH"},
    {"network", 0, 0, G_OPTION_ARG_NONE, &with_network, "allow sockets other than UNIX ones, and connections", NULL},
    {"owners", 0, 0, G_OPTION_ARG_NONE, &with_owners, "allow changes of modes, owners and attributes", NULL},
    {0},
};

/* --- system calls --- */

/* Ways to other processes, to their memory, and to parts of the kernel that no machine needs. */
static const char *const never[] = {"tkill",
                                    "rt_sigqueueinfo",
                                    "rt_tgsigqueueinfo",
                                    "pidfd_open",
                                    "pidfd_getfd",
                                    "pidfd_send_signal",
                                    "ptrace",
                                    "process_vm_readv",
                                    "process_vm_writev",
                                    "kcmp",
                                    "keyctl",
                                    "add_key",
                                    "request_key",
                                    "bpf",
                                    "perf_event_open",
                                    "mount",
                                    "umount2",
                                    "pivot_root",
                                    "chroot",
                                    "unshare",
                                    "setns",
                                    "open_by_handle_at",
                                    NULL};

/* Does what the filter forbids. QEMU goes on without it, as on a kernel that does not have it. */
static const char *const uring[] = {"io_uring_setup", NULL};

/* Landlock does not know of these. */
static const char *const of_owners[] = {"chmod",     "fchmod",      "fchmodat",     "fchmodat2",    "chown",
                                        "fchown",    "lchown",      "fchownat",     "setxattr",     "lsetxattr",
                                        "fsetxattr", "removexattr", "lremovexattr", "fremovexattr", NULL};

/* What this architecture, or this version of the library, does not know is not there to be forbidden. */
static bool forbid(scmp_filter_ctx filter, const char *const *names, int reason)
{
    for (; *names; names++) {
        int call = seccomp_syscall_resolve_name(*names);
        if (call != __NR_SCMP_ERROR && seccomp_rule_add(filter, SCMP_ACT_ERRNO((guint)reason), call, 0) < 0)
            return false;
    }
    return true;
}

static bool forbid_unless(scmp_filter_ctx filter, int call, guint64 first_argument, int reason)
{
    return seccomp_rule_add(filter, SCMP_ACT_ERRNO((guint)reason), call, 1, SCMP_A0(SCMP_CMP_NE, first_argument)) == 0;
}

/* A machine's sockets are those that it listens at, and those that it gets; a socket of another session has a name that
 * nobody should try. */
static bool forbid_network(scmp_filter_ctx filter)
{
    static const char *const connecting[] = {"connect", NULL};
    return forbid_unless(filter, SCMP_SYS(socket), AF_UNIX, EAFNOSUPPORT) && forbid(filter, connecting, EACCES);
}

static bool filter_calls(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    bool good = filter && forbid(filter, never, EPERM) && forbid(filter, uring, ENOSYS) &&
                forbid_unless(filter, SCMP_SYS(kill), (guint64)getpid(), EPERM) &&
                forbid_unless(filter, SCMP_SYS(tgkill), (guint64)getpid(), EPERM) &&
                (with_network || forbid_network(filter)) && (with_owners || forbid(filter, of_owners, EPERM)) &&
                seccomp_load(filter) == 0;
    seccomp_release(filter);
    return good;
}

/* --- the program --- */

static bool parse(int *count, char ***words)
{
    g_autoptr(GOptionContext) context = g_option_context_new("-- PROGRAM [ARGUMENT...]");
    g_autoptr(GError) cause = NULL;
    g_option_context_add_main_entries(context, options, NULL);
    g_option_context_set_strict_posix(context, TRUE);
    bool good = g_option_context_parse(context, count, words, &cause);
    if (!good)
        fprintf(stderr, "qwd-confine: %s\n", cause->message);
    return good;
}

int main(int count, char **words)
{
    if (!parse(&count, &words))
        return 1;
    char **command = words + 1 + (count > 1 && strcmp(words[1], "--") == 0);
    SandboxPlaces places = {(const char *const *)closed, (const char *const *)readable, (const char *const *)writable,
                            (const char *const *)sockets};
    if (!*command) {
        fputs("qwd-confine: say which program, after --\n", stderr);
        return 1;
    }
    g_autoptr(GError) cause = NULL;
    if (sandbox_version() >= 1 && !sandbox_keep_out(&places, &cause)) {
        fprintf(stderr, "qwd-confine: %s\n", cause->message);
        return 1;
    }
    if (!filter_calls()) {
        fputs("qwd-confine: the kernel takes no seccomp filter\n", stderr);
        return 1;
    }
    execvp(*command, command);
    fprintf(stderr, "qwd-confine: cannot start %s: %s\n", *command, strerror(errno));
    return 127;
}
