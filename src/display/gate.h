/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The gate of one session, served by the default main context: it offers token sockets and joins each
 * connection to QEMU's VNC socket, the viewer's bytes through the filter of display/rfb.h. The socket's file is
 * the capability: who can connect to it is in, in the role of the token; closing a token ends its connections.
 * Memory is bounded by two 64 KiB buffers for a viewer; one that does not read stalls itself alone. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "display/rfb.h"

typedef struct Gate Gate;

/* Viewers came or left. Called from the main loop, once for several changes at once; may call any
 * function of the gate, gate_free included. */
typedef void (*GateChanged)(Gate *gate, void *data);

/* vnc_path: QEMU's VNC socket, which need not exist before somebody connects. connections_max: viewers that one
 * token may have at once; one more is accepted and closed. `changed` may be NULL. Never NULL. */
Gate *gate_new(const char *vnc_path, unsigned connections_max, GateChanged changed, void *data);

/* Asked before a connection is joined: whether the process at its other end (pid 0: unknown) may come in, and for the
 * address of whoever is behind it (g_free, may stay NULL). *note may become a descriptor, which the gate keeps as long
 * as the connection. */
typedef bool (*GateAdmit)(const struct ucred *peer, char **address, int *note, void *data);

/* Told when a viewer's connection has ended by itself, with its address ("" unknown) and its note. `fault` says what
 * was wrong with what it sent; NULL: nothing. */
typedef void (*GateEnded)(const char *address, int note, const char *fault, void *data);

/* `ended` may be NULL. */
void gate_set_admit(Gate *gate, GateAdmit admit, GateEnded ended);

/* Closes and unlinks everything. Accepts NULL. */
void gate_free(Gate *gate);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Gate, gate_free)

/* Listens on folder/token, which must not exist. expires_at_s is UTC seconds, 0 for never; the wall clock counts,
 * also when it is set. When the time has come, it is as if gate_close were called, and `changed` is called.
 * Errors: QWD_ERROR_USAGE (not a file name, or expired already), QWD_ERROR_CONFLICT (open already), the system's. */
bool gate_open(Gate *gate, const char *folder, const char *token, RfbRole role, gint64 expires_at_s, GError **error);

/* Revokes a token: unlinks its socket and closes its connections before it returns. False when there is no such token.
 */
bool gate_close(Gate *gate, const char *token);

/* Whether the token is open: neither closed nor expired. */
bool gate_is_open(const Gate *gate, const char *token);

typedef struct {
    guint64 serial;    /* counts up from 1 for this gate, never used twice */
    const char *token; /* borrowed; gone with the token */
    RfbRole role;
    gint64 since_s;      /* UTC */
    const char *address; /* borrowed, as the token; "" unknown */
} GateViewer;

/* Whether anybody has ever been connected. */
bool gate_had_viewer(const Gate *gate);

unsigned gate_viewer_count(const Gate *gate);

/* Who is connected, the oldest first; *count rows. Free with g_free. */
GateViewer *gate_viewers(const Gate *gate, size_t *count);

/* Ends one connection; its token stays open. False when it is gone already. */
bool gate_disconnect(Gate *gate, guint64 serial);

/* When somebody last typed, pointed or offered a clipboard in role CONTROL: UTC seconds and g_get_monotonic_time()
 * microseconds; 0 before the first time. */
gint64 gate_last_input_s(const Gate *gate);
gint64 gate_last_input_monotonic_us(const Gate *gate);

/* Calls `heard` once at the next input of that kind, from the main loop; NULL takes that back. */
void gate_await_input(Gate *gate, GateChanged heard);
