/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/passt.h"

#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/wait.h"

/* What comes from passt's end of a stream, a byte each time that nothing else is to be done. */
typedef struct {
    int fd;
    const guint8 *bytes;
    size_t length, sent;
    bool gives_up; /* when all is sent, as somebody who asks for the end */
    bool closes;
} Sender;

static gboolean on_idle(gpointer data)
{
    Sender *sender = data;
    if (sender->sent < sender->length) {
        g_assert_true(fd_write_all(sender->fd, sender->bytes + sender->sent++, 1));
        return G_SOURCE_CONTINUE;
    }
    if (sender->closes)
        fd_close_pointed(&sender->fd);
    if (sender->gives_up)
        wait_cancel(true);
    return G_SOURCE_REMOVE;
}

/* The code of the error, -1 without one. *rest is how many bytes the stream has then. */
static int await(Sender *sender, ssize_t *rest)
{
    autofd int ours = -1;
    guint8 buffer[64];
    g_autoptr(GError) error = NULL;
    g_assert_true(unix_pair(&ours, &sender->fd, NULL));
    guint idle = g_idle_add(on_idle, sender);
    bool good = passt_await(ours, &error);
    while (g_main_context_find_source_by_id(NULL, idle))
        g_main_context_iteration(NULL, TRUE);
    wait_cancel(false);
    g_assert_true(good == !error);
    fd_set_nonblocking(ours, NULL);
    *rest = read(ours, buffer, sizeof buffer);
    fd_close_pointed(&sender->fd);
    return error ? error->code : -1;
}

static void test_answers(void)
{
    static const guint8 whole[] = {0, 0, 0, 2, 1, 2, 0, 0, 0, 1, 9}, half[] = {0, 0, 0, 42, 1, 2}, part[] = {0, 0};
    static const guint8 huge[] = {0xff, 0xff, 0xff, 0xff}, none[] = {0, 0, 0, 0};
    struct {
        Sender sender;
        int code;
        ssize_t rest;
    } cases[] = {
        {{.bytes = whole, .length = 6}, -1, -1},
        {{.bytes = whole, .length = sizeof whole}, -1, 5}, /* the second frame is QEMU's */
        {{.bytes = half, .length = sizeof half, .gives_up = true}, QWD_ERROR_CANCELLED, -1},
        {{.bytes = part, .length = sizeof part, .gives_up = true}, QWD_ERROR_CANCELLED, -1},
        {{.bytes = half, .length = sizeof half, .closes = true}, QWD_ERROR_UNAVAILABLE, 0},
        {{.closes = true}, QWD_ERROR_UNAVAILABLE, 0},
        {{.bytes = huge, .length = sizeof huge}, QWD_ERROR_UNAVAILABLE, -1},
        {{.bytes = none, .length = sizeof none}, QWD_ERROR_UNAVAILABLE, -1},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        ssize_t rest;
        g_test_message("case %zu", i);
        g_assert_cmpint(await(&cases[i].sender, &rest), ==, cases[i].code);
        g_assert_cmpint(rest, ==, cases[i].rest);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/passt/answers", test_answers);
    return g_test_run();
}
