/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "auth/privileged.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/error.h"

#define FIRST_DESCRIPTOR 3

static bool has_standard_streams(GError **error)
{
    for (int fd = 0; fd < FIRST_DESCRIPTOR; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            return qwd_error_fail(error, QWD_ERROR_USAGE, "Descriptor %d is closed.", fd);
    }
    return true;
}

static bool close_others(GError **error)
{
    return close_range(FIRST_DESCRIPTOR, ~0U, 0) == 0 ||
           qwd_error_errno(error, errno, "Cannot close inherited descriptors");
}

static void reset_signals(void)
{
    sigset_t none;
    const struct itimerval never = {0};
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL); /* fails for those that cannot be changed, and they need not be */
    setitimer(ITIMER_REAL, &never, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool reset_process(GError **error)
{
    reset_signals();
    umask(S_IRWXG | S_IRWXO);
    if (clearenv() != 0 || chdir("/") < 0)
        return qwd_error_fail(error, QWD_ERROR_INTERNAL, "Cannot clear what the caller left.");
    return geteuid() != 0 || setgroups(0, NULL) == 0 || qwd_error_errno(error, errno, "Cannot give up groups");
}

static bool is_kept_from_everybody(GError **error)
{
    struct stat st;
    if (getuid() == geteuid() && getgid() == getegid())
        return true;
    if (stat("/proc/self/exe", &st) < 0)
        return qwd_error_errno(error, errno, "Cannot look at this program's mode in /proc");
    return !(st.st_mode & S_IXOTH) ||
           qwd_error_fail(error, QWD_ERROR_CONFIG,
                          "This program is setuid and every account may start it. Its mode must be 4750.");
}

bool privileged_begin(GError **error)
{
    return has_standard_streams(error) && close_others(error) && reset_process(error) && is_kept_from_everybody(error);
}
