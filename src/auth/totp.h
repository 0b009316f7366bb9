/* SPDX-License-Identifier: AGPL-3.0-or-later
 * One-time codes of an authenticator app (TOTP, RFC 6238, with its defaults: SHA-1, 6 digits, 30 s), and recovery codes
 * for the day the phone is lost. A code counts once; recovery codes are kept as hashes. */
#pragma once

#include "core/settings.h"

bool totp_is_enrolled(const Settings *settings, const char *user);

/* A new secret of 160 bits in Base32 (RFC 4226, section 4, R6). Free with g_free. */
char *totp_new_secret(void);

/* "otpauth://totp/..." for the QR code that authenticator apps read. Free with g_free. */
char *totp_uri(const char *user, const char *secret);

/* Enrols a user who proves with a code that the app knows the secret. Returns the recovery codes, to be shown once
 * (g_strfreev); NULL with QWD_ERROR_LOGIN for a wrong code, QWD_ERROR_CONFLICT when enrolled already. */
char **totp_enrol(const Settings *settings, const char *user, const char *secret, const char *code, GError **error);

/* Checks a code, or a recovery code, and uses it up. QWD_ERROR_LOGIN when it is wrong, over, or was used before. */
bool totp_verify(const Settings *settings, const char *user, const char *code, GError **error);

/* Forgets a user's enrolment. False when there is none. */
bool totp_reset(const Settings *settings, const char *user);
