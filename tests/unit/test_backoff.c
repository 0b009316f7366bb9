/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <string.h>
#include <unistd.h>

#include "auth/backoff.h"
#include "base/error.h"
#include "clock.h"
#include "concurrent.h"
#include "temp.h"

#define HERE "192.0.2.1"
#define THERE "198.51.100.2"

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

/* An attempt with this result, if it may be made. */
static bool attempt_as(const Fixture *f, const LoginAttempt *attempt, AttemptResult result)
{
    RunningAttempt running;
    g_autoptr(GError) error = NULL;
    bool may = backoff_begin(f->settings, attempt, &running, &error);
    if (may)
        backoff_end(f->settings, attempt, &running, result);
    else
        assert_error(error, QWD_ERROR_ATTEMPTS, "There were too many attempts to log in. Wait ");
    return may;
}

static bool attempt(const Fixture *f, const char *address, const char *user)
{
    return attempt_as(f, &(LoginAttempt){address, user, NULL}, ATTEMPT_WRONG);
}

static bool log_in(const Fixture *f, const char *address, const char *user)
{
    return attempt_as(f, &(LoginAttempt){address, user, NULL}, ATTEMPT_RIGHT);
}

/* How long an attempt has to wait, found by trying each second; it is counted then. */
static int waited_s(const Fixture *f, const char *address, const char *user)
{
    for (int s = 0; s <= 3600; s++, clock_s++) {
        if (attempt(f, address, user))
            return s;
    }
    g_assert_not_reached();
}

static char *numbered(const char *text, int number)
{
    return g_strdup_printf("%s%d", text, number);
}

/* Another user each time, as somebody does who tries a list of them. */
static int waited_for_any_user_s(const Fixture *f, int number)
{
    g_autofree char *user = numbered("user", number);
    return waited_s(f, HERE, user);
}

static const BackoffEntry *find(const GPtrArray *entries, const char *name)
{
    for (guint i = 0; i < entries->len; i++) {
        const BackoffEntry *entry = entries->pdata[i];
        if (g_str_equal(entry->name, name))
            return entry;
    }
    return NULL;
}

static int failures_of(const Fixture *f, const char *name)
{
    g_autoptr(GPtrArray) entries = backoff_list(f->settings);
    const BackoffEntry *entry = find(entries, name);
    return entry ? (int)entry->failures : 0;
}

/* --- waiting --- */

static void test_address(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const int expected[] = {0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900};
    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++)
        g_assert_cmpint(waited_for_any_user_s(f, (int)i), ==, expected[i]);
}

static void test_user(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const int expected[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 30, 30, 30};
    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
        g_autofree char *address = numbered("192.0.2.", (int)i); /* from everywhere */
        g_assert_cmpint(waited_s(f, address, "alice"), ==, expected[i]);
    }
}

/* Whoever is told to wait is told how long, and what was refused does not make it longer. */
static void test_words(Fixture *f, gconstpointer unused)
{
    (void)unused;
    RunningAttempt running;
    g_autoptr(GError) error = NULL;
    for (int i = 0; i < 7; i++)
        waited_for_any_user_s(f, i);
    for (int i = 0; i < 20; i++) {
        g_clear_error(&error);
        g_assert_false(backoff_begin(f->settings, &(LoginAttempt){HERE, "bob", NULL}, &running, &error));
    }
    assert_error(error, QWD_ERROR_ATTEMPTS, "Wait 4 s, then try again.");
    g_assert_cmpint(failures_of(f, HERE), ==, 7);
    g_assert_cmpint(waited_s(f, HERE, "bob"), ==, 4);
}

/* 200 wrong ones at full speed. */
static void test_flood(Fixture *f, gconstpointer unused)
{
    (void)unused;
    int made = 0;
    for (int i = 0; i < 200; i++)
        made += attempt(f, HERE, "alice");
    g_assert_cmpint(made, ==, 5);
    g_assert_true(attempt(f, THERE, "bob"));
    g_assert_true(attempt(f, THERE, "alice")); /* she herself is not locked out */
}

/* 200 wrong ones by somebody who has the patience. */
static void test_siege(Fixture *f, gconstpointer unused)
{
    (void)unused;
    gint64 begin = clock_s;
    for (int i = 0; i < 200; i++)
        waited_s(f, HERE, "alice");
    g_assert_cmpint(clock_s - begin, >, 185 * 900);
    g_assert_false(attempt(f, HERE, "bob"));
    g_assert_true(attempt(f, THERE, "bob"));
    g_assert_cmpint(waited_s(f, THERE, "alice"), <=, 30);
}

