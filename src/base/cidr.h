/* SPDX-License-Identifier: AGPL-3.0-or-later
 * IP addresses, networks of them (RFC 4632, RFC 4291), and lists of networks with names for the usual ones.
 * An IPv4 address has the form ::ffff:a.b.c.d everywhere. */
#pragma once

#include <glib.h>
#include <netinet/in.h>
#include <stdbool.h>

typedef struct {
    struct in6_addr address; /* bits behind the prefix are 0 */
    int prefix;              /* bits of 128 */
} Cidr;

/* `bytes` are 4 of an IPv4 address. */
struct in6_addr address_from_v4(const void *bytes);

/* Without a zone ("%eth0"). */
bool address_parse(const char *text, struct in6_addr *address);

/* 127.0.0.0/8 or ::1. */
bool address_is_loopback(const struct in6_addr *address);

/* Free with g_free. */
char *address_format(const struct in6_addr *address);

Cidr cidr_of(const struct in6_addr *address, int prefix);

/* A network of IPv6 contains no address of IPv4, not even ::/0. */
bool cidr_contains(const Cidr *cidr, const struct in6_addr *address);

/* ADDRESS or ADDRESS/PREFIX. */
bool cidr_parse(const char *text, Cidr *cidr);

/* ADDRESS/PREFIX. Free with g_free. */
char *cidr_format(const Cidr *cidr);

/* Words separated by commas or spaces, each a network or the name of some: all, private, link-local, metadata. Returns
 * an array of Cidr, or NULL with QWD_ERROR_CONFIG that names the word. */
GArray *cidr_list_parse(const char *text, GError **error);
