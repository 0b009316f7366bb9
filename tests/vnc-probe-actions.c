/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <poll.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vnc-probe.h"

#define PACE_MS 30 /* between keys: QEMU's keyboard drops what comes faster than the guest takes it */

#define KEYSYM_RETURN 0xff0d
#define KEYSYM_TAB 0xff09
#define KEYSYM_ESCAPE 0xff1b
#define KEYSYM_SHIFT 0xffe1

static void serve_for(gint64 ms)
{
    gint64 start_us = g_get_monotonic_time();
    while (!probe.closed && since_ms(start_us) < ms)
        serve(ms - since_ms(start_us));
}

static json_t *time_since_start(gint64 at_us)
{
    return json_pack("{s:f}", "ms", (double)(at_us - probe.start_us) / 1000.0);
}

static bool is_full(const void *what)
{
    (void)what;
    return probe.full_us != 0;
}

bool do_wait_frame(const char *value)
{
    (void)value;
    bool ok = wait_for(is_full, NULL);
    json_t *more = time_since_start(ok ? probe.full_us : g_get_monotonic_time());
    json_object_set_new(more, "width", json_integer(probe.client->width));
    json_object_set_new(more, "height", json_integer(probe.client->height));
    return say("wait-frame", ok, more);
}

bool do_name(const char *value)
{
    (void)value;
    return say("name", true, json_pack("{s:s}", "name", probe.client->desktopName));
}

bool do_hash(const char *value)
{
    (void)value;
    const rfbClient *client = probe.client;
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    for (size_t i = 0; i < (size_t)client->width * (size_t)client->height; i++)
        g_checksum_update(sum, client->frameBuffer + 4 * i, 3);
    return say("hash", true,
               json_pack("{s:s, s:i, s:i}", "sha256", g_checksum_get_string(sum), "width", client->width, "height",
                         client->height));
}

bool do_png(const char *path)
{
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)probe.client->width,
                       .height = (png_uint_32)probe.client->height,
                       .format = PNG_FORMAT_RGB};
    size_t count = (size_t)image.width * image.height;
    g_autofree uint8_t *pixels = g_malloc(count * 3);
    for (size_t i = 0; i < count; i++)
        memcpy(pixels + 3 * i, probe.client->frameBuffer + 4 * i, 3);
    bool ok = png_image_write_to_file(&image, path, 0, pixels, 0, NULL);
    return say("png", ok, json_pack("{s:s}", "file", path));
}

static void press(const guint32 *keysyms, size_t count)
{
    for (size_t i = 0; i < count; i++)
        SendKeyEvent(probe.client, keysyms[i], TRUE);
    serve_for(PACE_MS / 2);
    for (size_t i = count; i-- > 0;)
        SendKeyEvent(probe.client, keysyms[i], FALSE);
    serve_for(PACE_MS / 2);
}

/* X11's keysyms: Latin-1 is itself, other characters have 0x01000000 added. */
static guint32 keysym_of(gunichar c)
{
    switch (c) {
    case '\n':
        return KEYSYM_RETURN;
    case '\t':
        return KEYSYM_TAB;
    case '\033':
        return KEYSYM_ESCAPE;
    default:
        return c < 0x100 ? c : 0x01000000 | c;
    }
}

/* On a US keyboard; QEMU leaves Shift to the viewer. */
static bool needs_shift(gunichar c)
{
    return c < 0x80 && (g_ascii_isupper((char)c) || (c > ' ' && strchr("~!@#$%^&*()_+{}|:\"<>?", (int)c)));
}

bool do_type(const char *value)
{
    g_autofree char *text = g_strcompress(value);
    for (const char *at = text; *at; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);
        guint32 keysyms[] = {KEYSYM_SHIFT, keysym_of(c)};
        bool shift = needs_shift(c);
        press(shift ? keysyms : keysyms + 1, shift ? 2 : 1);
    }
    return say("type", !probe.closed, NULL);
}

bool do_key(const char *value)
{
    guint32 keysyms[8];
    size_t count = 0;
    g_auto(GStrv) words = g_strsplit(value, "+", G_N_ELEMENTS(keysyms));
    for (char **word = words; *word; word++)
        keysyms[count++] = (guint32)strtoul(*word, NULL, 16);
    press(keysyms, count);
    return say("key", !probe.closed, NULL);
}

bool do_click(const char *value)
{
    static const int buttons[] = {0, 1, 0};
    int x, y;
    if (sscanf(value, "%d,%d", &x, &y) != 2)
        exit(EXIT_USAGE);
    for (size_t i = 0; i < G_N_ELEMENTS(buttons); i++) {
        SendPointerEvent(probe.client, x, y, buttons[i]);
        serve_for(PACE_MS);
    }
    return say("click", !probe.closed, NULL);
}

bool do_cut_text(const char *value)
{
    g_autofree char *text = g_strdup(value);
    SendClientCutText(probe.client, text, (int)strlen(text));
    return say("cut-text", true, NULL);
}

