/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The addresses under which this host answers: those of its interfaces, and what the kernel's routes deliver to it
 * besides (whole networks with AnyIP, forwarded addresses of clouds, broadcasts). Read by netlink(7). */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "base/cidr.h"

typedef struct {
    GArray *networks;      /* of Cidr */
    bool v4_read, v6_read; /* false: the addresses of that family are not known */
    bool stale;            /* they have changed since, or could not be read */
    int fd;                /* the kernel's notifications; -1 none yet */
} HostAddresses;

/* Knows none yet. */
HostAddresses *host_addresses_new(void);
void host_addresses_free(HostAddresses *host);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HostAddresses, host_addresses_free)

/* Brings them up to date: reads them at the first call, and again when the kernel has told of a change since. What the
 * kernel has changed before the call is known after it. */
void host_addresses_update(HostAddresses *host);

/* Whether the address may be this host's: also when that is not known. */
bool host_addresses_may_contain(const HostAddresses *host, const struct in6_addr *address);
