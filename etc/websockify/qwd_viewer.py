# SPDX-License-Identifier: AGPL-3.0-or-later
"""websockify's authentication plug-in: notes who connects, for the gate of the session.

websockify serves each viewer in a process of its own; the gate knows the process at the other end of its socket. So a
file named by the process tells the gate the browser's address, Origin and Host, and the gate judges.
"""
import json
import os
import socket


class Viewer:
    def __init__(self, src=None):
        self.folder = src

    def authenticate(self, headers, target_host, target_port):
        note = {"address": address_of(headers), "origin": headers.get("Origin", ""), "host": host_of(headers)}
        path = os.path.join(self.folder, str(os.getpid()))
        with open(path + ".new", "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            json.dump(note, file)
        os.rename(path + ".new", path)


def last(value):
    return (value or "").rsplit(",", 1)[-1].strip()


def peer():
    """The other end of this process's one TCP connection."""
    for name in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(name))) as connection:
                if connection.family in (socket.AF_INET, socket.AF_INET6):
                    return connection.getpeername()[0]
        except OSError:
            continue
    return ""


def is_local(address):
    return address in ("127.0.0.1", "::1", "::ffff:127.0.0.1")


def address_of(headers):
    """The last address that a proxy on this host has seen; without one, the peer's."""
    address = peer()
    forwarded = last(headers.get("X-Forwarded-For"))
    return forwarded if forwarded and is_local(address) else address


def host_of(headers):
    forwarded = last(headers.get("X-Forwarded-Host"))
    return forwarded if forwarded and is_local(peer()) else headers.get("Host", "")
