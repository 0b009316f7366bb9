# SPDX-License-Identifier: AGPL-3.0-or-later
"""websockify's authentication plug-ins: they note who connects, for the gate of the session.

websockify serves each viewer in a process of its own; the gate knows the process at the other end of its socket. So a
file in that process's memory tells the gate the browser's address, Origin and Host, and the gate judges.

With UnixViewer websockify listens on a UNIX socket, which it gets as its standard input.

websockify itself keeps a message until its end has come, however long it is. Here a longer one than MESSAGE_MAX ends
the connection, and the note tells the gate why.
"""
import json
import os
import socket
import struct
import time

from websockify import websocket, websocketproxy

MESSAGE_MAX = 4 * 1024 * 1024  # bytes: far above what a viewer sends, whose longest is a clipboard
CLOSE_TOO_BIG = 1009  # RFC 6455, section 7.4.1
LINGER_S = 5
NOTE = "qwd-viewer"  # as display/viewer_note.c looks for it


class Viewer:
    def __init__(self, src=None):
        self.note = None
        bound_messages()

    def peer(self):
        """The other end of this process's one TCP connection."""
        for name in os.listdir("/proc/self/fd"):
            try:
                with socket.socket(fileno=os.dup(int(name))) as connection:
                    if connection.family in (socket.AF_INET, socket.AF_INET6):
                        return connection.getpeername()[0]
            except OSError:
                continue
        return ""

    def authenticate(self, headers, target_host, target_port):
        self.note = os.memfd_create(NOTE)  # open as long as the process lives
        self.write(note_of(headers, self.peer()))

    def write(self, note):
        os.ftruncate(self.note, 0)
        os.pwrite(self.note, json.dumps(note).encode(), 0)


class UnixViewer(Viewer):
    """Only the web server of this host connects to a UNIX socket of the service account."""

    def __init__(self, src=None):
        super().__init__(src)
        socket.fromfd = listening_socket

    def peer(self):
        return "127.0.0.1"


class Connection(socket.socket):
    """A connection through a UNIX socket. websockify sets TCP_NODELAY on each."""

    def setsockopt(self, level, *rest):
        if level != socket.IPPROTO_TCP:
            super().setsockopt(level, *rest)


class Listener(socket.socket):
    """A UNIX socket that listens. websockify wants an address of each peer, and these have none."""

    def accept(self):
        connection, _ = super().accept()
        return Connection(fileno=connection.detach()), ("", 0)


def listening_socket(fd, family, kind):
    """In place of socket.fromfd(), which websockify calls for what it gets from inetd; it takes that for TCP."""
    return Listener(fileno=os.dup(fd))


class TooLong(Exception):
    """A message of a viewer is longer than MESSAGE_MAX."""


def payload_bytes(frame):
    """The length that the head of a frame announces (RFC 6455, section 5.2); 0 while the head is not whole."""
    short = frame[1] & 0x7f if len(frame) >= 2 else 0
    if short < 126:
        return short
    size, form = (4, ">H") if short == 126 else (10, ">Q")
    return struct.unpack(form, frame[2:size])[0] if len(frame) >= size else 0


decode_frame = websocket.WebSocket._decode_hybi
run_proxy = websocketproxy.ProxyRequestHandler.do_proxy


def decode_bounded(self, received):
    """In place of WebSocket._decode_hybi(), which is asked again with each piece of a frame."""
    if len(self._partial_msg) + payload_bytes(received) > MESSAGE_MAX:
        raise TooLong
    return decode_frame(self, received)


def run_bounded(handler, target):
    """In place of ProxyRequestHandler.do_proxy()."""
    try:
        run_proxy(handler, target)
    except TooLong:
        refuse(handler)


def bound_messages():
    websocket.WebSocket._decode_hybi = decode_bounded
    websocketproxy.ProxyRequestHandler.do_proxy = run_bounded


def linger(connection):
    """Lets the other end read why: to close while there is something to read would take the close frame back."""
    end = time.monotonic() + LINGER_S
    connection.shutdown(socket.SHUT_WR)
    while (left := end - time.monotonic()) > 0:
        connection.settimeout(left)
        if not connection.recv(65536):
            return


def refuse(handler):
    reason = "A message has more than %d MB." % (MESSAGE_MAX // 1024 // 1024)
    handler.log_message("%s", reason)
    handler.server.auth_plugin.write({"ended": reason})
    try:
        handler.send_close(CLOSE_TOO_BIG, reason)
        linger(handler.request.socket)
    except OSError:
        pass  # the other end has hung up


def note_of(headers, peer):
    return {"address": address_of(headers, peer), "origin": headers.get("Origin", ""), "host": host_of(headers, peer)}


def last(value):
    return (value or "").rsplit(",", 1)[-1].strip()


def is_local(address):
    return address in ("127.0.0.1", "::1", "::ffff:127.0.0.1")


def address_of(headers, peer):
    """The last address that a proxy on this host has seen; without one, the peer's."""
    forwarded = last(headers.get("X-Forwarded-For"))
    return forwarded if forwarded and is_local(peer) else peer


def host_of(headers, peer):
    forwarded = last(headers.get("X-Forwarded-Host"))
    return forwarded if forwarded and is_local(peer) else headers.get("Host", "")
