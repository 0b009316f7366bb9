/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Which account of this machine is at the other end of a TCP connection, as the kernel tells it (proc(5),
 * /proc/net/tcp). */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/types.h>

/* IPv4 addresses in IPv6 form (::ffff:127.0.0.1) count as IPv4. */
typedef struct {
    int family;
    unsigned char bytes[sizeof(struct in6_addr)];
} IpAddress;

/* False for what is no numeric address. */
bool ip_address_parse(const char *text, IpAddress *address);

bool ip_address_equal(const IpAddress *a, const IpAddress *b);

/* 127.0.0.0/8 or ::1. */
bool ip_address_is_loopback(const IpAddress *address);

/* The account whose socket has this address and port at its own end. False when there is no such socket, when no
 * program has it open any more, or when accounts share the address and port: then nobody knows whose connection it is.
 */
bool tcp_peer_account(const IpAddress *address, int port, uid_t *account);

/* The same in the text of one of the kernel's tables. *count is how many accounts were found, 2 for any number above 1;
 * it goes on from what it is, with *account. */
void tcp_table_search(const char *table, const IpAddress *address, int port, uid_t *account, int *count);
