/* SPDX-License-Identifier: AGPL-3.0-or-later
 * One thread plays everybody: viewers, the gate, and a VNC server that accepts, reads and writes when told to. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/event.h"
#include "base/fd.h"
#include "base/wait.h"
#include "display/gate.h"

#define DEADLINE_MS 60000
#define BYTES(text) (text), sizeof(text) - 1
#define GREETING "RFB 003.008\n"
#define HELLO "RFB 003.008\n\x01\x01"
#define KEY "\x04\x01\0\0\0\0\0a"
#define REQUEST "\x03\x01\0\0\0\0\x05\0\x03\x20"

static gint64 now_s(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

typedef struct {
    char *folder, *vnc_path;
    int vnc_fd; /* listens */
    Gate *gate;
    int changes, heard;
} Fixture;

static void on_changed(Gate *gate, void *data)
{
    (void)gate;
    ((Fixture *)data)->changes++;
}

/* A queue as short as QEMU's. */
static int listen_like_qemu(const char *path)
{
    int fd = unix_listen(path, NULL);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(listen(fd, 1), ==, 0);
    g_assert_true(fd_set_nonblocking(fd, NULL));
    return fd;
}

static void set_up(Fixture *f, gconstpointer connections_max)
{
    f->folder = g_dir_make_tmp("qwd-gate-XXXXXX", NULL);
    f->vnc_path = g_build_filename(f->folder, "vnc", NULL);
    f->vnc_fd = listen_like_qemu(f->vnc_path);
    f->gate = gate_new(f->vnc_path, connections_max ? GPOINTER_TO_UINT(connections_max) : 2, on_changed, f);
    f->changes = 0;
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    gate_free(f->gate);
    fd_close_pointed(&f->vnc_fd);
    unlink(f->vnc_path);
    g_assert_cmpint(rmdir(f->folder), ==, 0); /* the gate has left nothing */
    g_free(f->vnc_path);
    g_free(f->folder);
}

static void open_token(Fixture *f, const char *token, RfbRole role)
{
    g_autoptr(GError) error = NULL;
    gate_open(f->gate, f->folder, token, role, 0, &error);
    g_assert_no_error(error);
}

/* --- players --- */

static int join(Fixture *f, const char *token)
{
    g_autofree char *path = g_build_filename(f->folder, token, NULL);
    int fd = unix_connect(path, NULL);
    g_assert_cmpint(fd, >=, 0);
    g_assert_true(fd_set_nonblocking(fd, NULL));
    return fd;
}

typedef struct {
    int listen_fd, fd;
} Accepting;

