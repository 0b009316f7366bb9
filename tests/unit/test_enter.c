/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <liboath/oath.h>
#include <string.h>
#include <unistd.h>

#include "app/enter.h"
#include "auth/backoff.h"
#include "auth/browser.h"
#include "auth/seal.h"
#include "auth/totp.h"
#include "base/error.h"
#include "base/json.h"
#include "clock.h"
#include "concurrent.h"
#include "temp.h"

#define HERE "192.0.2.1"
#define LINK "https://desk.example.org/cgi-bin/qemu-web-desktop.cgi?enter="

/* alice has the password "right" and a mail address, bob none. */
#define CUSTOM                                                                                                         \
    "#!/bin/sh\n"                                                                                                      \
    "case \"$(tr '\\0' '|')\" in\n"                                                                                    \
    "'alice|right|') echo '{\"user\": \"alice\", \"email\": \"alice@example.org\", \"groups\": [\"staff\"]}';;\n"      \
    "'bob|right|') echo '{\"user\": \"bob\"}';;\n"                                                                     \
    "*) exit 1;; esac\n"
#define MAILER "#!/bin/sh\ncat >\"$(dirname \"$0\")/mail\"\n"

typedef struct {
    char *folder;
    GPtrArray *troubles;
    Settings *settings;
    EnterContext context;
    Entrance entrance;
} Fixture;

static void set_up(Fixture *f, gconstpointer unused)
{
    (void)unused;
    clock_s = NOON;
    f->folder = temp_folder();
    f->troubles = g_ptr_array_new_with_free_func(g_free);
    g_free(temp_script(f->folder, "custom", CUSTOM));
    g_free(temp_script(f->folder, "qwd-mail", MAILER));
    f->entrance = (Entrance){.stage = ENTER_LOGIN};
}

static void tear_down(Fixture *f, gconstpointer unused)
{
    (void)unused;
    entrance_clear(&f->entrance);
    settings_free(f->settings);
    g_ptr_array_unref(f->troubles);
    temp_folder_remove(f->folder);
}

/* The service with two more settings; may be called again. */
static void configure(Fixture *f, const char *one, const char *other)
{
    g_autofree char *lib = g_strconcat("dir_lib=", f->folder, NULL);
    g_autofree char *custom = g_strconcat("check_user_custom=", f->folder, "/custom", NULL);
    settings_free(f->settings);
    f->settings = temp_settings(f->folder, lib, custom, one, other, NULL);
    f->context = (EnterContext){
        .settings = f->settings, .address = HERE, .link = LINK, .is_page = true, .troubles = f->troubles};
}

static Entrance *fresh(Fixture *f)
{
    entrance_clear(&f->entrance);
    f->entrance = (Entrance){.stage = ENTER_LOGIN};
    return &f->entrance;
}

static bool claim(Fixture *f, const char *user, const char *password, GError **error)
{
    g_autoptr(JsonValue) carry = json_pack("[{s:s, s:s}]", "name", "machine", "value", "tiny.iso");
    return enter_claim(&f->context, &(Claim){.user = user, .password = password}, carry, fresh(f), error);
}

/* Claims what must be right, and looks at where it leads. */
static void claim_well(Fixture *f, const char *user, const char *password, EnterStage stage)
{
    g_autoptr(GError) error = NULL;
    g_assert_true(claim(f, user, password, &error));
    g_assert_no_error(error);
    g_assert_cmpint(f->entrance.stage, ==, stage);
    g_assert_cmpint(f->entrance.login.id != NULL, ==, stage == ENTER_LOGIN);
}

static bool resume(Fixture *f, const char *pending, const char *code, GError **error)
{
    g_autofree char *copy = g_strdup(pending);
    return enter_resume(&f->context, copy, code, fresh(f), error);
}

static void resume_well(Fixture *f, const char *pending, const char *code)
{
    g_autoptr(GError) error = NULL;
    g_assert_true(resume(f, pending, code, &error));
    g_assert_no_error(error);
}

/* A refusal that gives no login, with the kind and words of its error. */
#define assert_refused(f, call, kind, text)                                                                            \
    do {                                                                                                               \
        g_autoptr(GError) refusal = NULL;                                                                              \
        g_assert_false(call);                                                                                          \
        assert_error(refusal, kind, text);                                                                             \
        g_assert_null((f)->entrance.login.id);                                                                         \
        g_assert_null((f)->entrance.recovery);                                                                         \
    } while (0)

