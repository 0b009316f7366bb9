/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Which account of this machine is at the other end of a TCP connection, as the kernel tells it (proc(5),
 * /proc/net/tcp). Addresses as base/cidr.h has them. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/types.h>

typedef struct {
    struct in6_addr address; /* ::: any */
    int port;                /* 0: any */
} TcpEnd;

/* The account whose socket is connected from one end to the other. False when there is no such socket, when no program
 * has it open any more, or when several accounts have one (the same port of their own, if an end is not known wholly):
 * then nobody knows whose connection it is. */
bool tcp_peer_account(const TcpEnd *from, const TcpEnd *to, uid_t *account);

/* The same in the text of one of the kernel's tables. *count is how many accounts were found, 2 for any number above 1;
 * it goes on from what it is, with *account. */
void tcp_table_search(const char *table, const TcpEnd *from, const TcpEnd *to, uid_t *account, int *count);