static bool has_accepted(void *data)
{
    Accepting *a = data;
    if (a->fd < 0)
        a->fd = accept4(a->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return a->fd >= 0;
}

static int accept_one(Fixture *f)
{
    Accepting accepting = {f->vnc_fd, -1};
    g_assert_true(wait_until(has_accepted, &accepting, DEADLINE_MS, NULL));
    return accepting.fd;
}

static void say(int fd, const char *bytes, size_t length)
{
    g_assert_cmpint(send(fd, bytes, length, MSG_NOSIGNAL), ==, length);
}

typedef struct {
    int fd;
    GByteArray *bytes;
    size_t wanted;
    bool ended;
} Hearing;

/* Reads what is there; everything but "not now" is the end. */
static void hear_now(Hearing *h)
{
    uint8_t buffer[65536];
    ssize_t n;
    while ((n = recv(h->fd, buffer, MIN(sizeof buffer, h->wanted - h->bytes->len), 0)) > 0)
        g_byte_array_append(h->bytes, buffer, (unsigned)n);
    h->ended = n == 0 ? h->bytes->len < h->wanted : errno != EAGAIN;
}

static bool has_heard(void *data)
{
    Hearing *h = data;
    hear_now(h);
    return h->ended || h->bytes->len == h->wanted;
}

static void expect(int fd, const char *bytes, size_t length)
{
    g_autoptr(GByteArray) heard = g_byte_array_new();
    Hearing h = {fd, heard, length, false};
    g_assert_true(wait_until(has_heard, &h, DEADLINE_MS, NULL));
    g_assert_cmpmem(heard->data, heard->len, bytes, length);
}

static bool is_closed(void *data)
{
    char byte;
    ssize_t n = recv(*(int *)data, &byte, 1, MSG_DONTWAIT);
    g_assert_cmpint(n, <=, 0);
    return n == 0 || errno != EAGAIN;
}

/* Serves all that has come, and waits for nothing. */
static void settle(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        continue;
}

/* At once, as a revoked link must be: no timer is waited for. */
static void expect_closed(int *fd)
{
    settle();
    g_assert_true(is_closed(fd));
    fd_close_pointed(fd);
}

typedef struct {
    int client, server;
} Pair;

static Pair join_and_accept(Fixture *f, const char *token)
{
    Pair pair = {.client = join(f, token)};
    pair.server = accept_one(f);
    say(pair.server, BYTES(GREETING));
    expect(pair.client, BYTES(GREETING));
    say(pair.client, BYTES(HELLO));
    expect(pair.server, BYTES(HELLO));
    return pair;
}

static void pair_close(Pair *pair)
{
    fd_close_pointed(&pair->client);
    fd_close_pointed(&pair->server);
}

typedef struct {
    Fixture *f;
    unsigned viewers;
} Count;

static bool has_count(void *data)
{
    const Count *count = data;
    return gate_viewer_count(count->f->gate) == count->viewers && !g_main_context_pending(NULL);
}

static void expect_viewers(Fixture *f, unsigned viewers)
{
    Count count = {f, viewers};
    g_assert_true(wait_until(has_count, &count, DEADLINE_MS, NULL));
}

/* --- roles --- */

static void test_roles(Fixture *f, gconstpointer unused)
{
    (void)unused;
    open_token(f, "control", RFB_ROLE_CONTROL);
    open_token(f, "view", RFB_ROLE_VIEW);
    Pair view = join_and_accept(f, "view");
    say(view.client, BYTES(KEY REQUEST KEY REQUEST));
    expect(view.server, BYTES(REQUEST REQUEST));
    g_assert_cmpint(gate_last_input_s(f->gate), ==, 0);
    g_assert_cmpint(gate_last_input_monotonic_us(f->gate), ==, 0);

    Pair control = join_and_accept(f, "control");
    gint64 before_us = g_get_monotonic_time(), before_s = now_s();
    say(control.client, BYTES(KEY REQUEST));
    expect(control.server, BYTES(KEY REQUEST));
    g_assert_cmpint(gate_last_input_monotonic_us(f->gate), >=, before_us);
    g_assert_cmpint(gate_last_input_monotonic_us(f->gate), <=, g_get_monotonic_time());
    g_assert_cmpint(gate_last_input_s(f->gate), >=, before_s);
    g_assert_cmpint(gate_last_input_s(f->gate), <=, now_s());
    say(control.server, BYTES("picture"));
    expect(control.client, BYTES("picture"));
    pair_close(&view);
    pair_close(&control);
    expect_viewers(f, 0);
}

static void note_heard(Gate *gate, void *data)
{
    (void)gate;
    ((Fixture *)data)->heard++;
}

static bool has_been_told(void *data)
{
    return ((const Fixture *)data)->heard > 0;
}

/* Input is told of once, as soon as it comes; that of those who only watch never is. */
static void test_await_input(Fixture *f, gconstpointer unused)
{
    (void)unused;
    open_token(f, "control", RFB_ROLE_CONTROL);
    open_token(f, "view", RFB_ROLE_VIEW);
    Pair control = join_and_accept(f, "control"), view = join_and_accept(f, "view");
    gate_await_input(f->gate, note_heard);
    say(view.client, BYTES(KEY REQUEST));
    expect(view.server, BYTES(REQUEST));
    say(control.client, BYTES(REQUEST));
    expect(control.server, BYTES(REQUEST));
    g_assert_cmpint(f->heard, ==, 0);
    say(control.client, BYTES(KEY));
    g_assert_true(wait_until(has_been_told, f, DEADLINE_MS, NULL));
    say(control.client, BYTES(KEY REQUEST));
    expect(control.server, BYTES(KEY KEY REQUEST));
    g_assert_cmpint(f->heard, ==, 1);
    gate_await_input(f->gate, note_heard);
    gate_await_input(f->gate, NULL);
    say(control.client, BYTES(KEY REQUEST));
    expect(control.server, BYTES(KEY REQUEST));
    g_assert_cmpint(f->heard, ==, 1);
    pair_close(&view);
    pair_close(&control);
    expect_viewers(f, 0);
}

/* A message that is not known ends who watches, before anything behind it gets through. */
static void test_broken(Fixture *f, gconstpointer unused)
{
    (void)unused;
    open_token(f, "view", RFB_ROLE_VIEW);
    Pair view = join_and_accept(f, "view");
    say(view.client, BYTES("\x01" KEY REQUEST));
    expect_closed(&view.client);
    expect_closed(&view.server);
}

static void test_list(Fixture *f, gconstpointer unused)
{
    (void)unused;
    size_t count;
    gint64 before_s = now_s();
    open_token(f, "control", RFB_ROLE_CONTROL);
    open_token(f, "view", RFB_ROLE_VIEW);
    Pair a = join_and_accept(f, "control"), b = join_and_accept(f, "view");
    g_autofree GateViewer *rows = gate_viewers(f->gate, &count);
    g_assert_cmpuint(count, ==, 2);
    g_assert_cmpstr(rows[0].token, ==, "control");
    g_assert_cmpint(rows[0].role, ==, RFB_ROLE_CONTROL);
    g_assert_cmpuint(rows[0].serial, ==, 1);
    g_assert_cmpstr(rows[1].token, ==, "view");
    g_assert_cmpint(rows[1].role, ==, RFB_ROLE_VIEW);
    g_assert_cmpuint(rows[1].serial, ==, 2);
    g_assert_cmpint(rows[1].since_s, >=, before_s);
    g_assert_cmpint(rows[1].since_s, <=, now_s());

    g_assert_false(gate_disconnect(f->gate, 0));
    g_assert_false(gate_disconnect(f->gate, 3));
    g_assert_true(gate_disconnect(f->gate, 1));
    g_assert_false(gate_disconnect(f->gate, 1));
    expect_closed(&a.client);
    expect_closed(&a.server);
    g_assert_cmpuint(gate_viewer_count(f->gate), ==, 1);
    a = join_and_accept(f, "control");
    g_free(g_steal_pointer(&rows));
    rows = gate_viewers(f->gate, &count);
    g_assert_cmpuint(rows[1].serial, ==, 3);
    pair_close(&a);
    pair_close(&b);
}

/* --- who may come in, and until when --- */

static void test_open_errors(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const bad[] = {"", ".", "..", ".hidden", "a/b", "../x"};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_false(gate_open(f->gate, f->folder, bad[i], RFB_ROLE_VIEW, 0, &error));
        g_assert_error(error, QWD_ERROR, QWD_ERROR_USAGE);
    }
    g_autoptr(GError) expired = NULL, twice = NULL, exists = NULL, folder = NULL;
    g_assert_false(gate_open(f->gate, f->folder, "t", RFB_ROLE_VIEW, 1, &expired));
    g_assert_error(expired, QWD_ERROR, QWD_ERROR_USAGE);
    open_token(f, "t", RFB_ROLE_VIEW);
    g_assert_false(gate_open(f->gate, f->folder, "t", RFB_ROLE_VIEW, 0, &twice));
    g_assert_error(twice, QWD_ERROR, QWD_ERROR_CONFLICT);
    g_assert_false(gate_open(f->gate, f->folder, "vnc", RFB_ROLE_VIEW, 0, &exists));
    g_assert_nonnull(exists);
    g_assert_true(g_file_test(f->vnc_path, G_FILE_TEST_EXISTS));
    g_assert_false(gate_open(f->gate, "/nonexistent", "u", RFB_ROLE_VIEW, 0, &folder));
    g_assert_nonnull(folder);
    g_assert_false(gate_is_open(f->gate, "u"));
}

