/* SPDX-License-Identifier: AGPL-3.0-or-later
 * How the service and a program that checks users talk: user NUL password NUL on the program's standard input; on its
 * standard output a JSON object {"user", "name", "email", "groups": [...]} (all but "user" optional); exit code 0 yes,
 * 1 no, anything else "unavailable", which counts as no. Reasons go to standard error, a line, without secrets.
 * Programs of an administrator (check_user_custom) have the same manners. */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#define CREDENTIAL_MAX_BYTES 1024

/* What a user claims. Wiped when cleared. */
typedef struct {
    char user[CREDENTIAL_MAX_BYTES + 1];
    char password[CREDENTIAL_MAX_BYTES + 1];
} Credentials;

/* Reads them from a descriptor to its end. QWD_ERROR_USAGE when they are malformed, too long or not UTF-8. An empty
 * user or password is QWD_ERROR_LOGIN: no back end is ever asked about one (an LDAP bind with an empty password
 * succeeds as anonymous: RFC 4513, section 5.1.2). */
bool credentials_read(int fd, Credentials *credentials, GError **error);

void credentials_clear(Credentials *credentials);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Credentials, credentials_clear)

/* Who a user proved to be. */
typedef struct {
    char *user;      /* the account's name, as the back end writes it */
    char *name;      /* for people; "" unknown */
    char *email;     /* "" unknown */
    char **groups;   /* may be empty, never NULL */
    bool is_unknown; /* nobody said who, and one who could have did not answer (auth/backends.h) */
    bool is_unasked; /* none of them answered at all */
} AuthIdentity;

void auth_identity_clear(AuthIdentity *identity);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AuthIdentity, auth_identity_clear)

/* New reference. */
json_t *auth_identity_to_json(const AuthIdentity *identity);

/* QWD_ERROR_UNAVAILABLE when the object has no user, or one with control characters. */
bool auth_identity_from_json(const json_t *object, AuthIdentity *identity, GError **error);

/* The whole of a checking program: reads the credentials, calls `check`, writes the identity or the reason. `check`
 * fills the identity and returns true; false with QWD_ERROR_LOGIN is "no", with any other error "unavailable". Returns
 * the exit code. */
typedef bool (*AuthCheck)(const Credentials *credentials, AuthIdentity *identity, GError **error);
int auth_program(const char *name, AuthCheck check);

/* Ends the program as "unavailable" with `reason` on standard error, whatever it waits for, unless it is done within
 * deadline_ms (> 0): for libraries with timeouts of their own or none, and for name resolution. A second call replaces
 * the first. */
void auth_deadline(int deadline_ms, const char *reason);
