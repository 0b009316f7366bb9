/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Root and the service account: what the child of account_run has of root, and what comes back. */
#include <fcntl.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/account.h"
#include "base/account_channel.h"
#include "base/error.h"
#include "temp.h"

static bool is_root(void)
{
    if (geteuid() == 0)
        return true;
    g_test_skip("needs root");
    return false;
}

static char *run(char *(*work)(void *data, GError **error), void *data, GError **error)
{
    return account_run("nobody", &(AccountWork){.run = work, .data = data}, error);
}

/* --- what the child is --- */

/* One word for each thing that it still has. */
static char *list_remains(void *data, GError **error)
{
    (void)error;
    int kept = *(int *)data;
    uid_t uids[3];
    gid_t gids[3];
    GString *remains = g_string_new(NULL);
    getresuid(&uids[0], &uids[1], &uids[2]);
    getresgid(&gids[0], &gids[1], &gids[2]);
    if (!uids[0] || uids[0] != uids[1] || uids[1] != uids[2] || !gids[0] || gids[0] != gids[1] || gids[1] != gids[2])
        g_string_append(remains, "ids ");
    if (setuid(0) == 0 || access("/etc/shadow", R_OK) == 0 || getgroups(0, NULL) > 1)
        g_string_append(remains, "rights ");
    if (getsid(0) != getpid() || open("/dev/tty", O_RDWR) >= 0)
        g_string_append(remains, "session ");
    if (prctl(PR_GET_DUMPABLE) != 0)
        g_string_append(remains, "dumpable ");
    if (fcntl(kept, F_GETFD) >= 0)
        g_string_append(remains, "descriptor ");
    if (g_getenv("SSH_AUTH_SOCK") || g_getenv("SECRET") || !g_getenv("QWD_KEPT") || !g_getenv("PATH"))
        g_string_append(remains, "environment ");
    if (!g_str_equal(g_getenv("USER"), "nobody") || read(0, &kept, 1) != 0)
        g_string_append(remains, "user ");
    return g_string_free(remains, FALSE);
}

static void test_child(void)
{
    g_autoptr(GError) error = NULL;
    if (!is_root())
        return;
    g_setenv("SSH_AUTH_SOCK", "/tmp/agent", TRUE);
    g_setenv("SECRET", "x", TRUE);
    g_setenv("QWD_KEPT", "x", TRUE);
    int secret = open("/etc/shadow", O_RDONLY); /* without close-on-exec */
    g_autofree char *remains = run(list_remains, &secret, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(remains, ==, "");
    g_assert_cmpint(geteuid(), ==, 0);
    close(secret);
}

static char *read_given(void *data, GError **error)
{
    (void)error;
    char text[8] = "";
    return read(*(int *)data, text, 5) == 5 ? g_strdup(text) : g_strdup("");
}

static void test_descriptor(void)
{
    int ends[2];
    if (!is_root())
        return;
    g_assert_cmpint(pipe(ends), ==, 0);
    g_assert_cmpint(write(ends[1], "given", 5), ==, 5);
    g_autofree char *text =
        account_run("nobody", &(AccountWork){.run = read_given, .data = &ends[0], .fd = ends[0]}, NULL);
    g_assert_cmpstr(text, ==, "given");
    g_assert_cmpint(fcntl(ends[0], F_GETFD), <, 0); /* it is the child's */
    close(ends[1]);
}

/* Found by the key's description: its number would tell whether there was one. */
static char *find_key(void *data, GError **error)
{
    (void)data;
    (void)error;
    return g_strdup(syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", "qwd-test", 0) < 0 ? "none"
                                                                                                          : "found");
}

static void test_keyring(void)
{
    if (!is_root())
        return;
    syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0);
    if (syscall(SYS_add_key, "user", "qwd-test", "secret", 6, KEY_SPEC_SESSION_KEYRING) < 0) {
        g_test_skip("hardware: this kernel keeps no keys");
        return;
    }
    g_autofree char *before = find_key(NULL, NULL), *found = run(find_key, NULL, NULL);
    g_assert_cmpstr(before, ==, "found");
    g_assert_cmpstr(found, ==, "none");
}

static char *too_long_text(void *data, GError **error)
{
    (void)data;
    (void)error;
    return g_strnfill(20 * 1024 * 1024, 'x');
}

/* The parent neither takes it nor waits for the child. */
static void test_too_long(void)
{
    g_autoptr(GError) error = NULL;
    if (!is_root())
        return;
    g_assert_null(run(too_long_text, NULL, &error));
    assert_error(error, QWD_ERROR_INTERNAL, "broke off");
}

/* --- what comes back --- */

static char *fail(void *data, GError **error)
{
    qwd_error_fail(error, QWD_ERROR_CONFLICT, "%s", (const char *)data);
    return NULL;
}