static void test_revoke(Fixture *f, gconstpointer unused)
{
    (void)unused;
    open_token(f, "one", RFB_ROLE_CONTROL);
    open_token(f, "two", RFB_ROLE_CONTROL);
    Pair a = join_and_accept(f, "one"), b = join_and_accept(f, "one"), c = join_and_accept(f, "two");
    g_autofree char *path = g_build_filename(f->folder, "one", NULL);
    g_assert_true(gate_close(f->gate, "one"));
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    expect_closed(&a.client);
    expect_closed(&a.server);
    expect_closed(&b.client);
    expect_closed(&b.server);
    g_assert_false(gate_close(f->gate, "one"));
    g_assert_false(gate_is_open(f->gate, "one"));
    say(c.client, BYTES(KEY));
    expect(c.server, BYTES(KEY));
    pair_close(&c);
}

/* A viewer of the token "soon", which is good until *soon_s. When that has come before the viewer, another one. */
static Pair join_soon(Fixture *f, gint64 *soon_s)
{
    g_autofree char *path = g_build_filename(f->folder, "soon", NULL);
    for (int ahead_s = 2; ahead_s <= 64; ahead_s *= 2) {
        *soon_s = now_s() + ahead_s;
        g_assert_true(gate_open(f->gate, f->folder, "soon", RFB_ROLE_VIEW, *soon_s, NULL));
        Pair pair = {.client = unix_connect(path, NULL)};
        settle();
        pair.server = accept4(f->vnc_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        settle();
        if (gate_is_open(f->gate, "soon")) {
            g_assert_true(pair.client >= 0 && pair.server >= 0);
            return pair;
        }
        pair_close(&pair);
    }
    g_assert_not_reached();
}

static void note_alarm(void *data)
{
    *(bool *)data = true;
}

static bool has_rung(void *data)
{
    return *(bool *)data;
}

/* Not before its time, and not after an alarm of our own for the same second. */
static void test_expiry(Fixture *f, gconstpointer unused)
{
    (void)unused;
    bool rung = false;
    gint64 soon_s;
    Pair soon = join_soon(f, &soon_s);
    g_assert_true(gate_open(f->gate, f->folder, "later", RFB_ROLE_VIEW, soon_s + 3600, NULL));
    Pair later = join_and_accept(f, "later");
    g_assert_cmpint(alarm_at(soon_s, note_alarm, &rung, NULL), >, 0);
    g_assert_true(wait_until(is_closed, &soon.client, DEADLINE_MS, NULL) || rung);
    g_assert_cmpint(now_s(), >=, soon_s);
    g_assert_true(wait_until(has_rung, &rung, DEADLINE_MS, NULL));
    settle();
    g_assert_true(is_closed(&soon.client));
    g_assert_false(gate_is_open(f->gate, "soon"));
    g_assert_true(gate_is_open(f->gate, "later"));
    g_autofree char *path = g_build_filename(f->folder, "soon", NULL);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    say(later.client, BYTES(REQUEST));
    expect(later.server, BYTES(REQUEST));
    pair_close(&soon);
    pair_close(&later);
}

static void test_limit(Fixture *f, gconstpointer unused)
{
    (void)unused;
    open_token(f, "one", RFB_ROLE_CONTROL);
    open_token(f, "two", RFB_ROLE_CONTROL);
    Pair a = join_and_accept(f, "one"), b = join_and_accept(f, "one");
    int third = join(f, "one");
    expect_closed(&third);
    Pair other = join_and_accept(f, "two");
    pair_close(&a);
    expect_viewers(f, 2);
    a = join_and_accept(f, "one");
    pair_close(&a);
    pair_close(&b);
    pair_close(&other);
}

static void test_changed(Fixture *f, gconstpointer unused)
{
    (void)unused;
    open_token(f, "one", RFB_ROLE_CONTROL);
    Pair a = join_and_accept(f, "one");
    g_assert_cmpint(f->changes, ==, 1);
    pair_close(&a);
    expect_viewers(f, 0);
    g_assert_cmpint(f->changes, ==, 2);
}

static void free_gate(Gate *gate, void *data)
{
    if (gate_viewer_count(gate) == 0)
        g_clear_pointer((Gate **)data, gate_free);
}

static void test_free_when_left(Fixture *f, gconstpointer unused)
{
    (void)unused;
    Gate *own = gate_new(f->vnc_path, 1, free_gate, &own);
    g_assert_true(gate_open(own, f->folder, "own", RFB_ROLE_VIEW, 0, NULL));
    Pair a = join_and_accept(f, "own");
    pair_close(&a);
    while (own)
        g_main_context_iteration(NULL, TRUE);
}

/* --- the VNC side --- */

static void test_no_server(Fixture *f, gconstpointer unused)
{
    (void)unused;
    fd_close_pointed(&f->vnc_fd);
    open_token(f, "one", RFB_ROLE_CONTROL);
    int refused = join(f, "one");
    expect_closed(&refused);
    unlink(f->vnc_path);
    int absent = join(f, "one");
    expect_closed(&absent);
    f->vnc_fd = listen_like_qemu(f->vnc_path);
    Pair a = join_and_accept(f, "one");
    pair_close(&a);
}

static void test_server_ends(Fixture *f, gconstpointer unused)
{
    (void)unused;
    open_token(f, "one", RFB_ROLE_CONTROL);
    Pair a = join_and_accept(f, "one");
    say(a.server, BYTES("last words"));
    fd_close_pointed(&a.server);
    expect(a.client, BYTES("last words"));
    expect_closed(&a.client);
    expect_viewers(f, 0);
}

/* Closing with bytes unread makes the other side's next read fail with ECONNRESET. */
static void test_resets(Fixture *f, gconstpointer unused)
{
    (void)unused;
    open_token(f, "one", RFB_ROLE_CONTROL);
    Pair a = join_and_accept(f, "one"), b = join_and_accept(f, "one");
    say(a.server, BYTES("nobody reads this"));
    say(b.client, BYTES(KEY));
    fd_close_pointed(&a.client);
    fd_close_pointed(&b.server);
    expect_closed(&a.server);
    expect_closed(&b.client);
    expect_viewers(f, 0);
}

static void test_half_close(Fixture *f, gconstpointer unused)
{
    (void)unused;
    open_token(f, "one", RFB_ROLE_CONTROL);
    Pair a = join_and_accept(f, "one");
    say(a.client, BYTES(KEY));
    g_assert_cmpint(shutdown(a.client, SHUT_WR), ==, 0);
    expect(a.server, BYTES(KEY));
    settle();
    g_assert_true(is_closed(&a.server));
    say(a.server, BYTES("still here"));
    expect(a.client, BYTES("still here"));
    g_assert_cmpuint(gate_viewer_count(f->gate), ==, 1);
    g_assert_false(g_main_context_iteration(NULL, FALSE)); /* waits; does not spin */
    fd_close_pointed(&a.server);
    expect_closed(&a.client);
}

/* The server has ended its half only: it has nothing more to show. */
static void test_server_half_close(Fixture *f, gconstpointer unused)
{
    (void)unused;
    open_token(f, "one", RFB_ROLE_CONTROL);
    Pair a = join_and_accept(f, "one");
    say(a.server, BYTES("bye"));
    g_assert_cmpint(shutdown(a.server, SHUT_WR), ==, 0);
    expect(a.client, BYTES("bye"));
    expect_closed(&a.client);
    pair_close(&a);
}

/* --- streams --- */

#define STREAM_BYTES (50 * 1024 * 1024)

typedef struct {
    Pair pair;
    size_t written, read, read_limit;
} Transfer;

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 31 + (at >> 12));
}

