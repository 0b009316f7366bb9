/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Giving up root: in a process of its own, since there is no way back. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/account.h"
#include "base/error.h"
#include "temp.h"

static bool is_root(void)
{
    if (geteuid() == 0)
        return true;
    g_test_skip("needs root");
    return false;
}

/* Whether the body holds in a child. */
static void in_child(bool (*holds)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(holds() ? 0 : 1);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(status, ==, 0);
}

static bool becomes_nobody(void)
{
    uid_t uids[3];
    return account_become("nobody", NULL) && getresuid(&uids[0], &uids[1], &uids[2]) == 0 && uids[0] == uids[1] &&
           uids[1] == uids[2] && uids[0] != 0 && getgid() != 0 && getgroups(0, NULL) <= 1 && setuid(0) < 0 &&
           access("/etc/shadow", R_OK) < 0 && g_str_equal(g_getenv("USER"), "nobody") &&
           access("/proc/self/fd/0", F_OK) == 0;
}

static bool stays_nobody(void)
{
    return account_become("nobody", NULL) && account_become("www-data", NULL) &&
           account_become("qwd-no-such-account", NULL) && g_str_equal(g_getenv("USER"), "nobody");
}

static void test_become(void)
{
    if (is_root())
        in_child(becomes_nobody);
}

/* What is not root any more has nothing to give up, whatever the setting says. */
static void test_ordinary_user(void)
{
    if (is_root())
        in_child(stays_nobody);
    else
        g_assert_true(account_become("qwd-no-such-account", NULL));
}

static void test_refused(void)
{
    g_autoptr(GError) error = NULL;
    if (!is_root())
        return;
    g_assert_false(account_become("qwd-no-such-account", &error));
    assert_error(error, QWD_ERROR_CONFIG, "There is no account \"qwd-no-such-account\"");
    g_assert_false(account_become("root", &error));
    assert_error(error, QWD_ERROR_CONFIG, "has root's rights");
    g_assert_false(account_become("", &error));
    assert_error(error, QWD_ERROR_CONFIG, "service_user");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/account/become", test_become);
    g_test_add_func("/account/ordinary-user", test_ordinary_user);
    g_test_add_func("/account/refused", test_refused);
    return g_test_run();
}