static char *code_of(const char *secret)
{
    char *key = NULL, code[7];
    size_t length;
    g_assert_cmpint(oath_base32_decode(secret, strlen(secret), &key, &length), ==, OATH_OK);
    g_assert_cmpint(oath_totp_generate(key, length, (time_t)clock_s, 30, 0, 6, code), ==, OATH_OK);
    free(key);
    return g_strdup(code);
}

/* The message that the mail program got. New reference. */
static json_t *read_mail(const Fixture *f)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = g_build_filename(f->folder, "mail", NULL);
    json_t *mail = json_object_read(path, 65536, &error);
    g_assert_no_error(error);
    unlink(path);
    return mail;
}

/* The seal in the link of the mail that has been sent to an address. Free with g_free. */
static char *mailed_seal(const Fixture *f, const char *to)
{
    g_autoptr(JsonValue) mail = read_mail(f);
    g_assert_cmpstr(json_get_text(mail, "to", ""), ==, to);
    g_assert_cmpstr(json_get_text(mail, "template", ""), ==, "login-link");
    const json_t *values = json_object_get(mail, "values");
    g_assert_cmpstr(json_get_text(values, "service", ""), ==, "desk.example.org");
    g_assert_cmpint(json_get_integer(values, "end_at", 0), >, 1898553600); /* March 2030 */
    const char *link = json_get_text(values, "link", "");
    g_assert_true(g_str_has_prefix(link, LINK));
    return g_strdup(link + strlen(LINK));
}

/* Somebody tries a wrong password or code. */
static void wrong_attempt(const Fixture *f, const char *address, const char *counted)
{
    RunningAttempt running;
    LoginAttempt attempt = {.address = address, .user = counted};
    if (backoff_begin(f->settings, &attempt, &running, NULL))
        backoff_end(f->settings, &attempt, &running, ATTEMPT_WRONG);
}

/* --- password alone --- */

static void test_password(Fixture *f, gconstpointer unused)
{
    (void)unused;
    configure(f, "user_admin=@staff", NULL);
    claim_well(f, "alice", "right", ENTER_LOGIN);
    g_assert_cmpstr(f->entrance.login.identity.user, ==, "alice");
    g_assert_true(f->entrance.login.is_admin);
    g_assert_false(f->entrance.login.is_by_mail);
    static const char *const wrong[][2] = {
        {"alice", "wrong"}, {"alice", ""}, {"", "right"}, {"", ""}, {"carol", "right"}};
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++)
        assert_refused(f, claim(f, wrong[i][0], wrong[i][1], &refusal), QWD_ERROR_LOGIN,
                       "The user name or the password is not right.");
    g_assert_cmpint(f->troubles->len, ==, 0);
}

static void test_many_wrong(Fixture *f, gconstpointer unused)
{
    (void)unused;
    configure(f, NULL, NULL);
    for (int i = 0; i < 5; i++)
        assert_refused(f, claim(f, "alice", "wrong", &refusal), QWD_ERROR_LOGIN, "not right");
    assert_refused(f, claim(f, "alice", "right", &refusal), QWD_ERROR_ATTEMPTS, "There were too many attempts");
    f->context.address = "192.0.2.2";
    claim_well(f, "alice", "right", ENTER_LOGIN);
}

static void test_trouble(Fixture *f, gconstpointer unused)
{
    (void)unused;
    configure(f, NULL, NULL);
    g_free(temp_script(f->folder, "custom", "#!/bin/sh\necho 'the server is away' >&2; exit 2\n"));
    assert_refused(f, claim(f, "alice", "right", &refusal), QWD_ERROR_LOGIN, "not right");
    g_assert_cmpint(f->troubles->len, ==, 1);
    g_assert_nonnull(strstr(f->troubles->pdata[0], "the server is away"));
}

/* --- an authenticator app --- */

/* Logs alice in for the first time. Returns the secret of her app; her recovery codes are in the entrance. */
static char *set_up_app(Fixture *f)
{
    claim_well(f, "alice", "right", ENTER_ENROL);
    char *secret = g_strdup(f->entrance.secret);
    g_autofree char *code = code_of(secret);
    resume_well(f, f->entrance.pending, code);
    g_assert_cmpint(f->entrance.stage, ==, ENTER_LOGIN);
    g_assert_cmpstr(f->entrance.login.identity.user, ==, "alice");
    g_assert_cmpint(g_strv_length(f->entrance.recovery), ==, 8);
    clock_s += 300;
    return secret;
}