static bool has_cut_text(const void *what)
{
    return probe.cut_text && strstr(probe.cut_text, what);
}

bool do_wait_cut_text(const char *value)
{
    bool ok = wait_for(has_cut_text, value);
    return say("wait-cut-text", ok, json_pack("{s:s?}", "text", probe.cut_text));
}

/* --- the size: rfbproto "SetDesktopSize", one screen --- */

typedef struct {
    int width, height;
} Size;

static Size parse_size(const char *value)
{
    Size size;
    if (sscanf(value, "%dx%d", &size.width, &size.height) != 2)
        exit(EXIT_USAGE);
    return size;
}

bool do_resize(const char *value)
{
    Size size = parse_size(value);
    uint8_t message[24] = {251, 0, [6] = 1};
    message[2] = message[16] = (uint8_t)(size.width >> 8);
    message[3] = message[17] = (uint8_t)size.width;
    message[4] = message[18] = (uint8_t)(size.height >> 8);
    message[5] = message[19] = (uint8_t)size.height;
    return say("resize", WriteToRFBServer(probe.client, (char *)message, sizeof message), NULL);
}

static bool has_size(const void *what)
{
    const Size *size = what;
    return probe.client->width == size->width && probe.client->height == size->height;
}

bool do_wait_size(const char *value)
{
    Size size = parse_size(value);
    bool ok = wait_for(has_size, &size);
    return say("wait-size", ok, json_pack("{s:i, s:i}", "width", probe.client->width, "height", probe.client->height));
}

/* --- the picture --- */

static bool has_other_picture(const void *what)
{
    return probe.picture != *(const guint64 *)what;
}

bool do_wait_change(const char *value)
{
    guint64 before = probe.picture;
    gint64 start_us = g_get_monotonic_time();
    probe.deadline_ms = atoi(value);
    bool ok = wait_for(has_other_picture, &before);
    return say("wait-change", ok, json_pack("{s:I}", "ms", (json_int_t)since_ms(start_us)));
}

/* Nothing changes for so long, within the deadline. */
bool do_wait_still(const char *value)
{
    gint64 start_us = g_get_monotonic_time();
    gint64 still_ms = atoi(value), quiet_ms = 0;
    while (!probe.closed && quiet_ms < still_ms && since_ms(start_us) < probe.deadline_ms) {
        serve(still_ms - quiet_ms);
        quiet_ms = since_ms(MAX(probe.changed_us, start_us));
    }
    return say("wait-still", quiet_ms >= still_ms && !probe.closed, time_since_start(g_get_monotonic_time()));
}

typedef struct {
    int x, y, tolerance;
    unsigned rgb;
} Spot;

static bool has_color(const void *what)
{
    const Spot *spot = what;
    const rfbClient *client = probe.client;
    if (spot->x >= client->width || spot->y >= client->height)
        return false;
    const uint8_t *pixel = client->frameBuffer + 4 * ((size_t)spot->y * (size_t)client->width + (size_t)spot->x);
    for (int i = 0; i < 3; i++) {
        if (abs(pixel[i] - (int)(spot->rgb >> (16 - 8 * i) & 0xff)) > spot->tolerance)
            return false;
    }
    return true;
}

bool do_wait_color(const char *value)
{
    Spot spot = {.tolerance = 0};
    if (sscanf(value, "%d,%d,%x,%d", &spot.x, &spot.y, &spot.rgb, &spot.tolerance) < 3 || spot.x < 0 || spot.y < 0)
        exit(EXIT_USAGE);
    bool ok = wait_for(has_color, &spot);
    return say("wait-color", ok, time_since_start(g_get_monotonic_time()));
}

/* --- the connection --- */

static bool is_closed(const void *what)
{
    (void)what;
    return probe.closed;
}

bool do_expect_close(const char *value)
{
    gint64 start_us = g_get_monotonic_time();
    probe.deadline_ms = atoi(value);
    bool ok = wait_for(is_closed, NULL);
    return say("expect-close", ok, json_pack("{s:I}", "ms", (json_int_t)since_ms(start_us)));
}

bool do_hold(const char *value)
{
    gint64 start_us = g_get_monotonic_time(), limit_ms = 1000 * (gint64)atoi(value);
    guint64 updates = probe.updates, pixels = probe.pixels;
    bool stdin_open = true;
    while (stdin_open && !probe.closed && since_ms(start_us) < limit_ms) {
        char byte;
        struct pollfd items[] = {{.fd = 0, .events = POLLIN}, {.fd = probe.client->sock, .events = POLLIN}};
        poll(items, 2, probe.client->buffered ? 0 : (int)(limit_ms - since_ms(start_us)));
        if (items[0].revents)
            stdin_open = read(0, &byte, 1) > 0;
        serve(0);
    }
    return say("hold", !probe.closed,
               json_pack("{s:I, s:I, s:I}", "ms", (json_int_t)since_ms(start_us), "updates",
                         (json_int_t)(probe.updates - updates), "pixels", (json_int_t)(probe.pixels - pixels)));
}
