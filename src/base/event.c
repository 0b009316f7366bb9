/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/event.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

typedef struct {
    int fd;
    EventCallback callback;
    void *data;
} Event;

static void event_free(gpointer data)
{
    Event *event = data;
    fd_close_pointed(&event->fd);
    g_free(event);
}

static guint event_add(int fd, GUnixFDSourceFunc handler, EventCallback callback, void *data)
{
    Event *event = g_new(Event, 1);
    *event = (Event){.fd = fd, .callback = callback, .data = data};
    return g_unix_fd_add_full(G_PRIORITY_DEFAULT, fd, G_IO_IN, handler, event, event_free);
}

/* What changed does not matter, so the queued descriptions are only taken away. */
static gboolean on_inotify(int fd, GIOCondition condition, gpointer data)
{
    (void)condition;
    const Event *event = data;
    char buffer[4096];
    while (read(fd, buffer, sizeof buffer) > 0) {
    }
    event->callback(event->data);
    return G_SOURCE_CONTINUE;
}

/* The end of a folder is told only when nobody has a file of it open any more: so that of each file counts. */
guint watch_folder(const char *folder, EventCallback callback, void *data, GError **error)
{
    autofd int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0 || inotify_add_watch(fd, folder, IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF) < 0) {
        qwd_error_errno(error, errno, "Cannot watch %s", folder);
        return 0;
    }
    return event_add(fd_steal(&fd), on_inotify, callback, data);
}

static gboolean on_timer(int fd, GIOCondition condition, gpointer data)
{
    (void)condition;
    (void)fd;
    const Event *event = data;
    event->callback(event->data);
    return G_SOURCE_REMOVE;
}

guint alarm_at(gint64 unix_s, EventCallback callback, void *data, GError **error)
{
    autofd int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    struct itimerspec when = {.it_value = {.tv_sec = MAX(unix_s, 1)}};
    if (fd < 0 || timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL) < 0) {
        qwd_error_errno(error, errno, "Cannot set a timer");
        return 0;
    }
    return event_add(fd_steal(&fd), on_timer, callback, data);
}
