/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What a child process writes to its standard error: the first of it is kept, and all of it is read, so that the child
 * never waits. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct {
    GString *text; /* NULL: not open */
    int fd;
    guint source; /* 0 when the child has closed it */
} ChildMessages;

/* The struct must stay where it is until child_messages_close. The caller closes *write_end when the child has it. */
bool child_messages_open(ChildMessages *messages, int *write_end, GError **error);

/* The last line, with what can be read by now; "" when there is none. Free with g_free. */
char *child_messages_last_line(ChildMessages *messages);

/* Accepts what was never opened. */
void child_messages_close(ChildMessages *messages);
