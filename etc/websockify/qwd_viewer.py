# SPDX-License-Identifier: AGPL-3.0-or-later
"""websockify's authentication plug-ins: they note who connects, for the gate of the session.

websockify serves each viewer in a process of its own; the gate knows the process at the other end of its socket. So a
file in that process's memory tells the gate the browser's address, Origin and Host, and the gate judges.

With UnixViewer websockify listens on a UNIX socket, which it gets as its standard input.
"""
import json
import os
import socket


NOTE = "qwd-viewer"  # as display/viewer_note.c looks for it


class Viewer:
    def __init__(self, src=None):
        self.note = None

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
        with open(self.note, "w", closefd=False) as file:
            json.dump(note_of(headers, self.peer()), file)


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