static void test_enrol(Fixture *f, gconstpointer unused)
{
    (void)unused;
    configure(f, "check_user_mfa=totp", NULL);
    claim_well(f, "alice", "right", ENTER_ENROL);
    g_autofree char *first = g_strdup(f->entrance.pending), *secret = g_strdup(f->entrance.secret);
    assert_refused(f, resume(f, first, "000000", &refusal), QWD_ERROR_LOGIN, "The code is not right.");
    g_assert_cmpint(f->entrance.stage, ==, ENTER_ENROL); /* to be asked again, with the same secret */
    g_assert_cmpstr(f->entrance.secret, ==, secret);
    g_assert_cmpstr(f->entrance.user, ==, "alice");
    g_autofree char *code = code_of(secret), *again = g_strdup(f->entrance.pending);
    resume_well(f, again, code);
    g_assert_nonnull(f->entrance.recovery);
    /* What has done its service does no other. */
    clock_s += 60;
    g_autofree char *next = code_of(secret);
    assert_refused(f, resume(f, again, next, &refusal), QWD_ERROR_LOGIN, "has been used already");
    assert_refused(f, resume(f, first, next, &refusal), QWD_ERROR_LOGIN, "has been used already");
}

static void test_code(Fixture *f, gconstpointer unused)
{
    (void)unused;
    configure(f, "check_user_mfa=totp", NULL);
    g_autofree char *secret = set_up_app(f), *recovery = g_strdup(f->entrance.recovery[0]), *code = code_of(secret);
    claim_well(f, "alice", "right", ENTER_CODE);
    g_assert_null(f->entrance.secret);
    resume_well(f, f->entrance.pending, code);
    g_assert_null(f->entrance.recovery);
    claim_well(f, "alice", "right", ENTER_CODE);
    g_autofree char *pending = g_strdup(f->entrance.pending);
    assert_refused(f, resume(f, pending, code, &refusal), QWD_ERROR_LOGIN, "count once"); /* replayed */
    g_assert_cmpint(f->entrance.stage, ==, ENTER_CODE);
    resume_well(f, f->entrance.pending, recovery);
    g_assert_cmpstr(f->entrance.login.identity.user, ==, "alice");
}

/* Whoever knows the password does not get more tries at the code by giving it again. */
static void test_codes_are_counted(Fixture *f, gconstpointer unused)
{
    (void)unused;
    configure(f, "check_user_mfa=totp", NULL);
    g_autofree char *secret = set_up_app(f);
    int tries = 0;
    for (int i = 0; i < 100; i++) {
        g_autofree char *address = g_strdup_printf("192.0.2.%d", i);
        g_autoptr(GError) error = NULL;
        f->context.address = address;
        claim_well(f, "alice", "right", ENTER_CODE);
        g_assert_false(resume(f, f->entrance.pending, "000000", &error));
        tries += g_error_matches(error, QWD_ERROR, QWD_ERROR_LOGIN);
    }
    g_assert_cmpint(tries, ==, 10);
    f->context.address = HERE;
    clock_s += 3601;
    g_autofree char *code = code_of(secret);
    claim_well(f, "alice", "right", ENTER_CODE);
    resume_well(f, f->entrance.pending, code);
    g_autoptr(GPtrArray) left = backoff_list(f->settings);
    g_assert_cmpint(left->len, ==, 0);
}

/* Strangers who try her password and her codes do not slow down a browser in which she has logged in before. */
static void test_known_browser(Fixture *f, gconstpointer unused)
{
    (void)unused;
    configure(f, "check_user_mfa=totp", NULL);
    g_autofree char *secret = set_up_app(f);
    const char *const names[] = {"alice", NULL};
    g_autofree char *cookie = browser_cookie_add(f->settings, NULL, names, NULL);
    for (int i = 0; i < 20; i++) {
        wrong_attempt(f, HERE, "alice");
        wrong_attempt(f, "198.51.100.1", "alice");
        wrong_attempt(f, "198.51.100.2", "alice (code)");
        wrong_attempt(f, "198.51.100.3", "alice (code)");
    }
    assert_refused(f, claim(f, "alice", "right", &refusal), QWD_ERROR_ATTEMPTS, "too many attempts");
    f->context.browser = cookie;
    clock_s += 60; /* for another code */
    for (int i = 0; i < 20; i++) {
        wrong_attempt(f, HERE, "alice");
        wrong_attempt(f, "198.51.100.4", "alice (code)");
    }
    claim_well(f, "alice", "right", ENTER_CODE);
    g_autofree char *code = code_of(secret);
    resume_well(f, f->entrance.pending, code);
    g_assert_cmpstr(f->entrance.claimed, ==, "alice"); /* has come along */
    assert_refused(f, claim(f, "bob", "right", &refusal), QWD_ERROR_ATTEMPTS, "too many attempts");
}

