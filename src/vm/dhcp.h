/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What passt tells a guest by DHCP (RFC 2131, RFC 2132). */
#pragma once

#include <glib.h>
#include <netinet/in.h>
#include <stdbool.h>

/* Makes `address` the only name server of a DHCP reply; every other frame stays as it is. passt does not tell of the
 * address that --dns-forward gives it. True when the frame was changed. */
bool dhcp_set_name_server(guint8 *frame, size_t length, const struct in_addr *address);
