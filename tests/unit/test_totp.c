/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <liboath/oath.h>
#include <string.h>
#include <unistd.h>

#include "auth/totp.h"
#include "base/error.h"
#include "clock.h"
#include "concurrent.h"
#include "temp.h"

#define RFC_KEY "12345678901234567890"                /* RFC 6238, appendix B */
#define RFC_SECRET "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" /* the same in Base32 */
#define RECOVERY_CODES 8

typedef struct {
    char *folder;
    Settings *settings;
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    clock_s = NOON;
    f->folder = temp_folder();
    f->settings = temp_settings(f->folder, NULL);
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    settings_free(f->settings);
    temp_folder_remove(f->folder);
}

/* The code of a secret so many steps from now, by liboath. Free with g_free. */
static char *code_of(const char *secret, int steps)
{
    char *key = NULL, code[7];
    size_t length;
    g_assert_cmpint(oath_base32_decode(secret, strlen(secret), &key, &length), ==, OATH_OK);
    g_assert_cmpint(oath_totp_generate(key, length, (time_t)clock_s + steps * 30, 30, 0, 6, code), ==, OATH_OK);
    free(key);
    return g_strdup(code);
}

/* Enrols and returns the recovery codes. */
static char **enrol(const Fixture *f, const char *user, const char *secret)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *code = code_of(secret, 0);
    char **recovery = totp_enrol(f->settings, user, secret, code, &error);
    g_assert_no_error(error);
    return recovery;
}

static bool verify(const Fixture *f, const char *user, const char *code)
{
    g_autoptr(GError) error = NULL;
    bool good = totp_verify(f->settings, user, code, &error);
    if (!good)
        assert_error(error, QWD_ERROR_LOGIN, "The code is not right.");
    return good;
}

static bool verify_step(const Fixture *f, int steps)
{
    g_autofree char *code = code_of(RFC_SECRET, steps);
    return verify(f, "alice", code);
}

static void forward(int steps)
{
    clock_s += steps * 30;
}

static char *record_path(const Fixture *f)
{
    g_autofree char *folder = g_build_filename(f->settings->dir_login, "totp", NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    return g_build_filename(folder, g_dir_read_name(dir), NULL);
}

/* --- codes --- */

/* RFC 6238, appendix B: the last six of its eight digits. */
static void test_vectors(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        gint64 time_s;
        const char *code;
    } vectors[] = {{59, "287082"},         {1111111109, "081804"}, {1111111111, "050471"},
                   {1234567890, "005924"}, {2000000000, "279037"}, {20000000000, "353130"}};
    for (size_t i = 0; i < G_N_ELEMENTS(vectors); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *user = g_strdup_printf("user%zu", i);
        clock_s = vectors[i].time_s;
        g_auto(GStrv) recovery = totp_enrol(f->settings, user, RFC_SECRET, vectors[i].code, &error);
        g_assert_no_error(error);
        g_assert_nonnull(recovery);
    }
}

/* A clock may be half a minute off, in both directions. */
static void test_window(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        int steps;
        bool good;
    } cases[] = {{-3, false}, {-2, false}, {-1, true}, {0, true}, {1, true}, {2, false}, {3, false}, {100, false}};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(GStrv) recovery = enrol(f, "alice", RFC_SECRET);
        forward(10);
        g_assert_cmpint(verify_step(f, cases[i].steps), ==, cases[i].good);
        g_assert_true(totp_reset(f->settings, "alice"));
    }
}

static void test_replay(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_auto(GStrv) recovery = enrol(f, "alice", RFC_SECRET);
    g_assert_false(verify_step(f, 0)); /* the one that enrolled has counted */
    forward(10);
    g_assert_true(verify_step(f, 0));
    g_assert_false(verify_step(f, 0));
    g_assert_false(verify_step(f, -1)); /* and none before it counts */
    g_assert_true(verify_step(f, 1));
    forward(1);
    g_assert_false(verify_step(f, 0));
    forward(1);
    g_assert_true(verify_step(f, 0));
}

