/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/protocol.h"
#include "base/error.h"
#include "base/json.h"

/* --- credentials --- */

/* A descriptor from which exactly these bytes come; a pipe holds 64 KiB. */
static int source_of(const char *bytes, size_t length)
{
    int ends[2];
    g_assert_cmpint(pipe2(ends, O_CLOEXEC), ==, 0);
    g_assert_cmpint(write(ends[1], bytes, length), ==, (ssize_t)length);
    close(ends[1]);
    return ends[0];
}

static bool read_bytes(const char *bytes, size_t length, Credentials *credentials, GError **error)
{
    int fd = source_of(bytes, length);
    bool good = credentials_read(fd, credentials, error);
    close(fd);
    return good;
}

#define BYTES(text) text, sizeof(text) - 1

static void test_credentials(void)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *user, *password;
    } cases[] = {
        {BYTES("alice\0secret\0"), "alice", "secret"},
        {BYTES("alice@example.org\0a b\tc \0"), "alice@example.org", "a b\tc "},
        {BYTES("*)(uid=*\0\\\0"), "*)(uid=*", "\\"},
        {BYTES("a\nb\0\n\0"), "a\nb", "\n"},
        {BYTES("\xc3\xa9lodie\0\xe2\x82\xac\0"), "\xc3\xa9lodie", "\xe2\x82\xac"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_auto(Credentials) credentials = {0};
        g_assert_true(read_bytes(cases[i].bytes, cases[i].length, &credentials, &error));
        g_assert_no_error(error);
        g_assert_cmpstr(credentials.user, ==, cases[i].user);
        g_assert_cmpstr(credentials.password, ==, cases[i].password);
    }
}

static void test_malformed(void)
{
    static const struct {
        const char *bytes;
        size_t length;
        QwdErrorKind kind;
    } cases[] = {
        {BYTES(""), QWD_ERROR_USAGE},
        {BYTES("alice"), QWD_ERROR_USAGE},
        {BYTES("alice\0"), QWD_ERROR_USAGE},
        {BYTES("alice\0secret"), QWD_ERROR_USAGE},
        {BYTES("alice\0secret\0x"), QWD_ERROR_USAGE},
        {BYTES("alice\0secret\0\0"), QWD_ERROR_USAGE},
        {BYTES("al\0ice\0secret\0"), QWD_ERROR_USAGE},
        {BYTES("al\xff"
               "ice\0secret\0"),
         QWD_ERROR_USAGE},
        {BYTES("alice\0sec\xc3\0"), QWD_ERROR_USAGE},
        {BYTES("alice\0\xed\xa0\x80\0"), QWD_ERROR_USAGE}, /* half a surrogate pair */
        {BYTES("alice\0\xc0\xaf\0"), QWD_ERROR_USAGE},     /* an overlong form */
        {BYTES("alice\0\0"), QWD_ERROR_LOGIN},
        {BYTES("\0secret\0"), QWD_ERROR_LOGIN},
        {BYTES("\0\0"), QWD_ERROR_LOGIN},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_auto(Credentials) credentials = {0};
        g_assert_false(read_bytes(cases[i].bytes, cases[i].length, &credentials, &error));
        g_assert_error(error, QWD_ERROR, (int)cases[i].kind);
        g_assert_null(strstr(error->message, "secret"));
    }
}

/* user and password of the given lengths */
static bool read_lengths(size_t user, size_t password, GError **error)
{
    g_autofree char *bytes = g_malloc(user + password + 2);
    g_auto(Credentials) credentials = {0};
    memset(bytes, 'a', user + password + 2);
    bytes[user] = bytes[user + password + 1] = '\0';
    bool good = read_bytes(bytes, user + password + 2, &credentials, error);
    g_assert_true(!good || (strlen(credentials.user) == user && strlen(credentials.password) == password));
    return good;
}

