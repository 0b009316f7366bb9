/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Slowing down those who guess passwords. Wrong attempts are counted by all CGI processes together. A few are free;
 * then each one more doubles the pause, up to a limit, and an hour without any forgets them. What is counted depends on
 * where an attempt comes from:
 *
 *   a browser in which the user has logged in before (auth/browser.h): the user in this browser
 *   an address in login_trusted_networks: the user at this address
 *   anywhere else: the address, for all users together, and the user, from all addresses together
 *
 * Of an IPv6 address the /64 counts, for a host can have all addresses of its own.
 *
 * The pause of a user (login_wait_max_per_user at most) is a queue with a place for each network, which is an IPv4
 * address or an IPv6 /48. The first attempt from a network during the pause is refused and told when the pause ends; an
 * attempt at that time is checked, whatever others have tried meanwhile, and takes the place away. So strangers keep
 * nobody out for longer, and a network has one attempt at a user in each pause. Nothing else can hold when strangers
 * have as many networks as they like: an attempt that is refused unchecked may be the right one.
 *
 * Guesses at the password of one user that remain possible in an hour, with the default settings: from one foreign
 * address 4 (one in 15 min), after 15 in the beginning; from one IPv6 /48, 120 (one in 30 s); 120 from each trusted
 * address; 4 more from each browser of the user's own, which nobody has without having logged in as this user.
 *
 * Attempts that are being checked take up free attempts, so that many at once are no more than one after the other;
 * those for which there is none left wait for the others. Only what was wrong is counted. */
#pragma once

#include "auth/running.h"
#include "auth/wrong_attempts.h"

typedef struct {
    const char *address; /* where it comes from */
    const char *user;    /* whose password is tried */
    const char *browser; /* the id of a browser in which this user has logged in before; NULL: of a stranger */
} LoginAttempt;

typedef enum {
    ATTEMPT_WRONG,      /* counts; also when one of several ways to log in said no and the others did not answer */
    ATTEMPT_RIGHT,      /* forgets what is counted for the user */
    ATTEMPT_UNANSWERED, /* nobody could say: nothing has been learnt from it */
} AttemptResult;

/* Before the attempt is checked. Waits for others that are being checked, for check_user_deadline at most; then it is
 * QWD_ERROR_BUSY. QWD_ERROR_ATTEMPTS says how long to wait. After true, call backoff_end; a process that dies before
 * counts as wrong. */
bool backoff_begin(const Settings *settings, const LoginAttempt *attempt, RunningAttempt *running, GError **error);

void backoff_end(const Settings *settings, const LoginAttempt *attempt, RunningAttempt *running, AttemptResult result);

/* One that counted as wrong until it was known to be right: takes its count back from the address, and forgets the
 * user's. */
void backoff_take_back(const Settings *settings, const LoginAttempt *attempt);

/* Whether an address is in one of login_trusted_networks. */
bool backoff_trusts(const Settings *settings, const char *address);

/* Whether login_trusted_networks are networks. QWD_ERROR_CONFIG. */
bool backoff_check_settings(const Settings *settings, GError **error);

/* Who is being counted (BackoffEntry *), those with most attempts first. */
GPtrArray *backoff_list(const Settings *settings);

/* Forgets an address or user; NULL: all. Returns how many. */
int backoff_clear(const Settings *settings, const char *name);
