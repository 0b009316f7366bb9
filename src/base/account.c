/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/error.h"

static const struct passwd *find_account(const char *user, GError **error)
{
    errno = 0;
    const struct passwd *account = getpwnam(user);
    if (!account)
        qwd_error_fail(error, QWD_ERROR_CONFIG, "There is no account \"%s\" to run the service. Set service_user.%s%s",
                       user, errno ? " " : "", errno ? g_strerror(errno) : "");
    else if (account->pw_uid == 0 || account->pw_gid == 0)
        qwd_error_fail(error, QWD_ERROR_CONFIG,
                       "The account \"%s\" has root's rights. Set service_user to an account without.", user);
    else
        return account;
    return NULL;
}

/* Real, effective and saved ids are the account's, and the kernel refuses to bring root back. */
static bool root_is_gone(const struct passwd *account)
{
    uid_t uids[3];
    gid_t gids[3];
    if (getresuid(&uids[0], &uids[1], &uids[2]) < 0 || getresgid(&gids[0], &gids[1], &gids[2]) < 0)
        return false;
    for (int i = 0; i < 3; i++) {
        if (uids[i] != account->pw_uid || gids[i] != account->pw_gid)
            return false;
    }
    return setuid(0) < 0 && setgid(0) < 0;
}

static bool change_ids(const struct passwd *account, GError **error)
{
    if (initgroups(account->pw_name, account->pw_gid) < 0 ||
        setresgid(account->pw_gid, account->pw_gid, account->pw_gid) < 0 ||
        setresuid(account->pw_uid, account->pw_uid, account->pw_uid) < 0)
        return qwd_error_errno(error, errno, "Cannot become the account \"%s\"", account->pw_name);
    if (!root_is_gone(account))
        return qwd_error_fail(error, QWD_ERROR_INTERNAL, "The account \"%s\" could become root again.",
                              account->pw_name);
    return true;
}

bool account_become(const char *user, GError **error)
{
    if (getuid() != 0 && geteuid() != 0)
        return true;
    const struct passwd *account = find_account(user, error);
    if (!account || !change_ids(account, error))
        return false;
    g_setenv("HOME", account->pw_dir, TRUE);
    g_setenv("USER", account->pw_name, TRUE);
    g_setenv("LOGNAME", account->pw_name, TRUE);
    /* A change of ids makes /proc/self root's: our own descriptors there could not be opened any more. */
    prctl(PR_SET_DUMPABLE, 1);
    return true;
}

bool account_is_of_people(uid_t account)
{
    const uid_t first = 1000, first_dynamic = 61184, last_dynamic = 65535; /* of systemd's services; and nobody */
    if (account == 0)
        return true;
    if (account < first || (account >= first_dynamic && account <= last_dynamic))
        return false;
    const struct passwd *entry = getpwuid(account);
    return entry && !g_str_has_suffix(entry->pw_shell, "/nologin") && !g_str_has_suffix(entry->pw_shell, "/false");
}