static char *long_text(void *data, GError **error)
{
    (void)error;
    return g_strnfill(*(gsize *)data, 'x');
}

static char *end_early(void *data, GError **error)
{
    (void)data;
    (void)error;
    _exit(3);
}

static void test_result(void)
{
    g_autoptr(GError) error = NULL, early = NULL;
    g_assert_null(run(fail, (void *)"It is taken.", &error));
    assert_error(error, QWD_ERROR_CONFLICT, "It is taken.");
    gsize length = 3 * 1024 * 1024;
    g_autofree char *text = run(long_text, &length, NULL);
    g_assert_cmpuint(strlen(text), ==, length);
    if (!is_root())
        return;
    g_assert_null(run(end_early, NULL, &early));
    assert_error(early, QWD_ERROR_INTERNAL, "broke off");
}

static int asked, told;

static bool on_question(const char *question, bool otherwise)
{
    g_assert_cmpint(geteuid(), ==, 0);
    g_assert_cmpstr(question, ==, "Really?");
    asked++;
    return !otherwise;
}

static void on_progress(int percent)
{
    told += percent;
}

static char *ask(void *data, GError **error)
{
    (void)data;
    (void)error;
    account_progress(40);
    bool yes = account_confirm("Really?", false), no = account_confirm("Really?", true);
    account_progress(2);
    return g_strdup_printf("%d %d", yes, no);
}

static void test_questions(void)
{
    if (!is_root())
        return;
    AccountWork work = {.run = ask, .confirm = on_question, .progress = on_progress};
    g_autofree char *answers = account_run("nobody", &work, NULL);
    g_assert_cmpstr(answers, ==, "1 0");
    g_assert_cmpint(asked, ==, 2);
    g_assert_cmpint(told, ==, 42);
}

/* --- refusals --- */

static char *never(void *data, GError **error)
{
    (void)data;
    (void)error;
    g_assert_not_reached();
}

static void test_refused(void)
{
    const char *const users[] = {"qwd-no-such-account", "root", ""};
    const char *const messages[] = {"There is no account \"qwd-no-such-account\"", "has root's rights", "service_user"};
    if (!is_root())
        return;
    for (size_t i = 0; i < G_N_ELEMENTS(users); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(account_run(users[i], &(AccountWork){.run = never}, &error));
        assert_error(error, QWD_ERROR_CONFIG, messages[i]);
    }
}

/* --- programs of the account --- */

/* In a child, since there is no way back: what account_drop says, "" when it is done. */
static char *drop_in_child(const char *user)
{
    int ends[2];
    g_assert_cmpint(pipe(ends), ==, 0);
    pid_t pid = fork();
    if (pid == 0) {
        g_autoptr(GError) error = NULL;
        int null = open("/dev/null", O_RDWR);
        for (int fd = 0; fd < 3; fd++)
            dup2(null, fd);
        bool good = account_drop(user, &error) && geteuid() != 0 && setuid(0) < 0 && prctl(PR_GET_DUMPABLE) == 0;
        const char *said = good ? "" : error ? error->message : "still root";
        _exit(write(ends[1], said, strlen(said)) < 0);
    }
    close(ends[1]);
    char said[512] = "";
    ssize_t length = read(ends[0], said, sizeof said - 1);
    close(ends[0]);
    waitpid(pid, NULL, 0);
    return g_strndup(said, (gsize)MAX(length, 0));
}

static void test_drop(void)
{
    if (!is_root())
        return;
    g_autofree char *done = drop_in_child("nobody"), *refused = drop_in_child("root");
    g_assert_cmpstr(done, ==, "");
    g_assert_nonnull(strstr(refused, "has root's rights"));
}

/* What is not root has nothing to give up, whatever the setting says. */
static char *try_as_nobody(void *data, GError **error)
{
    (void)data;
    g_autofree char *same = account_run("qwd-no-such-account", &(AccountWork){.run = ask}, NULL);
    return account_drop("qwd-no-such-account", error) ? g_strdup(same) : NULL;
}

static void test_ordinary_user(void)
{
    if (!is_root())
        return;
    AccountWork work = {.run = try_as_nobody, .confirm = on_question};
    g_autofree char *answers = account_run("nobody", &work, NULL);
    g_assert_cmpstr(answers, ==, "1 0");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/account/child", test_child);
    g_test_add_func("/account/descriptor", test_descriptor);
    g_test_add_func("/account/keyring", test_keyring);
    g_test_add_func("/account/too-long", test_too_long);
    g_test_add_func("/account/result", test_result);
    g_test_add_func("/account/questions", test_questions);
    g_test_add_func("/account/refused", test_refused);
    g_test_add_func("/account/drop", test_drop);
    g_test_add_func("/account/ordinary-user", test_ordinary_user);
    return g_test_run();
}
