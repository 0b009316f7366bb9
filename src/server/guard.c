/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "server/guard.h"

#include <stdbool.h>
#include <sys/socket.h>

struct GuardEntry {
    int fd;
    bool armed;
    gint64 deadline_us;
    GList link; /* in the queue while armed */
};

struct Guard {
    gint64 time_us;
    GMutex lock;
    GCond changed;
    GQueue armed; /* the same time for all, so the first to come is the first to go */
    bool ended;
    GThread *thread;
};

static void disarm_locked(Guard *guard, GuardEntry *entry)
{
    if (entry->armed)
        g_queue_unlink(&guard->armed, &entry->link);
    entry->armed = false;
}

static void arm_locked(Guard *guard, GuardEntry *entry)
{
    disarm_locked(guard, entry);
    entry->armed = true;
    entry->deadline_us = g_get_monotonic_time() + guard->time_us;
    g_queue_push_tail_link(&guard->armed, &entry->link);
    if (guard->armed.length == 1)
        g_cond_signal(&guard->changed);
}

/* The connection's own thread sees the end of the socket and closes it. */
static void cut_late_ones_locked(Guard *guard)
{
    for (GuardEntry *first; (first = g_queue_peek_head(&guard->armed));) {
        if (first->deadline_us > g_get_monotonic_time())
            return;
        shutdown(first->fd, SHUT_RDWR);
        disarm_locked(guard, first);
    }
}

static gpointer watch(gpointer data)
{
    Guard *guard = data;
    g_mutex_lock(&guard->lock);
    while (!guard->ended) {
        const GuardEntry *first = g_queue_peek_head(&guard->armed);
        if (first)
            g_cond_wait_until(&guard->changed, &guard->lock, first->deadline_us);
        else
            g_cond_wait(&guard->changed, &guard->lock);
        cut_late_ones_locked(guard);
    }
    g_mutex_unlock(&guard->lock);
    return NULL;
}

Guard *guard_new(int deadline_ms)
{
    Guard *guard = g_new0(Guard, 1);
    guard->time_us = (gint64)deadline_ms * 1000;
    g_mutex_init(&guard->lock);
    g_cond_init(&guard->changed);
    guard->thread = g_thread_new("guard", watch, guard);
    return guard;
}

void guard_free(Guard *guard)
{
    g_mutex_lock(&guard->lock);
    guard->ended = true;
    g_cond_signal(&guard->changed);
    g_mutex_unlock(&guard->lock);
    g_thread_join(guard->thread);
    g_mutex_clear(&guard->lock);
    g_cond_clear(&guard->changed);
    g_free(guard);
}

GuardEntry *guard_add(Guard *guard, int fd)
{
    GuardEntry *entry = g_new0(GuardEntry, 1);
    entry->fd = fd;
    entry->link.data = entry;
    guard_arm(guard, entry);
    return entry;
}

void guard_remove(Guard *guard, GuardEntry *entry)
{
    guard_disarm(guard, entry);
    g_free(entry);
}

void guard_arm(Guard *guard, GuardEntry *entry)
{
    g_mutex_lock(&guard->lock);
    arm_locked(guard, entry);
    g_mutex_unlock(&guard->lock);
}

void guard_disarm(Guard *guard, GuardEntry *entry)
{
    g_mutex_lock(&guard->lock);
    disarm_locked(guard, entry);
    g_mutex_unlock(&guard->lock);
}
