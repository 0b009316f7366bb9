/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The name servers that a guest is told of: those of the settings, else this host's. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* The name server of guests whose host has a resolver of its own only, which they do not reach: passt forwards packets
 * for this address to that resolver. */
#define DNS_FORWARD_ADDRESS "169.254.1.53"

typedef struct {
    GPtrArray *addresses; /* char *: servers outside of this host, at most three of IPv4 and three of IPv6 */
    bool forward;         /* there are none, and this host has a resolver of its own */
} NameServers;

/* `setting` are addresses separated by commas or spaces; "": those of resolv.conf(5), or, where that names none
 * outside, those that systemd-resolved asks. Addresses with a zone (fe80::1%2) are left out: they mean nothing to a
 * guest. */
void name_servers_find(const char *setting, NameServers *servers);

void name_servers_clear(NameServers *servers);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(NameServers, name_servers_clear)

/* Whether a text can be such a setting; QWD_ERROR_CONFIG names the word that is no address, or one of this host. */
bool name_servers_check(const char *setting, GError **error);
