/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The parts of the LDAP login that need no directory: where it is, where to search, what to search for. The program
 * that speaks LDAP is helpers/auth-ldap.c; nothing here needs its library. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "core/settings.h"

typedef enum {
    DIRECTORY_CLEAR,    /* nothing protects the connection */
    DIRECTORY_STARTTLS, /* TLS begins on the LDAP port (RFC 4513, section 3) */
    DIRECTORY_LDAPS,    /* TLS from the first byte */
} DirectoryProtection;

typedef struct {
    char *uri; /* ldap://host:port or ldaps://host:port, nothing more (RFC 4516) */
    DirectoryProtection protection;
} DirectoryAddress;

void directory_address_clear(DirectoryAddress *address);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(DirectoryAddress, directory_address_clear)

/* From ldap_server, ldap_port and ldap_tls. ldap_server is a host name, an address or a URI. The port is the URI's,
 * else ldap_port; 389 becomes 636 under ldaps. QWD_ERROR_CONFIG when they are missing or contradict each other. */
bool directory_address(const Settings *settings, DirectoryAddress *address, GError **error);

/* ldap_base, else dc=...,dc=... from ldap_domain (RFC 2247). QWD_ERROR_CONFIG when there is neither. Free with g_free.
 */
char *directory_base(const Settings *settings, GError **error);

/* The filter with %u and %d replaced; every other % stands for itself. One pass: what is put in is not looked at
 * again. Both values are already escaped (RFC 4515, section 3); a NULL value leaves its mark as it is.
 * Free with g_free. */
char *directory_filter(const char *pattern, const char *user_escaped, const char *dn_escaped);