/* --- browsers that are known, and networks that are trusted --- */

#define IN_BROWSER(user) (&(LoginAttempt){HERE, user, "0123456789abcdef"})

static bool attempt_in_browser(const Fixture *f, const char *user)
{
    return attempt_as(f, IN_BROWSER(user), ATTEMPT_WRONG);
}

/* Strangers who use each pause do not keep a user out of her own browser, even one behind the same address. */
static void test_browser(Fixture *f, gconstpointer unused)
{
    (void)unused;
    for (int i = 0; i < 30; i++)
        waited_s(f, HERE, "alice");
    g_assert_false(attempt(f, HERE, "alice"));
    g_assert_true(attempt_as(f, IN_BROWSER("alice"), ATTEMPT_RIGHT));
    g_assert_cmpint(failures_of(f, HERE), ==, 30); /* the strangers' attempts stay theirs */
    g_assert_false(attempt(f, HERE, "alice"));
}

/* Guessing is as slow in it as from one address. */
static void test_browser_guesses(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const int expected[] = {0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900};
    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
        int waited = 0;
        for (; !attempt_in_browser(f, "alice"); clock_s++)
            waited++;
        g_assert_cmpint(waited, ==, expected[i]);
    }
    g_assert_true(attempt_in_browser(f, "bob"));
    g_assert_true(attempt(f, HERE, "alice"));
    g_assert_cmpint(backoff_clear(f->settings, "alice"), ==, 2); /* in the browser, and from elsewhere */
}

static void trust(Fixture *f, const char *networks)
{
    settings_free(f->settings);
    g_autofree char *setting = g_strconcat("login_trusted_networks=", networks, NULL);
    f->settings = temp_settings(f->folder, setting, NULL);
}

/* 20 mistakes of a few in a class room: all others log in, and so do these when they have waited for their own. */
static void test_class_room(Fixture *f, gconstpointer unused)
{
    (void)unused;
    trust(f, "203.0.113.0/24, 192.0.2.0/28");
    for (int i = 0; i < 20; i++) {
        g_autofree char *user = numbered("careless", i % 4);
        g_assert_true(attempt(f, HERE, user));
    }
    for (int i = 0; i < 30; i++) {
        g_autofree char *user = numbered("pupil", i);
        g_assert_true(log_in(f, HERE, user));
    }
    g_assert_false(attempt(f, HERE, "careless0"));
    g_assert_cmpint(waited_s(f, HERE, "careless0"), ==, 1);
    g_assert_true(attempt(f, THERE, "careless0"));
}

/* Strangers keep nobody out of it, and whoever guesses there keeps a user out as long as a stranger does. */
static void test_trusted_guesses(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const int expected[] = {0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 30, 30, 30};
    trust(f, HERE);
    for (int i = 0; i < 20; i++)
        waited_s(f, THERE, "alice");
    g_assert_false(attempt(f, THERE, "alice"));
    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++)
        g_assert_cmpint(waited_s(f, HERE, "alice"), ==, expected[i]);
    g_assert_cmpint(backoff_clear(f->settings, HERE), ==, 1);
}

/* --- strangers with many networks --- */

/* Strangers try alice's password, from one of 100 networks after the other. */
static bool try_from_next_network(const Fixture *f)
{
    g_autofree char *address = numbered("10.0.0.", (int)(clock_s % 100));
    return attempt(f, address, "alice");
}

/* Each second. */
static void besiege(const Fixture *f, int seconds)
{
    for (gint64 end = clock_s + seconds; clock_s < end; clock_s++)
        try_from_next_network(f);
}

/* For minutes, until one more has just been wrong. */
static void besiege_long(const Fixture *f)
{
    besiege(f, 500);
    for (; !try_from_next_network(f); clock_s++) {
    }
}

/* What they do meanwhile does not make her wait longer. */
static void test_changing_networks(Fixture *f, gconstpointer unused)
{
    (void)unused;
    besiege_long(f);
    g_assert_false(attempt(f, THERE, "alice"));
    besiege(f, 30);
    g_assert_true(log_in(f, THERE, "alice"));
}

