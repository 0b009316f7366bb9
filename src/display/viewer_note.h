/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Who a process of websockify serves: its plug-in (etc/websockify/qwd_viewer.py) has noted the browser's address,
 * Origin and Host in a file in memory (memfd_create(2)), which takes no room on a disk and goes with the process. */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <sys/socket.h>

/* Opens the note of the process at the other end of a socket, which can be read also when the process is gone. -1 with
 * QWD_ERROR_NOT_FOUND when it has none, as one of another account, and with another error when nobody can tell. */
int viewer_note_open(const struct ucred *peer, GError **error);

/* {"address", "origin", "host"}, or {"ended"}: why the plug-in has ended the connection. Free with json_decref. */
json_t *viewer_note_read(int fd, GError **error);
