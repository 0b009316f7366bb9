/* SPDX-License-Identifier: AGPL-3.0-or-later
 * An intruder in a program that talks to strangers (LD_PRELOAD): the first time that the program looks for somebody to
 * talk to, or reads a form, tries to make the file $QWD_INTRUDER, to start a program that makes $QWD_INTRUDER.child, and
 * to empty the file $QWD_INTRUDER_VICTIM. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void intrude(void)
{
    static int is_done;
    const char *path = getenv("QWD_INTRUDER");
    char child[4096], seen[4096];
    if (is_done++ || !path)
        return;
    snprintf(child, sizeof child, "%s.child", path);
    close(open(path, O_WRONLY | O_CREAT, 0666));
    if (getenv("QWD_INTRUDER_VICTIM") && truncate(getenv("QWD_INTRUDER_VICTIM"), 0) < 0)
        perror("truncate");
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", ": >\"$0\"", child, (char *)NULL);
        _exit(1);
    }
    waitpid(pid, NULL, 0);
    snprintf(seen, sizeof seen, "the intruder was here: %s\n", path);
    fputs(seen, stderr);
}

int socket(int domain, int type, int protocol)
{
    int (*real)(int, int, int) = (int (*)(int, int, int))dlsym(RTLD_NEXT, "socket");
    intrude();
    return real(domain, type, protocol);
}

void *g_mime_parser_construct_part(void *parser, void *options)
{
    void *(*real)(void *, void *) = (void *(*)(void *, void *))dlsym(RTLD_NEXT, "g_mime_parser_construct_part");
    intrude();
    return real(parser, options);
}