/* All that they can try with the addresses of one IPv6 network is one in 30 s. */
static void test_guesses_of_network(Fixture *f, gconstpointer unused)
{
    (void)unused;
    int made = 0;
    for (gint64 end = clock_s + 7200; clock_s < end; clock_s += 5) {
        g_autofree char *address = g_strdup_printf("2001:db8:1:%x::1", (int)(clock_s % 1000));
        made += attempt(f, address, "alice");
    }
    g_assert_cmpint(made, <=, 2 * 120 + 15);
}

/* The place of a network is for one attempt. */
static void test_place(Fixture *f, gconstpointer unused)
{
    (void)unused;
    besiege_long(f);
    g_assert_false(attempt(f, THERE, "alice"));
    besiege(f, 30);
    g_assert_true(attempt(f, THERE, "alice"));
    g_assert_false(attempt(f, THERE, "alice"));
    besiege(f, 29);
    g_assert_false(attempt(f, THERE, "alice"));
    besiege(f, 1);
    g_assert_true(attempt(f, THERE, "alice"));
    g_assert_false(attempt(f, THERE, "alice"));
    g_assert_cmpint(backoff_clear(f->settings, "alice"), ==, 1);
    g_assert_true(attempt(f, THERE, "alice"));
}

/* Two networks of one customer share a place, those of two do not. */
static void test_place_of_network(Fixture *f, gconstpointer unused)
{
    (void)unused;
    besiege_long(f);
    g_assert_false(attempt(f, "2001:db8:1:2::1", "alice"));
    g_assert_false(attempt(f, "2001:db8:2::1", "alice"));
    besiege(f, 30);
    g_assert_true(attempt(f, "2001:db8:1:3::1", "alice"));
    g_assert_false(attempt(f, "2001:db8:1:2::1", "alice"));
    g_assert_true(attempt(f, "2001:db8:2::1", "alice"));
}

static void test_trusted_setting(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_assert_true(backoff_check_settings(f->settings, &error));
    trust(f, "192.0.2.0/24, room");
    g_assert_false(backoff_check_settings(f->settings, &error));
    assert_error(error, QWD_ERROR_CONFIG, "login_trusted_networks: \"room\" is no network.");
    g_assert_true(backoff_trusts(f->settings, HERE));
    g_assert_false(backoff_trusts(f->settings, THERE));
    g_assert_false(backoff_trusts(f->settings, ""));
    trust(f, "::/0");
    g_assert_false(backoff_trusts(f->settings, HERE));
    g_assert_false(backoff_trusts(f->settings, "::ffff:" HERE));
    g_assert_true(backoff_trusts(f->settings, "2001:db8::1"));
}

static void test_numbers(Fixture *f, gconstpointer unused)
{
    (void)unused;
    f->settings->login_attempts_per_address = 1;
    f->settings->login_wait_max_per_address = 3;
    f->settings->login_attempts_per_user = 2;
    f->settings->login_wait_max_per_user = 2;
    static const int of_address[] = {0, 1, 2, 3, 3}, of_user[] = {0, 0, 1, 2, 2};
    for (size_t i = 0; i < G_N_ELEMENTS(of_address); i++)
        g_assert_cmpint(waited_for_any_user_s(f, (int)i), ==, of_address[i]);
    for (size_t i = 0; i < G_N_ELEMENTS(of_user); i++) {
        g_autofree char *address = numbered("198.51.100.", (int)i);
        g_assert_cmpint(waited_s(f, address, "alice"), ==, of_user[i]);
    }
}

/* --- names --- */

static void test_capitals(Fixture *f, gconstpointer unused)
{
    (void)unused;
    static const char *const names[] = {"alice", "Alice", "ALICE", "aLICE"};
    int made = 0;
    for (int i = 0; i < 20; i++) {
        g_autofree char *address = numbered("192.0.2.", i);
        made += attempt(f, address, names[i % 4]);
    }
    g_assert_cmpint(made, ==, 10);
    clock_s += 1;
    g_assert_true(log_in(f, "192.0.2.100", "Alice"));
    g_assert_cmpint(failures_of(f, "alice"), ==, 0);
    attempt(f, THERE, "ALICE");
    g_assert_cmpint(backoff_clear(f->settings, "Alice"), ==, 1);
}

