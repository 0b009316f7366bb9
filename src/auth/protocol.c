/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "auth/protocol.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"

#define OPTIONAL_MAX_BYTES 256

enum { EXIT_YES = 0, EXIT_NO = 1, EXIT_UNAVAILABLE = 2 };

void credentials_clear(Credentials *credentials)
{
    explicit_bzero(credentials, sizeof *credentials);
}

static bool malformed(GError **error)
{
    return qwd_error_fail(error, QWD_ERROR_USAGE, "Expected: user NUL password NUL, UTF-8, at most %d bytes each.",
                          CREDENTIAL_MAX_BYTES);
}

static bool take(const char **rest, size_t *left, char *field, GError **error)
{
    const char *end = memchr(*rest, '\0', *left);
    size_t length = end ? (size_t)(end - *rest) : 0;
    if (!end || length > CREDENTIAL_MAX_BYTES || !g_utf8_validate(*rest, (gssize)length, NULL))
        return malformed(error);
    memcpy(field, *rest, length + 1);
    *rest = end + 1;
    *left -= length + 1;
    return true;
}

static bool parse(const char *buffer, size_t length, Credentials *credentials, GError **error)
{
    if (!take(&buffer, &length, credentials->user, error) || !take(&buffer, &length, credentials->password, error))
        return false;
    if (length != 0)
        return malformed(error);
    return (*credentials->user && *credentials->password) ||
           qwd_error_fail(error, QWD_ERROR_LOGIN, "The user name or the password is empty.");
}

bool credentials_read(int fd, Credentials *credentials, GError **error)
{
    char buffer[sizeof *credentials + 1];
    size_t length = 0;
    ssize_t n = 1;
    while (n > 0 && length < sizeof buffer) {
        n = read(fd, buffer + length, sizeof buffer - length);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n > 0)
            length += (size_t)n;
    }
    bool good = n == 0 ? parse(buffer, length, credentials, error) : malformed(error);
    explicit_bzero(buffer, sizeof buffer);
    return good;
}

void auth_identity_clear(AuthIdentity *identity)
{
    g_clear_pointer(&identity->user, g_free);
    g_clear_pointer(&identity->name, g_free);
    g_clear_pointer(&identity->email, g_free);
    g_clear_pointer(&identity->groups, g_strfreev);
}

json_t *auth_identity_to_json(const AuthIdentity *identity)
{
    json_t *groups = json_array();
    for (char **group = identity->groups; group && *group; group++)
        json_array_append_new(groups, json_string(*group));
    return json_pack("{s:s, s:s, s:s, s:o}", "user", identity->user, "name", identity->name ? identity->name : "",
                     "email", identity->email ? identity->email : "", "groups", groups);
}

static bool is_plain_text(const char *text)
{
    for (const char *c = text; *c; c++) {
        if (g_ascii_iscntrl(*c))
            return false;
    }
    return true;
}

static char **groups_from_json(const json_t *array)
{
    g_autoptr(GStrvBuilder) groups = g_strv_builder_new();
    size_t i;
    json_t *group;
    json_array_foreach((json_t *)array, i, group)
    {
        const char *text = json_string_value(group);
        if (text && *text && is_plain_text(text))
            g_strv_builder_add(groups, text);
    }
    return g_strv_builder_end(groups);
}

/* What is nice to know, but must not be strange or long. */
static char *optional_text(const json_t *object, const char *key)
{
    const char *text = json_get_text(object, key, "");
    return g_strdup(strlen(text) <= OPTIONAL_MAX_BYTES && is_plain_text(text) ? text : "");
}

bool auth_identity_from_json(const json_t *object, AuthIdentity *identity, GError **error)
{
    const char *user = json_get_text(object, "user", "");
    if (!*user || strlen(user) > CREDENTIAL_MAX_BYTES || !is_plain_text(user))
        return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "The answer names no user.");
    identity->user = g_strdup(user);
    identity->name = optional_text(object, "name");
    identity->email = optional_text(object, "email");
    identity->groups = groups_from_json(json_object_get(object, "groups"));
    return true;
}

static const char *program_name = "";

/* What the deadline's signal handler writes. */
static char *late_text;

static void on_late(int signal_number)
{
    (void)signal_number;
    ssize_t ignored = write(STDERR_FILENO, late_text, strlen(late_text));
    (void)ignored;
    _exit(EXIT_UNAVAILABLE);
}

void auth_deadline(int deadline_ms, const char *reason)
{
    const struct itimerval never = {0};
    const struct itimerval timer = {
        .it_value = {.tv_sec = deadline_ms / 1000, .tv_usec = (suseconds_t)(deadline_ms % 1000) * 1000}};
    setitimer(ITIMER_REAL, &never, NULL);
    g_free(late_text);
    late_text = g_strdup_printf("%s: %s\n", program_name, reason);
    signal(SIGALRM, on_late);
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* A password must not stay behind in a core dump, nor be read by a debugger of the same account. Under AddressSanitizer
 * the leak check is such a debugger. */
static void forbid_looking_in(void)
{
    const struct rlimit none = {0};
    setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__
    prctl(PR_SET_DUMPABLE, 0);
#endif
}

/* A reason may quote what a server said, and stays a line all the same. */
static void write_reason(const char *reason)
{
    g_autofree char *line = g_strdup(reason);
    for (char *c = line; *c; c++) {
        if (g_ascii_iscntrl(*c))
            *c = ' ';
    }
    fprintf(stderr, "%s: %s\n", program_name, line);
}

static bool write_identity(const AuthIdentity *identity)
{
    g_autoptr(JsonValue) object = auth_identity_to_json(identity);
    char *text = json_dumps(object, JSON_COMPACT);
    bool good = text && puts(text) >= 0 && fflush(stdout) == 0;
    free(text);
    return good;
}

static int answer_yes(const AuthIdentity *identity)
{
    if (write_identity(identity))
        return EXIT_YES;
    write_reason("The identity cannot be written.");
    return EXIT_UNAVAILABLE;
}

int auth_program(const char *name, AuthCheck check)
{
    program_name = name;
    forbid_looking_in();
    g_autoptr(GError) error = NULL;
    g_auto(Credentials) credentials = {0};
    g_auto(AuthIdentity) identity = {0};
    bool good = credentials_read(STDIN_FILENO, &credentials, &error) && check(&credentials, &identity, &error);
    setitimer(ITIMER_REAL, &(const struct itimerval){0}, NULL); /* decided: a deadline changes nothing any more */
    if (good)
        return answer_yes(&identity);
    write_reason(error->message);
    return g_error_matches(error, QWD_ERROR, QWD_ERROR_LOGIN) ? EXIT_NO : EXIT_UNAVAILABLE;
}