static void write_some(Transfer *t)
{
    uint8_t buffer[32768];
    size_t n = MIN(sizeof buffer, STREAM_BYTES - t->written);
    for (size_t i = 0; i < n; i++)
        buffer[i] = pattern(t->written + i);
    ssize_t sent = n ? send(t->pair.server, buffer, n, MSG_NOSIGNAL) : 0;
    t->written += sent > 0 ? (size_t)sent : 0;
    if (t->written == STREAM_BYTES)
        fd_close_pointed(&t->pair.server);
}

static void read_some(Transfer *t)
{
    uint8_t buffer[32768];
    ssize_t n = recv(t->pair.client, buffer, MIN(sizeof buffer, t->read_limit - t->read), 0);
    for (ssize_t i = 0; i < n; i++)
        g_assert_cmpint(buffer[i], ==, pattern(t->read + (size_t)i));
    t->read += n > 0 ? (size_t)n : 0;
}

/* Writes and reads while anything moves. */
static void transfer(Transfer *t)
{
    for (int idle = 0; idle < 3; idle++) {
        size_t before = t->written + t->read;
        if (t->pair.server >= 0)
            write_some(t);
        if (t->read < t->read_limit)
            read_some(t);
        while (g_main_context_iteration(NULL, FALSE))
            continue;
        if (t->written + t->read != before)
            idle = 0;
    }
}

