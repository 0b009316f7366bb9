/* SPDX-License-Identifier: AGPL-3.0-or-later
 * A VNC viewer without a window, for tests and benchmarks: runs its options in order, and says what it saw as lines of
 * JSON. Exit code 0: all seen; 1: something not seen before its deadline; 2: usage; 3: could not connect. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/fd.h"
#include "vnc-probe.h"
#include "websocket-bridge.h"

#define DEADLINE_MS 10000
#define READ_TIMEOUT_S 60

Probe probe;

/* --- what libvncclient tells --- */

/* FNV-1a over pixels without their fourth byte. */
static guint64 picture_hash(const rfbClient *client)
{
    guint64 hash = 0xcbf29ce484222325u ^ (guint64)client->width << 32 ^ (guint64)client->height;
    const guint32 *pixels = (const guint32 *)(const void *)client->frameBuffer;
    for (size_t i = 0; i < (size_t)client->width * (size_t)client->height; i++)
        hash = (hash ^ (GUINT32_FROM_LE(pixels[i]) & 0xffffff)) * 0x100000001b3u;
    return hash;
}

static rfbBool on_size(rfbClient *client)
{
    size_t bytes = (size_t)client->width * (size_t)client->height * 4;
    g_free(client->frameBuffer);
    client->frameBuffer = g_malloc0(MAX(bytes, 4));
    client->updateRect.x = client->updateRect.y = 0;
    client->updateRect.w = client->width;
    client->updateRect.h = client->height;
    probe.area = 0;
    return TRUE;
}

static void on_update(rfbClient *client, int x, int y, int w, int h)
{
    (void)client;
    (void)x;
    (void)y;
    probe.area += (guint64)w * (guint64)h;
    probe.pixels += (guint64)w * (guint64)h;
}

static void on_finished(rfbClient *client)
{
    guint64 picture = picture_hash(client);
    gint64 now_us = g_get_monotonic_time();
    probe.updates++;
    if (!probe.full_us && probe.area >= (guint64)client->width * (guint64)client->height)
        probe.full_us = now_us;
    if (picture != probe.picture)
        probe.changed_us = now_us;
    probe.picture = picture;
}

static void on_cut_text(rfbClient *client, const char *text, int length)
{
    (void)client;
    g_free(probe.cut_text);
    probe.cut_text = g_strndup(text, (size_t)length);
}

/* --- waiting --- */

gint64 since_ms(gint64 start_us)
{
    return (g_get_monotonic_time() - start_us) / 1000;
}

void serve(gint64 ms)
{
    rfbClient *client = probe.client;
    int ready = client->buffered ? 1 : WaitForMessage(client, (unsigned)MAX(ms, 0) * 1000);
    if (ready < 0 || (ready > 0 && !HandleRFBServerMessage(client)))
        probe.closed = true;
}

bool wait_for(Seen seen, const void *what)
{
    gint64 start_us = g_get_monotonic_time();
    while (!seen(what) && !probe.closed && since_ms(start_us) < probe.deadline_ms)
        serve(probe.deadline_ms - since_ms(start_us));
    return seen(what);
}

bool say(const char *action, bool ok, json_t *more)
{
    g_autoptr(JsonValue) line = json_pack("{s:s, s:b}", "action", action, "ok", ok);
    if (more)
        json_object_update_new(line, more);
    if (!ok && probe.closed)
        json_object_set_new(line, "closed", json_true());
    json_dumpf(line, stdout, JSON_REAL_PRECISION(6));
    putchar('\n');
    fflush(stdout);
    return ok;
}

/* --- the command line --- */

typedef struct {
    const char *name;
    const char *value; /* what it is called; NULL: none */
    bool (*run)(const char *value);
    const char *help;
} Action;

static const Action actions[] = {
    {"--wait-frame", NULL, do_wait_frame, "wait for the first full picture; ms since connecting"},
    {"--name", NULL, do_name, "name of the desktop"},
    {"--hash", NULL, do_hash, "SHA-256 of the picture as RGB bytes"},
    {"--png", "FILE", do_png, "write the picture"},
    {"--type", "TEXT", do_type, "as on a US keyboard; \\n Return, \\t Tab, \\033 Escape, C's escapes"},
    {"--key", "HEX[+HEX...]", do_key, "press keysyms together"},
    {"--click", "X,Y", do_click, "left button"},
    {"--cut-text", "TEXT", do_cut_text, "offer a clipboard"},
    {"--wait-cut-text", "TEXT", do_wait_cut_text, "wait until the server's clipboard contains it"},
    {"--resize", "WxH", do_resize, "ask for a size"},
    {"--wait-size", "WxH", do_wait_size, "wait until the picture has the size"},
    {"--wait-change", "MS", do_wait_change, "wait for another picture than now"},
    {"--wait-still", "MS", do_wait_still, "wait until nothing has changed for so long"},
    {"--wait-color", "X,Y,RRGGBB[,TOLERANCE]", do_wait_color, "wait for a pixel"},
    {"--expect-close", "MS", do_expect_close, "wait until the server closes"},
    {"--hold", "SECONDS", do_hold, "watch until standard input ends, at most so long; counts updates"},
};

