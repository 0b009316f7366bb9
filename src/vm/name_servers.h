/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The name servers that a guest is told of: those of the settings, else this host's. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "vm/host_addresses.h"

/* The name server of guests whose host has a resolver of its own only, which they do not reach: passt forwards packets
 * for this address to that resolver. A resolver that only listens on an IPv6 address of this host is not forwarded:
 * passt 2023 does it only on hosts with an IPv6 default route, and tells guests of it neither by router advertisement
 * nor by DHCPv6, so that we would have to write it into the former, which not all guests read. */
#define DNS_FORWARD_ADDRESS "169.254.1.53"

typedef struct {
    GPtrArray *addresses; /* char *: servers outside of this host, at most three of IPv4 and three of IPv6 */
    bool forward;         /* there are none, and this host has a resolver of its own */
} NameServers;

/* `setting` are addresses separated by commas or spaces; "": those of resolv.conf(5), or, where that names none
 * outside, those that systemd-resolved asks. Addresses with a zone (fe80::1%2) are left out: they mean nothing to a
 * guest. */
void name_servers_find(const char *setting, NameServers *servers);

/* Adds those that a text in the form of resolv.conf(5) names, as glibc reads it: a keyword at the beginning of a line,
 * blanks, and one word. Everything behind it is ignored, and so are lines that begin with ; or #. */
void name_servers_read(NameServers *servers, const HostAddresses *host, const char *text);

void name_servers_clear(NameServers *servers);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(NameServers, name_servers_clear)

/* Whether a text can be such a setting; QWD_ERROR_CONFIG names the word that is no address, or one of this host. */
bool name_servers_check(const char *setting, GError **error);