static void test_back_pressure(Fixture *f, gconstpointer unused)
{
    (void)unused;
    open_token(f, "one", RFB_ROLE_CONTROL);
    Transfer t = {.pair = join_and_accept(f, "one")};
    transfer(&t);
    g_assert_cmpuint(t.written, <, 1024 * 1024); /* two sockets' and our own buffer */

    Pair other = join_and_accept(f, "one");
    say(other.client, BYTES(KEY));
    expect(other.server, BYTES(KEY));
    pair_close(&other);

    t.read_limit = 3000000;
    transfer(&t);
    g_assert_cmpuint(t.read, ==, t.read_limit);
    g_assert_cmpuint(t.written, <, t.read + 1024 * 1024);
    t.read_limit = STREAM_BYTES;
    transfer(&t);
    g_assert_cmpuint(t.read, ==, STREAM_BYTES); /* although the server is long gone at the end */
    expect_closed(&t.pair.client);
}

/* Upwards: a clipboard that the server does not take. */
static void test_back_pressure_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char zeros[65536];
    open_token(f, "one", RFB_ROLE_CONTROL);
    Pair a = join_and_accept(f, "one");
    say(a.client, BYTES("\x06\0\0\0\x02\0\0\0"));
    size_t sent = 0;
    for (int idle = 0; idle < 3; idle++) {
        ssize_t n = send(a.client, zeros, sizeof zeros, MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        idle = n > 0 ? 0 : idle;
        while (g_main_context_iteration(NULL, FALSE))
            continue;
    }
    g_assert_cmpuint(sent, <, 1024 * 1024);
    fd_close_pointed(&a.client);
    expect_viewers(f, 0);
    pair_close(&a);
}

