/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/child_messages.h"

#include <errno.h>
#include <glib-unix.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/process.h"

#define MESSAGES_MAX_BYTES 16384

/* Some at a time: a child that never stops writing must not hold us up. Returns false when it has closed its end. */
static bool read_available(ChildMessages *messages)
{
    char buffer[MESSAGES_MAX_BYTES];
    ssize_t n = read(messages->fd, buffer, sizeof buffer);
    if (n > 0 && messages->text->len < MESSAGES_MAX_BYTES)
        g_string_append_len(messages->text, buffer, n);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static gboolean on_message(int fd, GIOCondition condition, gpointer data)
{
    (void)fd;
    (void)condition;
    ChildMessages *messages = data;
    if (read_available(messages))
        return G_SOURCE_CONTINUE;
    messages->source = 0;
    return G_SOURCE_REMOVE;
}

bool child_messages_open(ChildMessages *messages, int *write_end, GError **error)
{
    int ends[2];
    if (!g_unix_open_pipe(ends, FD_CLOEXEC, error))
        return false;
    fd_set_nonblocking(ends[0], NULL);
    messages->fd = ends[0];
    messages->text = g_string_new(NULL);
    messages->source = g_unix_fd_add(messages->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_message, messages);
    *write_end = ends[1];
    return true;
}

char *child_messages_last_line(ChildMessages *messages)
{
    if (messages->text)
        read_available(messages);
    return text_last_line(messages->text ? messages->text->str : "");
}

void child_messages_close(ChildMessages *messages)
{
    g_clear_handle_id(&messages->source, g_source_remove);
    if (messages->text) {
        g_string_free(messages->text, TRUE);
        close(messages->fd);
    }
    *messages = (ChildMessages){0};
}
