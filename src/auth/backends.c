/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "auth/backends.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/process.h"

typedef struct {
    const char *name;
    size_t switch_offset; /* of its bool in Settings */
    const char *program;  /* in dir_lib; NULL: not a program that takes a password */
} Backend;

#define BACKEND(name_, field_, program_)                                                                               \
    {                                                                                                                  \
        .name = name_, .switch_offset = offsetof(Settings, field_), .program = program_                                \
    }

static const Backend backends[] = {
    BACKEND("header", check_user_with_header, NULL),        BACKEND("local", check_user_with_local, "qwd-auth-local"),
    BACKEND("ldap", check_user_with_ldap, "qwd-auth-ldap"), BACKEND("imap", check_user_with_imap, "qwd-auth-imap"),
    BACKEND("smtp", check_user_with_smtp, "qwd-auth-smtp"),
};

static const Backend *find(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(backends); i++) {
        if (g_str_equal(backends[i].name, name))
            return &backends[i];
    }
    return NULL;
}

static bool is_on(const Settings *settings, const Backend *backend)
{
    return *(const bool *)((const char *)settings + backend->switch_offset);
}

/* The program of a way to log in by its name in check_user_order; NULL when it is off, or with an error. Free with
 * g_free. */
static char *program_of(const Settings *settings, const char *name, GError **error)
{
    if (g_str_equal(name, "custom"))
        return *settings->check_user_custom ? g_strdup(settings->check_user_custom) : NULL;
    const Backend *backend = find(name);
    if (!backend || !backend->program) {
        qwd_error_fail(error, QWD_ERROR_CONFIG, "check_user_order has a word that is none of its own.");
        return NULL;
    }
    return is_on(settings, backend) ? g_build_filename(settings->dir_lib, backend->program, NULL) : NULL;
}

/* A way that is on, but that nobody asks. */
static void note_unasked(const Settings *settings, const char *name, bool is_used, GPtrArray *troubles)
{
    if (is_used && !g_strv_contains((const char *const *)settings->check_user_order, name))
        g_ptr_array_add(troubles, g_strdup_printf("Login with %s is on, but check_user_order leaves it out.", name));
}

static void note_all_unasked(const Settings *settings, GPtrArray *troubles)
{
    for (size_t i = 0; i < G_N_ELEMENTS(backends); i++)
        note_unasked(settings, backends[i].name, backends[i].program && is_on(settings, &backends[i]), troubles);
    note_unasked(settings, "custom", *settings->check_user_custom, troubles);
}

bool auth_takes_password(const Settings *settings)
{
    for (size_t i = 0; i < G_N_ELEMENTS(backends); i++) {
        if (backends[i].program && is_on(settings, &backends[i]))
            return true;
    }
    return *settings->check_user_custom != '\0';
}

/* A pipe that holds user NUL password NUL: both fit its buffer, so nobody has to wait. */
static int credentials_pipe(const Claim *claim, GError **error)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        qwd_error_errno(error, errno, "Cannot make a pipe");
        return -1;
    }
    autofd int read_end = ends[0];
    autofd int write_end = ends[1];
    ssize_t user_bytes = (ssize_t)strlen(claim->user) + 1, password_bytes = (ssize_t)strlen(claim->password) + 1;
    if (write(write_end, claim->user, (size_t)user_bytes) != user_bytes ||
        write(write_end, claim->password, (size_t)password_bytes) != password_bytes) {
        qwd_error_errno(error, errno, "Cannot write to a pipe");
        return -1;
    }
    return fd_steal(&read_end);
}

static char **environment_of_programs(void)
{
    static const char *const names[] = {"QWD_CONFIG", "QWD_OVERRIDES", "LANG", "TZ", NULL};
    char **environment = g_environ_setenv(NULL, "PATH", "/usr/sbin:/usr/bin:/sbin:/bin", TRUE);
    for (const char *const *name = names; *name; name++) {
        if (g_getenv(*name))
            environment = g_environ_setenv(environment, *name, g_getenv(*name), TRUE);
    }
    return environment;
}

typedef enum { ANSWER_YES, ANSWER_NO, ANSWER_TROUBLE, ANSWER_NOT_ASKED } Answer;

static Answer read_answer(const ProcessResult *result, AuthIdentity *identity, GError **error)
{
    if (result->exit_code == 1)
        return ANSWER_NO;
    if (result->exit_code != 0) {
        g_autofree char *last = text_last_line(result->errors);
        qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "exit code %d: %s", result->exit_code, last);
        return ANSWER_TROUBLE;
    }
    g_autoptr(JsonValue) object = json_object_parse(result->output, strlen(result->output), error);
    return object && auth_identity_from_json(object, identity, error) ? ANSWER_YES : ANSWER_TROUBLE;
}

static Answer ask(const Settings *settings, const char *program, int stdin_fd, AuthIdentity *identity, GError **error)
{
    const char *argv[] = {program, NULL};
    g_auto(GStrv) environment = environment_of_programs();
    SpawnOptions options = {.argv = argv, SPAWN_OPTIONS_INIT, .die_with_parent = true};
    options.environment = (const char *const *)environment;
    options.stdin_fd = stdin_fd;
    g_auto(ProcessResult) result = {0};
    if (!process_run_options(options, (int)settings->check_user_deadline * 1000, &result, error))
        return ANSWER_TROUBLE;
    return read_answer(&result, identity, error);
}

static Answer ask_one(const Settings *settings, const char *name, const Claim *claim, AuthIdentity *identity,
                      GError **trouble)
{
    g_autofree char *program = program_of(settings, name, trouble);
    autofd int stdin_fd = program ? credentials_pipe(claim, trouble) : -1;
    return stdin_fd >= 0 ? ask(settings, program, stdin_fd, identity, trouble) : ANSWER_NOT_ASKED;
}

/* Longer ones, and empty ones, are nobody's: no way to log in is asked about them. */
static bool is_plausible(const char *text)
{
    return *text && strlen(text) <= CREDENTIAL_MAX_BYTES;
}

bool auth_check(const Settings *settings, const Claim *claim, AuthIdentity *identity, GPtrArray *troubles,
                GError **error)
{
    bool could_not_answer = false, said_no = false;
    bool plausible = is_plausible(claim->user) && is_plausible(claim->password);
    for (char **name = settings->check_user_order; plausible && *name; name++) {
        g_autoptr(GError) trouble = NULL;
        Answer answer = ask_one(settings, *name, claim, identity, &trouble);
        if (answer == ANSWER_YES)
            return true;
        said_no |= answer == ANSWER_NO;
        auth_identity_clear(identity);
        could_not_answer |= trouble != NULL;
        if (trouble)
            g_ptr_array_add(troubles, g_strdup_printf("Login with %s is not possible: %s", *name, trouble->message));
    }
    identity->is_unknown = could_not_answer;
    identity->is_unasked = could_not_answer && !said_no;
    note_all_unasked(settings, troubles);
    return qwd_error_fail(error, QWD_ERROR_LOGIN, "The user name or the password is not right.");
}