/* All come at once, while the server's queue holds two and it takes its time. */
static void test_many(Fixture *f, gconstpointer unused)
{
    (void)unused;
    enum { MANY = 60 };
    Pair pairs[MANY];
    open_token(f, "one", RFB_ROLE_CONTROL);
    for (int i = 0; i < MANY; i++)
        pairs[i].client = join(f, "one");
    expect_viewers(f, MANY);
    for (int i = 0; i < MANY; i++) {
        pairs[i].server = accept_one(f);
        say(pairs[i].server, BYTES(GREETING));
    }
    for (int i = 0; i < MANY; i++) {
        expect(pairs[i].client, BYTES(GREETING));
        say(pairs[i].client, BYTES(HELLO KEY));
    }
    for (int i = 0; i < MANY; i++)
        expect(pairs[i].server, BYTES(HELLO KEY));
    for (int i = 0; i < MANY; i++)
        pair_close(&pairs[i]);
    expect_viewers(f, 0);
}

/* Who waits for a busy server may leave, or be sent away. */
static void test_leave_while_waiting(Fixture *f, gconstpointer unused)
{
    (void)unused;
    enum { MANY = 6 };
    int clients[MANY];
    open_token(f, "one", RFB_ROLE_CONTROL);
    for (int i = 0; i < MANY; i++)
        clients[i] = join(f, "one");
    expect_viewers(f, MANY);
    fd_close_pointed(&clients[4]);
    expect_viewers(f, MANY - 1);
    g_assert_true(gate_disconnect(f->gate, 6));
    expect_closed(&clients[5]);
    for (int i = 0; i < 4; i++) {
        int server = accept_one(f);
        say(server, BYTES(GREETING));
        expect(clients[i], BYTES(GREETING));
        fd_close_pointed(&server);
        expect_closed(&clients[i]);
    }
}