static void test_rubbish(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const codes[] = {"",       "0",       "12345",   "1234567", "abcdef",       " 12345",
                                        "+12345", "-12345",  "12345x",  "000000",  "\xef\xbc\x91", "1e5000",
                                        "0x1234", "123 456", "' or 1=1"};
    g_auto(GStrv) recovery = enrol(f, "alice", RFC_SECRET);
    forward(10);
    for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
        g_assert_false(verify(f, "alice", codes[i]));
    g_assert_true(verify_step(f, 0));
}

static void use_code(int number, int out, const void *data)
{
    (void)number;
    g_autofree char *code = code_of(RFC_SECRET, 0);
    concurrent_answer(out, totp_verify(((const Fixture *)data)->settings, "alice", code, NULL));
}

static void test_once_for_all(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_auto(GStrv) recovery = enrol(f, "alice", RFC_SECRET);
    forward(10);
    g_autofree char *said = concurrent_run(use_code, f);
    g_assert_cmpint(concurrent_count(said, 'y'), ==, 1);
    g_assert_cmpint(concurrent_count(said, 'n'), ==, CONCURRENT_PROCESSES - 1);
}

/* --- recovery codes --- */

static void test_recovery(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *content = NULL;
    g_auto(GStrv) recovery = enrol(f, "alice", RFC_SECRET), others = enrol(f, "bob", RFC_SECRET);
    g_assert_cmpint(g_strv_length(recovery), ==, RECOVERY_CODES);
    g_assert_true(totp_reset(f->settings, "bob"));
    g_autofree char *path = record_path(f);
    g_assert_true(g_file_get_contents(path, &content, NULL, NULL));
    for (int i = 0; i < RECOVERY_CODES; i++) {
        g_assert_cmpint(strlen(recovery[i]), >=, 10);
        g_assert_null(strstr(content, recovery[i])); /* only its hash */
        g_assert_false(verify(f, "alice", others[i]));
        g_assert_true(verify(f, "alice", recovery[i]));
        g_assert_false(verify(f, "alice", recovery[i]));
    }
    forward(10);
    g_assert_true(verify_step(f, 0)); /* the app works on */
}

/* As a phone's keyboard writes the first letter. */
static void test_recovery_in_capitals(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_auto(GStrv) recovery = enrol(f, "alice", RFC_SECRET);
    g_autofree char *upper = g_ascii_strup(recovery[0], -1);
    g_assert_true(verify(f, "alice", upper));
    g_assert_false(verify(f, "alice", recovery[0]));
}

static void use_recovery(int number, int out, const void *data)
{
    (void)number;
    concurrent_answer(out, totp_verify(((const Fixture *)data)->settings, "alice", "recoverycd", NULL));
}

static void test_recovery_once_for_all(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_auto(GStrv) recovery = enrol(f, "alice", RFC_SECRET);
    g_autofree char *path = record_path(f), *content = NULL;
    g_autofree char *known = g_compute_checksum_for_string(G_CHECKSUM_SHA256, recovery[0], -1);
    g_autofree char *wanted = g_compute_checksum_for_string(G_CHECKSUM_SHA256, "recoverycd", -1);
    g_assert_true(g_file_get_contents(path, &content, NULL, NULL));
    char *place = strstr(content, known);
    g_assert_nonnull(place);
    memcpy(place, wanted, strlen(wanted));
    g_assert_true(g_file_set_contents(path, content, -1, NULL));
    g_autofree char *said = concurrent_run(use_recovery, f);
    g_assert_cmpint(concurrent_count(said, 'y'), ==, 1);
}

/* --- enrolment --- */

static void test_enrol(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    struct stat st;
    g_assert_false(totp_is_enrolled(f->settings, "alice"));
    g_assert_null(totp_enrol(f->settings, "alice", RFC_SECRET, "000000", &error));
    assert_error(error, QWD_ERROR_LOGIN, "The code is not right.");
    g_assert_false(totp_is_enrolled(f->settings, "alice"));
    g_auto(GStrv) recovery = enrol(f, "alice", RFC_SECRET);
    g_assert_true(totp_is_enrolled(f->settings, "alice"));
    g_assert_false(totp_is_enrolled(f->settings, "Alice"));
    g_autofree char *path = record_path(f), *code = NULL;
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 0777, ==, 0600);
    forward(10);
    code = code_of(RFC_SECRET, 0);
    g_assert_null(totp_enrol(f->settings, "alice", RFC_SECRET, code, &error)); /* not over an enrolment there is */
    assert_error(error, QWD_ERROR_CONFLICT, "set up for you already");
}