static int usage(void)
{
    fprintf(stderr, "vnc-probe unix:PATH | tcp:HOST:PORT | ws://HOST:PORT/PATH?QUERY  [OPTION...]\n"
                    "  --header 'NAME: VALUE'  --encodings 'raw ...'   for the connection\n"
                    "  --deadline MS           for the action before it; 10000 otherwise\n");
    for (size_t i = 0; i < G_N_ELEMENTS(actions); i++)
        fprintf(stderr, "  %s %s\n        %s\n", actions[i].name, actions[i].value ? actions[i].value : "",
                actions[i].help);
    return EXIT_USAGE;
}

static const Action *action_find(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(actions); i++) {
        if (g_str_equal(actions[i].name, name))
            return &actions[i];
    }
    return NULL;
}

static const char *option_value(char **argv, const char *name)
{
    for (; *argv; argv++) {
        if (g_str_equal(*argv, name))
            return argv[1];
    }
    return NULL;
}

static bool run_all(char **argv)
{
    bool ok = true;
    while (ok && *argv) {
        const Action *action = action_find(*argv);
        char **next = argv + (action && !action->value ? 1 : 2);
        bool has_deadline = *next && next[1] && g_str_equal(*next, "--deadline");
        probe.deadline_ms = has_deadline ? atoi(next[1]) : DEADLINE_MS;
        if (action)
            ok = action->run(argv[1]);
        argv = next;
    }
    return ok;
}

/* Known options, each with its value. */
static bool check(char **argv)
{
    static const char *const others[] = {"--header", "--encodings", "--deadline", NULL};
    while (*argv) {
        const Action *action = action_find(*argv);
        if (!action && !g_strv_contains(others, *argv))
            return false;
        bool has_value = !action || action->value;
        if (has_value && !argv[1])
            return false;
        argv += has_value ? 2 : 1;
    }
    return true;
}

static int connect_to(const char *target, const char *header, GError **error)
{
    if (g_str_has_prefix(target, "unix:"))
        return unix_connect(target + 5, error);
    if (g_str_has_prefix(target, "tcp:")) {
        g_auto(GStrv) words = g_strsplit(target, ":", 3);
        return tcp_connect(words[1], words[1] && words[2] ? words[2] : "5900", error);
    }
    g_autofree char *headers = header ? g_strconcat(header, "\r\n", NULL) : g_strdup("");
    return websocket_bridge(target, headers, error);
}

/* libvncclient takes a connected socket where it believes that the server has called. */
static bool start_client(int fd, const char *encodings)
{
    rfbClient *client = rfbGetClient(8, 3, 4);
    client->sock = fd;
    client->listenSpecified = TRUE;
    client->canHandleNewFBSize = TRUE;
    client->readTimeout = READ_TIMEOUT_S;
    client->MallocFrameBuffer = on_size;
    client->GotFrameBufferUpdate = on_update;
    client->FinishedFrameBufferUpdate = on_finished;
    client->GotXCutText = on_cut_text;
    if (encodings)
        client->appData.encodingsString = encodings;
    probe.client = client;
    return rfbInitClient(client, NULL, NULL);
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    if (argc < 2 || !check(argv + 2))
        return usage();
    rfbEnableClientLogging = g_getenv("VNC_PROBE_VERBOSE") != NULL;
    probe.start_us = g_get_monotonic_time();
    int fd = connect_to(argv[1], option_value(argv + 2, "--header"), &error);
    if (fd < 0 || !start_client(fd, option_value(argv + 2, "--encodings"))) {
        say("connect", false, json_pack("{s:s}", "error", error ? error->message : "no RFB handshake"));
        return EXIT_NO_CONNECTION;
    }
    bool ok = run_all(argv + 2);
    g_free(probe.client->frameBuffer);
    probe.client->frameBuffer = NULL;
    rfbClientCleanup(probe.client);
    return ok ? EXIT_SEEN : EXIT_NOT_SEEN;
}