static void test_step_expires(Fixture *f, gconstpointer unused)
{
    (void)unused;
    configure(f, "check_user_mfa=totp", NULL);
    g_autofree char *secret = set_up_app(f);
    claim_well(f, "alice", "right", ENTER_CODE);
    g_autofree char *pending = g_strdup(f->entrance.pending);
    clock_s += 600;
    g_autofree char *code = code_of(secret);
    assert_refused(f, resume(f, pending, code, &refusal), QWD_ERROR_LOGIN, "Please log in again.");
}

static void test_groups_with_app(Fixture *f, gconstpointer unused)
{
    (void)unused;
    configure(f, "check_user_mfa=totp", "check_user_mfa_groups=staff");
    claim_well(f, "alice", "right", ENTER_ENROL);
    claim_well(f, "bob", "right", ENTER_LOGIN);
}

/* --- what is not a step --- */

static void test_other_seals(Fixture *f, gconstpointer unused)
{
    (void)unused;
    configure(f, "check_user_mfa=totp", NULL);
    g_autofree char *secret = set_up_app(f), *code = code_of(secret);
    g_autofree char *cookie = login_to_cookie(f->settings, &f->entrance.login, NULL);
    g_autofree char *csrf = login_csrf(f->settings, &f->entrance.login, NULL);
    const char *const seals[] = {"", ".", cookie, csrf, "eyJ1c2VyIjoiYWxpY2UifQ.AAAA"};
    for (size_t i = 0; i < G_N_ELEMENTS(seals); i++) {
        assert_refused(f, resume(f, seals[i], code, &refusal), QWD_ERROR_LOGIN, "Please log in again.");
        assert_refused(f, enter_look(&f->context, seals[i], fresh(f), &refusal), QWD_ERROR_LOGIN, "log in again");
    }
    /* A step is no cookie either, and one that wants a code is no link. */
    claim_well(f, "alice", "right", ENTER_CODE);
    g_auto(Login) login = {0};
    g_assert_false(login_from_cookie(f->settings, f->entrance.pending, &login, NULL));
    g_autofree char *pending = g_strdup(f->entrance.pending);
    assert_refused(f, enter_look(&f->context, pending, fresh(f), &refusal), QWD_ERROR_LOGIN, "log in again");
}

/* A seal of ours with a step that is none. */
static void test_unknown_step(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const steps[] = {"", "login", "LINK"};
    configure(f, NULL, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
        g_autoptr(JsonValue) object = json_pack("{s:s, s:s, s:s}", "user", "alice", "id", "x", "step", steps[i]);
        g_autofree char *seal = seal_close(f->settings, "entrance", object, NOON + 60, NULL);
        assert_refused(f, resume(f, seal, "", &refusal), QWD_ERROR_LOGIN, "");
    }
}

/* --- mail --- */

static void test_second_factor_by_mail(Fixture *f, gconstpointer unused)
{
    (void)unused;
    configure(f, "check_user_mfa=email", NULL);
    claim_well(f, "alice", "right", ENTER_MAILED);
    g_assert_null(f->entrance.pending); /* the way in is in the mail alone */
    g_autofree char *seal = mailed_seal(f, "alice@example.org");
    for (int i = 0; i < 3; i++) { /* as a mail scanner does */
        g_autoptr(GError) error = NULL;
        g_assert_true(enter_look(&f->context, seal, fresh(f), &error));
        g_assert_cmpint(f->entrance.stage, ==, ENTER_LINK);
        g_assert_cmpstr(f->entrance.user, ==, "alice");
        g_assert_cmpstr(json_get_text(json_array_get(f->entrance.carry, 0), "value", ""), ==, "tiny.iso");
    }
    resume_well(f, seal, "");
    g_assert_cmpint(f->entrance.stage, ==, ENTER_LOGIN);
    g_assert_false(f->entrance.login.is_by_mail);
    assert_refused(f, resume(f, seal, "", &refusal), QWD_ERROR_LOGIN, "This link has been used already.");
    assert_refused(f, enter_look(&f->context, seal, fresh(f), &refusal), QWD_ERROR_LOGIN, "been used already");
    assert_refused(f, claim(f, "bob", "right", &refusal), QWD_ERROR_DENIED, "none is known");
}