static void set_descriptors_max(rlim_t max)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = max;
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
}

/* Without descriptors the gate rests instead of trying all the time, and goes on when a viewer leaves. */
static void test_descriptors(Fixture *f, gconstpointer unused)
{
    (void)unused;
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    open_token(f, "one", RFB_ROLE_CONTROL);
    Pair a = join_and_accept(f, "one");
    int late = join(f, "one");
    int lowest_free = dup(late);
    close(lowest_free);
    set_descriptors_max((rlim_t)lowest_free);
    for (int i = 0; i < 20; i++)
        g_main_context_iteration(NULL, FALSE);
    g_assert_false(g_main_context_iteration(NULL, FALSE));
    g_assert_cmpuint(gate_viewer_count(f->gate), ==, 1);
    set_descriptors_max(before.rlim_cur);
    pair_close(&a);
    settle(); /* the time of its rest is not waited for */
    int server = accept4(f->vnc_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    g_assert_cmpint(server, >=, 0);
    say(server, BYTES(GREETING));
    expect(late, BYTES(GREETING));
    fd_close_pointed(&server);
    fd_close_pointed(&late);
}

static void add(const char *path, unsigned connections_max, void (*test)(Fixture *, gconstpointer))
{
    g_test_add(path, Fixture, GUINT_TO_POINTER(connections_max), set_up, test, tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/gate/roles", 0, test_roles);
    add("/gate/await-input", 0, test_await_input);
    add("/gate/broken", 0, test_broken);
    add("/gate/list", 0, test_list);
    add("/gate/open-errors", 0, test_open_errors);
    add("/gate/revoke", 0, test_revoke);
    add("/gate/expiry", 0, test_expiry);
    add("/gate/limit", 0, test_limit);
    add("/gate/changed", 0, test_changed);
    add("/gate/free-when-left", 0, test_free_when_left);
    add("/gate/no-server", 0, test_no_server);
    add("/gate/server-ends", 0, test_server_ends);
    add("/gate/resets", 0, test_resets);
    add("/gate/half-close", 0, test_half_close);
    add("/gate/server-half-close", 0, test_server_half_close);
    add("/gate/back-pressure", 0, test_back_pressure);
    add("/gate/back-pressure-up", 0, test_back_pressure_up);
    add("/gate/many", 100, test_many);
    add("/gate/leave-while-waiting", 100, test_leave_while_waiting);
    add("/gate/descriptors", 0, test_descriptors);
    return g_test_run();
}
