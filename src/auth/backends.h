/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The ways to log in with a password: programs that are asked in turn (auth/protocol.h). One that is misconfigured,
 * missing, slow or crashes means "no". */
#pragma once

#include "auth/protocol.h"
#include "core/settings.h"

/* Whether a way that takes a password on our form is on. */
bool auth_takes_password(const Settings *settings);

/* What somebody says who wants in. Borrowed. */
typedef struct {
    const char *user, *password;
} Claim;

/* Asks the ways that are on, in order, until one says yes. QWD_ERROR_LOGIN with the same words whatever was wrong.
 * is_unknown is set in the identity then, when one of them could not answer, and is_unasked, when none could; all else
 * is for a yes.
 * `troubles` collects a line (char *) for each way that could not answer, for the log. */
bool auth_check(const Settings *settings, const Claim *claim, AuthIdentity *identity, GPtrArray *troubles,
                GError **error);