static void test_mail_alone(Fixture *f, gconstpointer unused)
{
    (void)unused;
    configure(f, "check_user_with_email=yes", "email_domains=example.org,example.com");
    claim_well(f, "Alice@Example.ORG", "", ENTER_MAILED);
    g_assert_true(f->entrance.is_mail_alone);
    g_autofree char *seal = mailed_seal(f, "alice@example.org");
    clock_s += 1799;
    resume_well(f, seal, "");
    g_assert_cmpstr(f->entrance.login.identity.user, ==, "alice@example.org");
    g_assert_true(f->entrance.login.is_by_mail);
    claim_well(f, "alice", "right", ENTER_LOGIN); /* passwords work beside it */
    g_assert_false(f->entrance.login.is_by_mail);
}

static void test_mail_refused(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const users[] = {"alice", "alice@example.net", "alice@sub.example.org", "@example.org",
                                        "alice@example.org.evil.net"};
    configure(f, "check_user_with_email=yes", "email_domains=example.org");
    for (size_t i = 0; i < G_N_ELEMENTS(users); i++) {
        f->context.address = users[i]; /* not slowed down */

        assert_refused(f, claim(f, users[i], "", &refusal), QWD_ERROR_USAGE, "of a domain that may log in here");
    }
    g_autofree char *path = g_build_filename(f->folder, "mail", NULL);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    configure(f, NULL, NULL);
    assert_refused(f, claim(f, "alice@example.org", "", &refusal), QWD_ERROR_LOGIN, "not right");
}

static void test_mail_expires(Fixture *f, gconstpointer unused)
{
    (void)unused;
    configure(f, "check_user_with_email=yes", NULL);
    claim_well(f, "alice@example.org", "", ENTER_MAILED);
    g_autofree char *seal = mailed_seal(f, "alice@example.org");
    clock_s += 1800;
    assert_refused(f, resume(f, seal, "", &refusal), QWD_ERROR_LOGIN, "Please log in again.");
    assert_refused(f, enter_look(&f->context, seal, fresh(f), &refusal), QWD_ERROR_LOGIN, "Please log in again.");
}

static void test_mailer_fails(Fixture *f, gconstpointer unused)
{
    (void)unused;
    configure(f, "check_user_with_email=yes", NULL);
    g_free(temp_script(f->folder, "qwd-mail", "#!/bin/sh\necho 'No route to the server.' >&2; exit 2\n"));
    assert_refused(f, claim(f, "alice@example.org", "", &refusal), QWD_ERROR_UNAVAILABLE,
                   "The mail could not be sent: No route to the server.");
}

/* Nobody's mailbox can be filled: mails are attempts. */
static void test_mails_are_counted(Fixture *f, gconstpointer unused)
{
    (void)unused;
    configure(f, "check_user_with_email=yes", NULL);
    for (int i = 0; i < 5; i++)
        claim_well(f, "alice@example.org", "", ENTER_MAILED);
    assert_refused(f, claim(f, "alice@example.org", "", &refusal), QWD_ERROR_ATTEMPTS, "too many attempts");
}

/* What was asked for rightly slows down nobody. */
static void test_used_mails(Fixture *f, gconstpointer unused)
{
    (void)unused;
    configure(f, "check_user_with_email=yes", NULL);
    for (int i = 0; i < 12; i++) {
        claim_well(f, "Alice@example.org", "", ENTER_MAILED);
        g_autofree char *seal = mailed_seal(f, "alice@example.org");
        resume_well(f, seal, "");
    }
}

/* Where everybody needs a second factor, a mail address alone is no way around it. */
static void test_mail_alone_with_app(Fixture *f, gconstpointer unused)
{
    (void)unused;
    configure(f, "check_user_with_email=yes", "check_user_mfa=totp");
    claim_well(f, "carol@example.org", "", ENTER_MAILED);
    g_autofree char *seal = mailed_seal(f, "carol@example.org");
    resume_well(f, seal, "");
    g_assert_cmpint(f->entrance.stage, ==, ENTER_ENROL);
    g_assert_null(f->entrance.login.id);
    g_autofree char *code = code_of(f->entrance.secret);
    resume_well(f, f->entrance.pending, code);
    g_assert_cmpint(f->entrance.stage, ==, ENTER_LOGIN);
    g_assert_true(f->entrance.login.is_by_mail);
}

