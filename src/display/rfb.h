/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The client's half of RFB (RFC 6143; rfbproto for the extensions), as a filter: bytes of a viewer in,
 * in any fragmentation; bytes for the VNC server out. It holds at most one message head, never a
 * message, so its memory is this struct. It reads lengths exactly as QEMU's ui/vnc.c does: what it takes
 * for the inside of a message can never be a message to the server.
 *
 * Both roles: security type None only, and the shared flag of ClientInit is set, so that nobody throws
 * the others out. CONTROL: everything else passes; behind a message it does not know, all does. VIEW: key,
 * pointer, clipboard, SetDesktopSize and xvp messages are dropped, and a message it does not know breaks it. A
 * clipboard of more than 4 MB breaks both. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum {
    RFB_ROLE_VIEW = 0, /* what a forgotten role means */
    RFB_ROLE_CONTROL = 1,
} RfbRole;

#define RFB_HEAD_MAX_BYTES 20

typedef enum {
    RFB_STATE_VERSION,
    RFB_STATE_SECURITY,
    RFB_STATE_INIT,
    RFB_STATE_HEAD,
    RFB_STATE_BODY,
    RFB_STATE_UNFILTERED,
    RFB_STATE_BROKEN,
} RfbState;

/* A plain value; the fields are the filter's own. */
typedef struct {
    RfbRole role;
    RfbState state;
    uint8_t head[RFB_HEAD_MAX_BYTES];
    size_t head_length;
    guint64 body_left;
    bool body_dropped;
    bool input_seen;
    bool is_too_long; /* why it is broken */
} RfbFilter;

void rfb_filter_init(RfbFilter *filter, RfbRole role);

/* Reads `length` bytes of the viewer and writes what the server shall get to `output`, which must have room
 * for length + RFB_HEAD_MAX_BYTES. Returns the number of bytes written. They do not depend on the fragmentation. */
size_t rfb_filter_run(RfbFilter *filter, const uint8_t *input, size_t length, uint8_t *output);

/* True after a protocol error: nothing is let through any more, the connection is to be closed. */
bool rfb_filter_is_broken(const RfbFilter *filter);

/* A sentence for the log: why it is broken; NULL when it is not. Static storage. */
const char *rfb_filter_fault(const RfbFilter *filter);

/* Whether somebody typed, pointed or offered a clipboard, and it was let through, since the last time asked. */
bool rfb_filter_take_input(RfbFilter *filter);
