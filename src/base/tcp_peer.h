/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Which account of this machine is at the other end of a TCP connection, as the kernel tells it (proc(5),
 * /proc/net/tcp). Addresses as base/cidr.h has them. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/types.h>

/* The account whose socket has this address and port at its own end. False when there is no such socket, when no
 * program has it open any more, or when accounts share the address and port: then nobody knows whose connection it is.
 */
bool tcp_peer_account(const struct in6_addr *address, int port, uid_t *account);

/* The same in the text of one of the kernel's tables. *count is how many accounts were found, 2 for any number above 1;
 * it goes on from what it is, with *account. */
void tcp_table_search(const char *table, const struct in6_addr *address, int port, uid_t *account, int *count);
