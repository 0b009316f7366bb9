/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Slowing down those who guess passwords. Attempts are counted by all CGI processes together. A few are free; then each
 * one more doubles the wait, up to a limit, and an hour without any forgets them. What is counted depends on where an
 * attempt comes from:
 *
 *   a browser in which the user has logged in before (auth/browser.h): the user in this browser
 *   an address in login_trusted_networks: the user at this address
 *   anywhere else: the address, for all users together, and the user, from all addresses together
 *
 * So strangers who know a name keep nobody out of a browser of their own, and the mistakes of some keep nobody else out
 * of a class room that is trusted. Of an IPv6 address the network (/64) counts, for a host can have all addresses of
 * its own. A user is slowed less than an address, so that nobody can lock somebody else out for good.
 *
 * Guesses at the password of one user that remain possible in an hour, with the default settings: 120 from all foreign
 * addresses together (one in 30 s), of which 4 from one address (one in 15 min), after 15 in the beginning from each;
 * 4 more from each trusted address, after 15 in the beginning, and 4 more from each browser of the user's own, which
 * nobody has without having logged in as this user. */
#pragma once

#include "core/settings.h"

typedef struct {
    const char *address; /* where it comes from */
    const char *user;    /* whose password is tried */
    const char *browser; /* the id of a browser in which this user has logged in before; NULL: of a stranger */
} LoginAttempt;

/* Counts an attempt before it is made, so that many at once are counted as well. QWD_ERROR_LIMIT says how long to wait;
 * such an attempt is not counted. */
bool backoff_begin(const Settings *settings, const LoginAttempt *attempt, GError **error);

/* The attempt was right: takes its count back from the address, and forgets the user's. */
void backoff_succeeded(const Settings *settings, const LoginAttempt *attempt);

/* Whether an address is in one of login_trusted_networks. */
bool backoff_trusts(const Settings *settings, const char *address);

/* Whether login_trusted_networks are networks. QWD_ERROR_CONFIG. */
bool backoff_check_settings(const Settings *settings, GError **error);

typedef struct {
    char *kind;    /* "address", "user", "user at address" or "browser" (a user in a browser) */
    char *name;    /* of the user, or the address */
    char *address; /* "" for a user from everywhere */
    char *path;
    gint64 failures;
    gint64 last_at, before_at; /* UTC seconds: the last attempt, and the one before */
    gint64 wait_s;             /* what is left to wait */
} BackoffEntry;

/* Who is being counted (BackoffEntry *), those with most attempts first. */
GPtrArray *backoff_list(const Settings *settings);

/* Forgets an address or user; NULL: all. Returns how many. */
int backoff_clear(const Settings *settings, const char *name);