/* A host with IPv6 has 2^64 of them. */
static void test_networks(Fixture *f, gconstpointer unused)
{
    (void)unused;
    for (int i = 0; i < 5; i++) {
        g_autofree char *address = g_strdup_printf("2001:db8:1:2:%x::%d", i, i), *user = numbered("user", i);
        g_assert_true(attempt(f, address, user));
    }
    g_assert_false(attempt(f, "2001:db8:1:2:ffff:ffff:ffff:ffff", "bob"));
    g_assert_true(attempt(f, "2001:db8:1:3::1", "bob"));
    g_assert_cmpint(failures_of(f, "2001:db8:1:2::/64"), ==, 5);
    for (int i = 0; i < 6; i++) {
        g_autofree char *address = g_strdup_printf("::ffff:192.0.2.%d", i), *user = numbered("other", i);
        g_assert_true(attempt(f, address, user)); /* these are IPv4 */
    }
    for (int i = 0; i < 5; i++)
        attempt(f, "", "nobody's"); /* no address at all */
    g_assert_false(attempt(f, "", "bob"));
}

/* --- forgetting --- */

static void test_forgetting(Fixture *f, gconstpointer unused)
{
    (void)unused;
    for (int i = 0; i < 8; i++)
        waited_for_any_user_s(f, i);
    clock_s += 3600;
    g_assert_cmpint(failures_of(f, HERE), ==, 8);
    clock_s += 1;
    g_assert_cmpint(failures_of(f, HERE), ==, 0);
    for (int i = 0; i < 5; i++)
        g_assert_cmpint(waited_for_any_user_s(f, i), ==, 0);
    g_autoptr(GPtrArray) entries = backoff_list(f->settings);
    g_assert_cmpint(entries->len, ==, 1 + 5); /* what is forgotten takes no room */
}

