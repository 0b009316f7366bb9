/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Networks as people write them (RFC 4632, section 3.1; RFC 4291, section 2.3): 192.0.2.0/24, 2001:db8::/32, or one
 * address. */
#pragma once

#include <stdbool.h>

bool cidr_is_valid(const char *network);

/* Whether an address is in a network. An IPv4 address is the same one when it is written as ::ffff:192.0.2.1. False
 * when one of both is not valid. */
bool cidr_contains(const char *network, const char *address);