static void test_lengths(void)
{
    static const struct {
        size_t user, password;
        bool good;
    } cases[] = {
        {1, 1, true},
        {CREDENTIAL_MAX_BYTES, CREDENTIAL_MAX_BYTES, true},
        {CREDENTIAL_MAX_BYTES + 1, 1, false},
        {1, CREDENTIAL_MAX_BYTES + 1, false},
        {CREDENTIAL_MAX_BYTES, CREDENTIAL_MAX_BYTES + 1, false},
        {10240, 10, false},
        {10, 10240, false},
        {60000, 4000, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_cmpint(read_lengths(cases[i].user, cases[i].password, &error), ==, cases[i].good);
        if (!cases[i].good)
            g_assert_error(error, QWD_ERROR, QWD_ERROR_USAGE);
    }
}

static void test_unreadable(void)
{
    g_autoptr(GError) error = NULL;
    g_auto(Credentials) credentials = {0};
    g_assert_false(credentials_read(-1, &credentials, &error));
    g_assert_error(error, QWD_ERROR, QWD_ERROR_USAGE);
}

static void test_wiped(void)
{
    Credentials credentials = {.user = "alice", .password = "secret"};
    static const Credentials nothing = {0};
    credentials_clear(&credentials);
    g_assert_cmpint(memcmp(&credentials, &nothing, sizeof nothing), ==, 0);
}

/* --- identities --- */

static void test_identity_round_trip(void)
{
    char *groups[] = {(char *)"staff", (char *)"g\xc3\xa9nie", NULL};
    const AuthIdentity identity = {.user = (char *)"alice", .email = (char *)"a@example.org", .groups = groups};
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonValue) object = auth_identity_to_json(&identity);
    g_auto(AuthIdentity) again = {0};
    g_assert_true(auth_identity_from_json(object, &again, &error));
    g_assert_cmpstr(again.user, ==, "alice");
    g_assert_cmpstr(again.name, ==, "");
    g_assert_cmpstr(again.email, ==, "a@example.org");
    g_assert_cmpstrv(again.groups, groups);
}

static void test_identity_hostile(void)
{
    static const char *const refused[] = {
        "[]",
        "{}",
        "\"alice\"",
        "{\"user\": \"\"}",
        "{\"user\": 7}",
        "{\"user\": null}",
        "{\"user\": [\"alice\"]}",
        "{\"user\": \"a\\nb\"}",
        "{\"user\": \"a\\u007f\"}",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autoptr(GError) error = NULL;
        g_auto(AuthIdentity) identity = {0};
        g_autoptr(JsonValue) object = json_loads(refused[i], JSON_DECODE_ANY, NULL);
        g_assert_nonnull(object);
        g_assert_false(auth_identity_from_json(object, &identity, &error));
        g_assert_error(error, QWD_ERROR, QWD_ERROR_UNAVAILABLE);
    }
}

static void test_identity_odd_parts(void)
{
    g_autoptr(GError) error = NULL;
    g_auto(AuthIdentity) identity = {0};
    g_autoptr(JsonValue) object = json_loads("{\"user\": \"alice\", \"name\": 1, \"email\": \"a@b\\r\\nBcc: x\", "
                                             "\"groups\": [\"good\", \"\", 5, \"b\\nd\", null, [\"x\"]], \"more\": {}}",
                                             0, NULL);
    g_assert_true(auth_identity_from_json(object, &identity, &error));
    g_assert_cmpstr(identity.name, ==, "");
    g_assert_cmpstr(identity.email, ==, "");
    g_assert_cmpint(g_strv_length(identity.groups), ==, 1);
    g_assert_cmpstr(identity.groups[0], ==, "good");
}

/* --- a whole program --- */

static bool check_yes(const Credentials *credentials, AuthIdentity *identity, GError **error)
{
    (void)error;
    identity->user = g_strdup(credentials->user);
    return true;
}

static bool check_no(const Credentials *credentials, AuthIdentity *identity, GError **error)
{
    (void)credentials, (void)identity;
    return qwd_error_fail(error, QWD_ERROR_LOGIN, "wrong\nqwd-test: forged line\x1b[2J");
}

