/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Asking before something that cannot be taken back: the same way in all commands. */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef struct {
    const char *question;
    const char *refusal; /* where nobody can be asked: what was not done, and the command that does it */
    bool given;          /* on the command line: --yes */
} Consent;

/* Whether to go on. QWD_ERROR_DENIED without a terminal, QWD_ERROR_CANCELLED when the answer is no. */
bool consent_ask(const Consent *consent, GError **error);