/* An app that cannot be read is one: nobody sets up another in its place. */
static void test_unreadable(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) recovery = enrol(f, "alice", RFC_SECRET);
    g_autofree char *path = record_path(f), *code = NULL;
    g_assert_true(unlink(path) == 0 && symlink("nowhere", path) == 0);
    g_assert_true(totp_is_enrolled(f->settings, "alice"));
    forward(10);
    code = code_of(RFC_SECRET, 0);
    g_assert_null(totp_enrol(f->settings, "alice", RFC_SECRET, code, &error));
    assert_error(error, QWD_ERROR_CONFLICT, "set up for you already");
    g_assert_false(totp_verify(f->settings, "alice", recovery[0], &error));
    g_assert_nonnull(error);
}

/* What is no Base32 has no codes. */
static void test_broken_secrets(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const secrets[] = {"", "1", "!", "GEZDGNBV GEZDGNBV", "gez\xff", "========"};
    for (size_t i = 0; i < G_N_ELEMENTS(secrets); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(totp_enrol(f->settings, "alice", secrets[i], "123456", &error));
        g_assert_error(error, QWD_ERROR, QWD_ERROR_LOGIN);
    }
}

static void test_reset(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_assert_false(totp_reset(f->settings, "alice"));
    g_auto(GStrv) recovery = enrol(f, "alice", RFC_SECRET);
    g_assert_false(totp_reset(f->settings, "bob"));
    g_assert_true(totp_reset(f->settings, "alice"));
    g_assert_false(totp_is_enrolled(f->settings, "alice"));
    g_assert_false(totp_verify(f->settings, "alice", recovery[0], &error)); /* nothing to compare with is no */
    g_assert_nonnull(error);
    g_auto(GStrv) again = enrol(f, "alice", RFC_SECRET);
    g_assert_cmpstr(again[0], !=, recovery[0]);
}

static void test_broken_record(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const records[] = {"", "{}", "{\"secret\": 1}", "[]", "{\"secret\": \"\", \"recovery\": 1}"};
    g_auto(GStrv) recovery = enrol(f, "alice", RFC_SECRET);
    g_autofree char *path = record_path(f), *code = NULL;
    forward(10);
    code = code_of(RFC_SECRET, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(records); i++) {
        g_assert_true(g_file_set_contents(path, records[i], -1, NULL));
        g_assert_false(totp_verify(f->settings, "alice", code, NULL));
        g_assert_false(totp_verify(f->settings, "alice", recovery[0], NULL));
    }
}

static void test_uri(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *uri = totp_uri("a b&c@example.org", RFC_SECRET);
    g_assert_cmpstr(uri, ==,
                    "otpauth://totp/Remote%20desktop:a%20b%26c%40example.org?secret=" RFC_SECRET
                    "&issuer=Remote%20desktop");
    g_autofree char *secret = totp_new_secret(), *other = totp_new_secret();
    g_assert_cmpint(strlen(secret), ==, 32); /* 160 bits */
    g_assert_cmpstr(secret, !=, other);
    g_auto(GStrv) recovery = enrol(f, "alice", secret);
    g_assert_nonnull(recovery);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, function) g_test_add(path, Fixture, NULL, set_up, function, tear_down)
    ADD("/totp/vectors", test_vectors);
    ADD("/totp/window", test_window);
    ADD("/totp/replay", test_replay);
    ADD("/totp/rubbish", test_rubbish);
    ADD("/totp/once-for-all", test_once_for_all);
    ADD("/totp/recovery", test_recovery);
    ADD("/totp/recovery/capitals", test_recovery_in_capitals);
    ADD("/totp/recovery/once-for-all", test_recovery_once_for_all);
    ADD("/totp/enrol", test_enrol);
    ADD("/totp/enrol/unreadable", test_unreadable);
    ADD("/totp/enrol/broken-secrets", test_broken_secrets);
    ADD("/totp/reset", test_reset);
    ADD("/totp/broken-record", test_broken_record);
    ADD("/totp/uri", test_uri);
    return g_test_run();
}
