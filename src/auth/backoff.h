/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Slowing down those who guess passwords: attempts are counted for each address and each user, by all CGI processes
 * together. A few are free; then each one more doubles the wait, up to a limit, and an hour without any forgets them.
 * Of an IPv6 address the network (/64) counts, for a host can have all addresses of its own. A user is slowed less than
 * an address, so that nobody can lock somebody else out for good. */
#pragma once

#include "core/settings.h"

/* Counts an attempt before it is made, so that many at once are counted as well. QWD_ERROR_LIMIT says how long to wait;
 * such an attempt is not counted. */
bool backoff_begin(const Settings *settings, const char *address, const char *user, GError **error);

/* The attempt was right: takes its count back, and forgets the user's. */
void backoff_succeeded(const Settings *settings, const char *address, const char *user);

typedef struct {
    char *kind; /* "address" or "user" */
    char *name;
    gint64 failures;
    gint64 last_at, before_at; /* UTC seconds: the last attempt, and the one before */
    gint64 wait_s;             /* what is left to wait */
} BackoffEntry;

/* Who is being counted (BackoffEntry *), those with most attempts first. */
GPtrArray *backoff_list(const Settings *settings);

/* Forgets an address or user; NULL: all. Returns how many. */
int backoff_clear(const Settings *settings, const char *name);