static int count_files(const Fixture *f)
{
    int count = 0;
    g_autofree char *folder = g_build_filename(f->settings->dir_login, "backoff", NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    while (dir && g_dir_read_name(dir))
        count++;
    return count;
}

/* Entries that are forgotten are removed once in ten minutes; nothing is read for it. */
static void test_pruning(Fixture *f, gconstpointer unused)
{
    (void)unused;
    for (int i = 0; i < 8; i++) {
        g_autofree char *address = numbered("192.0.2.", i), *user = numbered("user", i);
        attempt(f, address, user);
    }
    g_assert_cmpint(count_files(f), ==, 16);
    clock_s += 3601 - 300;
    attempt(f, THERE, "alice"); /* looks, and finds none */
    clock_s += 300;
    attempt(f, THERE, "alice");
    g_assert_cmpint(count_files(f), ==, 18);
    clock_s += 301;
    attempt(f, THERE, "alice");
    g_assert_cmpint(count_files(f), ==, 2);
    g_assert_cmpint(failures_of(f, "alice"), ==, 3);
}

static void test_success(Fixture *f, gconstpointer unused)
{
    (void)unused;
    for (int i = 0; i < 100; i++) { /* a class that logs in from one address */
        g_autofree char *user = numbered("user", i);
        g_assert_true(log_in(f, HERE, user));
    }
    g_autoptr(GPtrArray) entries = backoff_list(f->settings);
    g_assert_cmpint(entries->len, ==, 0);
    backoff_take_back(f->settings, &(LoginAttempt){THERE, "nobody", NULL}); /* nothing to take back */
}

/* A success takes back itself, not the failures of others behind the address, and does not make them wait longer. */
static void test_success_between(Fixture *f, gconstpointer unused)
{
    (void)unused;
    for (int i = 0; i < 9; i++)
        waited_for_any_user_s(f, i);
    g_assert_cmpint(waited_s(f, HERE, "alice"), ==, 16);
    backoff_take_back(f->settings, &(LoginAttempt){HERE, "alice", NULL});
    g_assert_cmpint(failures_of(f, HERE), ==, 9);
    g_assert_cmpint(failures_of(f, "alice"), ==, 0);
    g_assert_true(log_in(f, HERE, "carol"));
    g_assert_cmpint(failures_of(f, HERE), ==, 9);
    g_assert_true(attempt(f, HERE, "bob")); /* at once: the wait after the last failure is over */
    g_assert_false(attempt(f, HERE, "carol"));
}

/* --- many at once --- */

static void hammer(int number, int out, const void *data)
{
    const Fixture *f = data;
    g_autofree char *user = numbered("user", number);
    for (int i = 0; i < 10; i++)
        concurrent_answer(out, attempt(f, HERE, user));
}

static void test_many_requests(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *said = concurrent_run(hammer, f);
    g_assert_cmpint(concurrent_count(said, 'y'), ==, 5);
    g_assert_cmpint(concurrent_count(said, 'n'), ==, CONCURRENT_PROCESSES * 10 - 5);
    g_assert_cmpint(failures_of(f, HERE), ==, 5);
}

static void come_from_everywhere(int number, int out, const void *data)
{
    const Fixture *f = data;
    g_autofree char *address = numbered("192.0.2.", number);
    for (int i = 0; i < 3; i++)
        concurrent_answer(out, attempt(f, address, "alice"));
}

static void test_many_addresses(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *said = concurrent_run(come_from_everywhere, f);
    g_assert_cmpint(concurrent_count(said, 'y'), ==, 10);
    g_assert_cmpint(failures_of(f, "alice"), ==, 10);
}

static void log_in_rightly(int number, int out, const void *data)
{
    const Fixture *f = data;
    g_autofree char *user = numbered("user", number);
    for (int i = 0; i < 3; i++)
        concurrent_answer(out, log_in(f, HERE, user));
}

static void test_many_successes(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *said = concurrent_run(log_in_rightly, f);
    g_assert_cmpint(concurrent_count(said, 'y'), ==, 3 * CONCURRENT_PROCESSES);
    g_assert_cmpint(failures_of(f, HERE), ==, 0);
}

/* --- what is being checked --- */

static void test_unanswered(Fixture *f, gconstpointer unused)
{
    (void)unused;
    for (int i = 0; i < 100; i++)
        g_assert_true(attempt_as(f, &(LoginAttempt){HERE, "alice", NULL}, ATTEMPT_UNANSWERED));
    g_autoptr(GPtrArray) entries = backoff_list(f->settings);
    g_assert_cmpint(entries->len, ==, 0);
}

static void begin_and_die(int number, int out, const void *data)
{
    const Fixture *f = data;
    RunningAttempt running;
    (void)number;
    if (backoff_begin(f->settings, &(LoginAttempt){HERE, "alice", NULL}, &running, NULL))
        concurrent_answer(out, true);
}

/* A guess that was ended before its answer counts. */
static void test_killed(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *said = concurrent_run(begin_and_die, f);
    g_assert_cmpint(concurrent_count(said, 'y'), ==, 5);
    g_assert_false(attempt(f, HERE, "bob"));
    g_assert_cmpint(failures_of(f, HERE), ==, 5);
    g_assert_cmpint(failures_of(f, "alice"), ==, 5);
}

/* Those above the free attempts wait, and are told so when it takes too long. */
static void test_busy(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    RunningAttempt running[5], more;
    f->settings->check_user_deadline = 1;
    for (int i = 0; i < 5; i++)
        g_assert_true(backoff_begin(f->settings, &(LoginAttempt){HERE, "alice", NULL}, &running[i], NULL));
    g_assert_false(backoff_begin(f->settings, &(LoginAttempt){HERE, "bob", NULL}, &more, &error));
    assert_error(error, QWD_ERROR_BUSY, "Many people are logging in at this moment.");
    g_assert_true(attempt(f, THERE, "bob"));
    backoff_end(f->settings, &(LoginAttempt){HERE, "alice", NULL}, &running[0], ATTEMPT_WRONG);
    g_clear_error(&error);
    g_assert_false(backoff_begin(f->settings, &(LoginAttempt){HERE, "bob", NULL}, &more, &error));
    assert_error(error, QWD_ERROR_BUSY, "Try again in a few seconds."); /* it may be wrong as well */
    backoff_end(f->settings, &(LoginAttempt){HERE, "alice", NULL}, &running[1], ATTEMPT_RIGHT);
    g_assert_true(log_in(f, HERE, "bob"));
    for (int i = 2; i < 5; i++)
        backoff_end(f->settings, &(LoginAttempt){HERE, "alice", NULL}, &running[i], ATTEMPT_UNANSWERED);
    g_assert_cmpint(failures_of(f, HERE), ==, 1);
}

/* --- the administrator's view --- */

static void test_list(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GPtrArray) nothing = backoff_list(f->settings);
    g_assert_cmpint(nothing->len, ==, 0);
    for (int i = 0; i < 6; i++)
        waited_s(f, HERE, "alice");
    attempt(f, THERE, "../../etc/passwd");
    g_autoptr(GPtrArray) entries = backoff_list(f->settings);
    g_assert_cmpint(entries->len, ==, 4);
    const BackoffEntry *first = entries->pdata[0], *here = find(entries, HERE), *there = find(entries, THERE);
    g_assert_cmpint(first->failures, ==, 6);
    g_assert_cmpstr(here->kind, ==, "address");
    g_assert_cmpint(here->wait_s, ==, 2);
    g_assert_cmpint(here->last_at, ==, clock_s);
    g_assert_cmpint(there->failures, ==, 1);
    g_assert_cmpint(there->wait_s, ==, 0);
    g_assert_cmpstr(find(entries, "../../etc/passwd")->kind, ==, "user");
}

