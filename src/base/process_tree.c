/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/process_tree.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

typedef struct {
    pid_t pid, parent;
} Kinship;

/* False for what is no process any more; one that nobody has waited for yet counts as none. proc(5), fields 3 and 4. */
static bool read_kinship(const char *name, Kinship *kinship)
{
    char state;
    int parent;
    g_autofree char *path = g_strdup_printf("/proc/%s/stat", name);
    g_autofree char *text = NULL;
    if (!g_ascii_isdigit(*name) || !g_file_get_contents(path, &text, NULL, NULL))
        return false;
    const char *after_name = strrchr(text, ')');
    if (!after_name || sscanf(after_name + 1, " %c %d", &state, &parent) != 2 || state == 'Z' || state == 'X')
        return false;
    *kinship = (Kinship){.pid = (pid_t)g_ascii_strtoll(name, NULL, 10), .parent = parent};
    return true;
}

static GArray *all_processes(void)
{
    GArray *all = g_array_new(FALSE, FALSE, sizeof(Kinship));
    g_autoptr(GDir) folder = g_dir_open("/proc", 0, NULL);
    Kinship kinship;
    for (const char *name; folder && (name = g_dir_read_name(folder));) {
        if (read_kinship(name, &kinship))
            g_array_append_val(all, kinship);
    }
    return all;
}

static bool contains(const GArray *pids, pid_t pid)
{
    for (guint i = 0; i < pids->len; i++) {
        if (g_array_index(pids, pid_t, i) == pid)
            return true;
    }
    return false;
}

GArray *process_tree_children(void)
{
    pid_t own = getpid();
    g_autoptr(GArray) all = all_processes();
    GArray *children = g_array_new(FALSE, FALSE, sizeof(pid_t));
    for (guint i = 0; i < all->len; i++) {
        const Kinship *one = &g_array_index(all, Kinship, i);
        if (one->parent == own)
            g_array_append_val(children, one->pid);
    }
    return children;
}

static void add_descendants(const GArray *all, GArray *found, const GArray *spared)
{
    for (guint generation = 0; generation < found->len; generation++) {
        pid_t parent = g_array_index(found, pid_t, generation);
        for (guint i = 0; i < all->len; i++) {
            const Kinship *one = &g_array_index(all, Kinship, i);
            if (one->parent == parent && !contains(spared, one->pid))
                g_array_append_val(found, one->pid);
        }
    }
}

/* This process comes first. */
static GArray *descendants(const GArray *spared)
{
    pid_t own = getpid();
    g_autoptr(GArray) all = all_processes();
    GArray *found = g_array_new(FALSE, FALSE, sizeof(pid_t));
    g_array_append_val(found, own);
    add_descendants(all, found, spared);
    return found;
}

void process_tree_adopt(bool adopt)
{
    prctl(PR_SET_CHILD_SUBREAPER, adopt ? 1 : 0, 0, 0, 0);
}

static void wait_for(pid_t pid, pid_t child, gint64 end_us)
{
    autofd int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd item = {.fd = fd, .events = POLLIN};
    if (fd >= 0)
        poll(&item, 1, (int)MAX((end_us - g_get_monotonic_time()) / 1000, 0));
    if (pid != child)
        waitpid(pid, NULL, WNOHANG); /* it may have become ours */
}

/* Kills those that there are. The last one that this account may kill; 0: there is none. */
static pid_t kill_all(const GArray *pids)
{
    pid_t last = 0;
    for (guint i = 1; i < pids->len; i++) {
        pid_t pid = g_array_index(pids, pid_t, i);
        if (kill(pid, SIGKILL) == 0)
            last = pid;
    }
    return last;
}

void process_tree_end(pid_t child, const GArray *spared, int deadline_ms)
{
    gint64 end_us = g_get_monotonic_time() + (gint64)deadline_ms * 1000;
    while (g_get_monotonic_time() < end_us) {
        g_autoptr(GArray) pids = descendants(spared);
        pid_t last = kill_all(pids);
        if (!last)
            break;
        wait_for(last, child, end_us);
    }
}