static bool check_unavailable(const Credentials *credentials, AuthIdentity *identity, GError **error)
{
    identity->user = g_strdup(credentials->user);
    return qwd_error_fail(error, QWD_ERROR_TIMEOUT, "no answer");
}

static bool check_not_text(const Credentials *credentials, AuthIdentity *identity, GError **error)
{
    (void)credentials, (void)error;
    identity->user = g_strdup("al\xff");
    return true;
}

static bool check_forever(const Credentials *credentials, AuthIdentity *identity, GError **error)
{
    (void)credentials, (void)identity, (void)error;
    auth_deadline(3600 * 1000, "not this one");
    auth_deadline(50, "the server is silent");
    while (pause() < 0) {
    }
    return true;
}

static char *text_of(int fd)
{
    char buffer[4096];
    ssize_t n = read(fd, buffer, sizeof buffer - 1);
    close(fd);
    return g_strndup(buffer, n > 0 ? (gsize)n : 0);
}

/* Runs auth_program in a child; what it writes fits into its pipes. */
static int run_program(AuthCheck check, const char *bytes, size_t length, char **out, char **err)
{
    int outs[2], errs[2], status, in = source_of(bytes, length);
    g_assert_true(pipe2(outs, O_CLOEXEC) == 0 && pipe2(errs, O_CLOEXEC) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(in, STDIN_FILENO);
        dup2(outs[1], STDOUT_FILENO);
        dup2(errs[1], STDERR_FILENO);
        _exit(auth_program("qwd-test", check));
    }
    close(in);
    close(outs[1]);
    close(errs[1]);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    *out = text_of(outs[0]);
    *err = text_of(errs[0]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_program(void)
{
    static const struct {
        AuthCheck check;
        const char *bytes;
        size_t length;
        int exit_code;
        const char *out, *err;
    } cases[] = {
        {check_yes, BYTES("alice\0secret\0"), 0, "{\"user\":\"alice\",\"name\":\"\",\"email\":\"\",\"groups\":[]}\n",
         ""},
        {check_yes, BYTES("alice\0\0"), 1, "", "qwd-test: The user name or the password is empty.\n"},
        {check_yes, BYTES("alice\0secret"), 2, "",
         "qwd-test: Expected: user NUL password NUL, UTF-8, at most 1024 bytes each.\n"},
        {check_no, BYTES("alice\0secret\0"), 1, "", "qwd-test: wrong qwd-test: forged line [2J\n"},
        {check_unavailable, BYTES("alice\0secret\0"), 2, "", "qwd-test: no answer\n"},
        {check_not_text, BYTES("alice\0secret\0"), 2, "", "qwd-test: The identity cannot be written.\n"},
        {check_forever, BYTES("alice\0secret\0"), 2, "", "qwd-test: the server is silent\n"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *out = NULL, *err = NULL;
        int code = run_program(cases[i].check, cases[i].bytes, cases[i].length, &out, &err);
        g_assert_cmpint(code, ==, cases[i].exit_code);
        g_assert_cmpstr(out, ==, cases[i].out);
        g_assert_cmpstr(err, ==, cases[i].err);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/auth-protocol/credentials", test_credentials);
    g_test_add_func("/auth-protocol/malformed", test_malformed);
    g_test_add_func("/auth-protocol/lengths", test_lengths);
    g_test_add_func("/auth-protocol/unreadable", test_unreadable);
    g_test_add_func("/auth-protocol/wiped", test_wiped);
    g_test_add_func("/auth-protocol/identity/round-trip", test_identity_round_trip);
    g_test_add_func("/auth-protocol/identity/hostile", test_identity_hostile);
    g_test_add_func("/auth-protocol/identity/odd-parts", test_identity_odd_parts);
    g_test_add_func("/auth-protocol/program", test_program);
    return g_test_run();
}
