/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Mail addresses: which ones we send to, and whose domains may log in. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "auth/protocol.h"

#define EMAIL_MAX_BYTES 254 /* RFC 5321, 4.5.3.1.3: a path of 256 with its angle brackets */

/* Whether `address` is a Mailbox as RFC 5321, 4.1.2 writes it in its plain form: dot-string "@" domain of two labels or
 * more, all ASCII. The forms that only make trouble are refused: quoted local parts, address literals, comments.
 * International domains are accepted as punycode (xn--, RFC 5891); addresses in UTF-8 (RFC 6531) are not.
 * QWD_ERROR_USAGE says what is wrong, for the person who typed it. */
bool email_address_check(const char *address, GError **error);
bool email_address_is_valid(const char *address);

/* Whether the domain of a valid address is in a list (settings->email_domains), upper or lower case; the empty list
 * means all. Subdomains are domains of their own. False for an address that is not valid. */
bool email_domain_is_allowed(char *const *domains, const char *address);

/* Splits "Name <address>" or "address", as people write a sender. Both are owned by the caller; the name may be "".
 * QWD_ERROR_USAGE when the address is not valid or the name has control characters. */
bool email_mailbox_parse(const char *text, char **name, char **address, GError **error);

/* Who a user is for a server that says no more than yes: the name as typed, which may be a mail address. */
void email_identity(const char *user, AuthIdentity *identity);
