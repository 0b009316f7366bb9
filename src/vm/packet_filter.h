/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What a guest may send out. passt connects to whatever address a packet is for, also to those of this host, and the
 * root of a guest can send packets for 127.0.0.1 as well: such frames must not get to passt.
 *
 * The filter lets through what is on its list and drops all else:
 * - what passt answers itself and never sends on: ARP, DHCP, NDP, MLD, DHCPv6. No other multicast or broadcast: the
 *   kernel delivers a datagram for 224.0.0.1 or ff02::1 to the sockets of this host as well;
 * - TCP, UDP and ICMP for one other host: not this one, as long as its own addresses are known, and where the rules
 *   allow it. An address of IPv6 that holds one of IPv4, for a translator (NAT64) or a tunnel (6to4, Teredo, ISATAP),
 *   must be allowed as both; a NAT64 prefix that a site has chosen for itself is not known as one. Fragments, IP
 *   options and extension headers do not pass: passt has no use for them.
 *
 * The stream between QEMU and passt is Ethernet frames, before each its length in four bytes, big-endian. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/cidr.h"
#include "vm/host_addresses.h"

#define FRAME_LENGTH_BYTES 4
#define FRAME_MAX_BYTES (68 * 1024) /* QEMU's and passt's are at most 64 KiB and a head */

/* How the program qwd-net-filter exits when passt has ended before QEMU; with 0 when QEMU has. */
#define PACKET_FILTER_EXIT_PASST 3

typedef struct PacketFilter PacketFilter;

/* The addresses of this host are borrowed. Without rules every other host may be reached. */
PacketFilter *packet_filter_new(const HostAddresses *host);
void packet_filter_free(PacketFilter *filter);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PacketFilter, packet_filter_free)

/* The most specific network that holds an address decides; of two that are equally specific, the one that was added
 * last. */
void packet_filter_add_rule(PacketFilter *filter, const Cidr *network, bool allowed);

/* A name server: port 53 of it may be reached whatever the rules say. */
void packet_filter_add_name_server(PacketFilter *filter, const struct in6_addr *address);

/* Whether a whole frame may pass. */
bool packet_filter_passes(const PacketFilter *filter, const guint8 *frame, size_t length);

/* Looks at the whole frames at the beginning of `bytes` and moves those that may pass to the front: *passing bytes of
 * stream. Returns how many bytes it has looked at; -1 when this is no such stream. */
ssize_t packet_filter_stream(const PacketFilter *filter, guint8 *bytes, size_t length, size_t *passing);

/* The length of the frame behind these FRAME_LENGTH_BYTES. */
size_t frame_length(const guint8 *bytes);
