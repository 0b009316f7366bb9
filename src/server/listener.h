/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The listening socket. It is made before the process gives up root, so that the port may be 80. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Listens on an address or name; port 0 takes a free one. -1 on error: QWD_ERROR_CONFLICT when the port is taken,
 * QWD_ERROR_USAGE for an address that is not ours. */
int listener_open(const char *address, int port, GError **error);

int listener_port(int fd);
bool listener_is_ipv6(int fd);

/* "http://address:port", with the loopback address for "all addresses". Free with g_free. */
char *listener_url(int fd);