static void use_link(int number, int out, const void *data)
{
    (void)number;
    const Fixture *f = data;
    g_auto(Entrance) entrance = {0};
    concurrent_answer(out, enter_resume(&f->context, f->context.link, "", &entrance, NULL));
}

static void test_link_once_for_all(Fixture *f, gconstpointer unused)
{
    (void)unused;
    configure(f, "check_user_with_email=yes", NULL);
    claim_well(f, "alice@example.org", "", ENTER_MAILED);
    g_autofree char *seal = mailed_seal(f, "alice@example.org");
    f->context.link = seal; /* for the others */
    g_autofree char *said = concurrent_run(use_link, f);
    g_assert_cmpint(concurrent_count(said, 'y'), ==, 1);
}

/* --- the web server's login --- */

static bool enter_signed(Fixture *f, const char *user, GError **error)
{
    g_autoptr(JsonValue) carry = json_array();
    return enter_header(&f->context, user, carry, fresh(f), error);
}

static void test_header(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const struct {
        const char *user, *email;
    } cases[] = {{"alice", ""}, {"alice@example.org", "alice@example.org"}, {"CN=\xc3\x89lodie,O=Lab", ""}};
    configure(f, "check_user_with_header=yes", NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_true(enter_signed(f, cases[i].user, NULL));
        g_assert_cmpint(f->entrance.stage, ==, ENTER_LOGIN);
        g_assert_cmpstr(f->entrance.login.identity.user, ==, cases[i].user);
        g_assert_cmpstr(f->entrance.login.identity.email, ==, cases[i].email);
        g_assert_false(f->entrance.login.is_by_mail);
    }
    g_autofree char *longer = g_strnfill(CREDENTIAL_MAX_BYTES + 1, 'x');
    assert_refused(f, enter_signed(f, longer, &refusal), QWD_ERROR_DENIED, "too long");
    configure(f, "check_user_with_header=yes", "check_user_mfa=totp");
    g_assert_true(enter_signed(f, "alice", NULL));
    g_assert_cmpint(f->entrance.stage, ==, ENTER_ENROL);
    f->context.is_page = false; /* a poll: no secret that nobody sees, no mail that nobody has asked for */
    g_assert_true(enter_signed(f, "alice", NULL));
    g_assert_cmpint(f->entrance.stage, ==, ENTER_BROWSER);
    g_assert_null(f->entrance.pending);
    f->context.is_page = true;
    configure(f, "check_user_with_header=yes", "check_user_mfa=email");
    assert_refused(f, enter_signed(f, "alice", &refusal), QWD_ERROR_DENIED, "none is known");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, function) g_test_add(path, Fixture, NULL, set_up, function, tear_down)
    ADD("/enter/password", test_password);
    ADD("/enter/password/many-wrong", test_many_wrong);
    ADD("/enter/password/trouble", test_trouble);
    ADD("/enter/totp/enrol", test_enrol);
    ADD("/enter/totp/code", test_code);
    ADD("/enter/totp/counted", test_codes_are_counted);
    ADD("/enter/totp/known-browser", test_known_browser);
    ADD("/enter/totp/expires", test_step_expires);
    ADD("/enter/totp/groups", test_groups_with_app);
    ADD("/enter/seals", test_other_seals);
    ADD("/enter/seals/unknown-step", test_unknown_step);
    ADD("/enter/mail/second-factor", test_second_factor_by_mail);
    ADD("/enter/mail/alone", test_mail_alone);
    ADD("/enter/mail/refused", test_mail_refused);
    ADD("/enter/mail/expires", test_mail_expires);
    ADD("/enter/mail/fails", test_mailer_fails);
    ADD("/enter/mail/counted", test_mails_are_counted);
    ADD("/enter/mail/used", test_used_mails);
    ADD("/enter/mail/with-app", test_mail_alone_with_app);
    ADD("/enter/mail/once-for-all", test_link_once_for_all);
    ADD("/enter/header", test_header);
    return g_test_run();
}