static void test_clear(Fixture *f, gconstpointer unused)
{
    (void)unused;
    for (int i = 0; i < 8; i++)
        waited_s(f, HERE, "alice");
    g_assert_cmpint(backoff_clear(f->settings, "bob"), ==, 0);
    g_assert_false(attempt(f, HERE, "bob"));
    g_assert_cmpint(backoff_clear(f->settings, HERE), ==, 1);
    g_assert_true(attempt(f, HERE, "bob"));
    g_assert_cmpint(backoff_clear(f->settings, "alice"), ==, 1);
    g_assert_cmpint(failures_of(f, "alice"), ==, 0);
    g_assert_cmpint(backoff_clear(f->settings, NULL), ==, 2);
    g_assert_cmpint(backoff_clear(f->settings, NULL), ==, 0);
}

/* What cannot be counted cannot be tried. */
static void test_broken(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_autofree char *path = temp_file(f->folder, "login", "in the way");
    RunningAttempt running;
    g_assert_false(backoff_begin(f->settings, &(LoginAttempt){HERE, "alice", NULL}, &running, &error));
    g_assert_nonnull(error);
    g_assert_cmpint(backoff_clear(f->settings, NULL), ==, 0);
}

static void test_broken_entry(Fixture *f, gconstpointer unused)
{
    (void)unused;
    g_autofree char *folder = g_build_filename(f->settings->dir_login, "backoff", NULL);
    attempt(f, HERE, "alice");
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; (name = g_dir_read_name(dir));)
        g_free(temp_file(folder, name, "{"));
    g_assert_true(attempt(f, HERE, "alice"));
    g_assert_cmpint(failures_of(f, HERE), ==, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, function) g_test_add(path, Fixture, NULL, set_up, function, tear_down)
    ADD("/backoff/address", test_address);
    ADD("/backoff/user", test_user);
    ADD("/backoff/words", test_words);
    ADD("/backoff/flood", test_flood);
    ADD("/backoff/siege", test_siege);
    ADD("/backoff/browser", test_browser);
    ADD("/backoff/browser/guesses", test_browser_guesses);
    ADD("/backoff/trusted/class-room", test_class_room);
    ADD("/backoff/trusted/guesses", test_trusted_guesses);
    ADD("/backoff/trusted/setting", test_trusted_setting);
    ADD("/backoff/networks/changing", test_changing_networks);
    ADD("/backoff/networks/guesses", test_guesses_of_network);
    ADD("/backoff/place", test_place);
    ADD("/backoff/place/network", test_place_of_network);
    ADD("/backoff/unanswered", test_unanswered);
    ADD("/backoff/killed", test_killed);
    ADD("/backoff/busy", test_busy);
    ADD("/backoff/numbers", test_numbers);
    ADD("/backoff/pruning", test_pruning);
    ADD("/backoff/capitals", test_capitals);
    ADD("/backoff/networks", test_networks);
    ADD("/backoff/forgetting", test_forgetting);
    ADD("/backoff/success", test_success);
    ADD("/backoff/success/between", test_success_between);
    ADD("/backoff/many", test_many_requests);
    ADD("/backoff/many/addresses", test_many_addresses);
    ADD("/backoff/many/successes", test_many_successes);
    ADD("/backoff/list", test_list);
    ADD("/backoff/clear", test_clear);
    ADD("/backoff/broken", test_broken);
    ADD("/backoff/broken/entry", test_broken_entry);
    return g_test_run();
}
