/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What a guest may send out. passt connects to whatever address a packet is for, also to those of this host, and the
 * root of a guest can send packets for 127.0.0.1 as well: such frames must not get to passt.
 *
 * The stream between QEMU and passt is Ethernet frames, before each its length in four bytes, big-endian. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#define FRAME_MAX_BYTES (68 * 1024) /* QEMU's and passt's are at most 64 KiB and a head */

typedef struct FrameFilter FrameFilter;

/* Knows no address of this host yet. */
FrameFilter *frame_filter_new(void);
void frame_filter_free(FrameFilter *filter);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FrameFilter, frame_filter_free)

/* Replaces the addresses of this host by those that its interfaces have now. */
void frame_filter_read_host(FrameFilter *filter);

/* Adds one, as text. */
void frame_filter_add(FrameFilter *filter, const char *address);

/* ARP, and IP for other hosts. */
bool frame_may_pass(const FrameFilter *filter, const guint8 *frame, size_t length);

/* Looks at the whole frames at the beginning of `bytes` and moves those that may pass to the front: *passing bytes of
 * stream. Returns how many bytes it has looked at; -1 when this is no such stream. */
ssize_t frame_filter_stream(const FrameFilter *filter, guint8 *bytes, size_t length, size_t *passing);
