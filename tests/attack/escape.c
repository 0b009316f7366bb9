/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What somebody does who has taken QEMU over (LD_PRELOAD): each line "WHAT ARGUMENT" of $QWD_ESCAPE is tried before
 * QEMU starts, and the result written to standard error. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static int open_as(const char *path, int flags)
{
    int fd = open(path, flags, 0600);
    return fd < 0 ? -1 : close(fd);
}

static int list_folder(const char *path)
{
    DIR *dir = opendir(path);
    return dir ? closedir(dir) : -1;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), result = connect(fd, (struct sockaddr *)&address, sizeof address);
    int cause = errno;
    close(fd);
    errno = cause;
    return result;
}

static int set_up_ring(void)
{
    struct io_uring_params parameters = {0};
    long fd = syscall(SYS_io_uring_setup, 1, &parameters);
    return fd < 0 ? -1 : close((int)fd);
}

static char own_folder[4096];

/* The folder of this session's sockets, from QEMU's command line. */
static void find_own_folder(char **words)
{
    for (; *words; words++) {
        const char *path = strstr(*words, "path=/"), *end = path ? strstr(path, "/agent") : NULL;
        if (end)
            snprintf(own_folder, sizeof own_folder, "%.*s", (int)(end - path - 5), path + 5);
    }
}

/* For the supervisor or a page to follow. */
static int plant(const char *target)
{
    char path[5000];
    snprintf(path, sizeof path, "%s/planted", own_folder);
    int result = symlink(target, path), cause = errno;
    unlink(path);
    errno = cause;
    return result;
}

static int attempt(const char *what, const char *argument)
{
    if (!strcmp(what, "read"))
        return open_as(argument, O_RDONLY);
    if (!strcmp(what, "write"))
        return open_as(argument, O_RDWR);
    if (!strcmp(what, "make"))
        return open_as(argument, O_WRONLY | O_CREAT);
    if (!strcmp(what, "truncate"))
        return truncate(argument, 0);
    if (!strcmp(what, "remove"))
        return unlink(argument);
    if (!strcmp(what, "chmod"))
        return chmod(argument, 0666);
    if (!strcmp(what, "list"))
        return list_folder(argument);
    if (!strcmp(what, "connect"))
        return connect_to(argument);
    if (!strcmp(what, "plant"))
        return plant(argument);
    if (!strcmp(what, "signal"))
        return kill(atoi(argument), 0);
    if (!strcmp(what, "queue"))
        return (int)syscall(SYS_rt_sigqueueinfo, atoi(argument), 0,
                            &(siginfo_t){.si_code = SI_QUEUE, .si_pid = getpid()});
    if (!strcmp(what, "netlink"))
        return socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
    if (!strcmp(what, "internet"))
        return socket(AF_INET, SOCK_STREAM, 0);
    if (!strcmp(what, "ring"))
        return set_up_ring();
    abort();
}

__attribute__((constructor)) static void escape(int count, char **words)
{
    (void)count;
    find_own_folder(words);
    const char *plan = getenv("QWD_ESCAPE");
    char *lines = strdup(plan ? plan : ""), *rest = lines;
    for (char *line; (line = strsep(&rest, "\n"));) {
        char *argument = strchr(line, ' ');
        if (!argument)
            continue;
        *argument++ = '\0';
        int result = attempt(line, argument);
        fprintf(stderr, "ESCAPE %s %s: %s\n", line, argument, result < 0 ? strerrorname_np(errno) : "done");
    }
    free(lines);
}
