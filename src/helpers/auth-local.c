/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwd-auth-local: checks a user against the accounts of this server, through PAM (service qemu-web-desktop).
 *
 * pam_unix reads other accounts' passwords for root only, so this program is installed setuid root for the service
 * account's group alone (INSTALL.md). It therefore trusts nothing of its caller but the two texts on standard input:
 * it uses no settings, no environment and no argument, and knows no account below UID_MIN, root least of all. */
#include <crypt.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/local_account.h"
#include "auth/privileged.h"
#include "auth/protocol.h"
#include "base/error.h"
#include "base/file.h"

#define PROGRAM "qwd-auth-local"
#define SERVICE "qemu-web-desktop"
#define LOGIN_DEFS "/etc/login.defs"

enum {
    DEADLINE_MS = 60000, /* above a usual check_user_deadline, whose end the caller sees to: the last resort */
    ACCOUNT_MAX_BYTES = 64 * 1024,
    LOGIN_DEFS_MAX_BYTES = 256 * 1024,
    GROUPS_MAX = 65536 /* the kernel's own limit */
};

typedef struct {
    struct passwd entry; /* its texts are in `buffer` */
    char buffer[ACCOUNT_MAX_BYTES];
} Account;

/* --- the account --- */

/* *found says whether there is one; false is an error of the data base. */
static bool account_find(const char *user, Account *account, bool *found, GError **error)
{
    struct passwd *entry = NULL;
    int code = getpwnam_r(user, &account->entry, account->buffer, sizeof account->buffer, &entry);
    *found = entry != NULL;
    if (entry || code == 0 || code == ENOENT || code == ESRCH)
        return true;
    return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "The accounts cannot be read: %s", g_strerror(code));
}

static bool is_for_people(const Account *account)
{
    g_autofree char *login_defs = file_read(LOGIN_DEFS, LOGIN_DEFS_MAX_BYTES, NULL, NULL);
    return account->entry.pw_uid != 0 && account->entry.pw_uid >= local_account_uid_min(login_defs);
}

/* Whether pam_unix could tell a right password from a wrong one. */
static bool can_be_checked(const Account *account, GError **error)
{
    bool is_shadowed = g_str_equal(account->entry.pw_passwd, "x");
    if (geteuid() == 0 || !is_shadowed || account->entry.pw_uid == getuid())
        return true;
    return qwd_error_fail(error, QWD_ERROR_CONFIG,
                          "PAM checks other accounts' passwords for root only: this program's owner and mode must be "
                          "root:GROUP 4750, with GROUP that of the service account (INSTALL.md).");
}

/* A refusal before PAM takes as long as one by pam_unix, so that time does not tell which accounts exist. pam_unix
 * (1.5.2) computes the hash twice before it believes that a password is wrong. */
static void take_the_time_of_a_check(const char *password)
{
    static struct crypt_data data;
    char salt[CRYPT_GENSALT_OUTPUT_SIZE];
    for (int i = 0; i < 2; i++) {
        if (crypt_gensalt_rn(NULL, 0, NULL, 0, salt, sizeof salt))
            crypt_rn(password, salt, &data, sizeof data);
    }
    explicit_bzero(&data, sizeof data);
}

/* --- PAM --- */

typedef struct {
    const char *password;
    bool was_asked;
} Conversation;

/* The one question that has an answer is that for the password, once. Messages are for nobody. */
static bool answer(Conversation *conversation, const struct pam_message *message, struct pam_response *response)
{
    if (message->msg_style == PAM_ERROR_MSG || message->msg_style == PAM_TEXT_INFO)
        return true;
    if (message->msg_style != PAM_PROMPT_ECHO_OFF || conversation->was_asked)
        return false;
    conversation->was_asked = true;
    response->resp = strdup(conversation->password);
    return response->resp != NULL;
}

static void free_responses(struct pam_response *responses, int count)
{
    for (int i = 0; i < count; i++) {
        if (responses[i].resp)
            explicit_bzero(responses[i].resp, strlen(responses[i].resp));
        free(responses[i].resp);
    }
    free(responses);
}

static int converse(int count, const struct pam_message **messages, struct pam_response **responses, void *data)
{
    if (count <= 0 || count > PAM_MAX_NUM_MSG)
        return PAM_CONV_ERR;
    struct pam_response *list = calloc((size_t)count, sizeof *list); /* PAM frees it with free(3) */
    if (!list)
        return PAM_BUF_ERR;
    for (int i = 0; i < count; i++) {
        if (!answer(data, messages[i], &list[i])) {
            free_responses(list, count);
            return PAM_CONV_ERR;
        }
    }
    *responses = list;
    return PAM_SUCCESS;
}

/* The service has a back-off of its own, for all ways to log in. */
static void no_delay(int status, unsigned int microseconds, void *data)
{
    (void)status, (void)microseconds, (void)data;
}

/* Without a file of its own PAM would take the service "other", which nobody wrote for us. */
static bool service_exists(GError **error)
{
    static const char *const files[] = {"/etc/pam.d/" SERVICE, "/usr/lib/pam.d/" SERVICE};
    for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
        if (access(files[i], R_OK) == 0)
            return true;
    }
    return qwd_error_fail(error, QWD_ERROR_CONFIG, "There is no PAM service file %s.", files[0]);
}

/* What PAM says about a user; all else is about PAM. */
static bool is_refusal(int code)
{
    static const int refusals[] = {PAM_AUTH_ERR,     PAM_USER_UNKNOWN,     PAM_MAXTRIES,        PAM_PERM_DENIED,
                                   PAM_ACCT_EXPIRED, PAM_NEW_AUTHTOK_REQD, PAM_AUTHTOK_EXPIRED, PAM_CRED_EXPIRED};
    for (size_t i = 0; i < G_N_ELEMENTS(refusals); i++) {
        if (code == refusals[i])
            return true;
    }
    return false;
}

/* A module may have made another user of this one. */
static int check_still_same(pam_handle_t *pam, const char *user)
{
    const void *now = NULL;
    int code = pam_get_item(pam, PAM_USER, &now);
    if (code != PAM_SUCCESS)
        return code;
    return now && g_str_equal(now, user) ? PAM_SUCCESS : PAM_PERM_DENIED;
}

/* *stage is what PAM was asked last, for the reason. */
static int authenticate(pam_handle_t *pam, const char *user, const char **stage)
{
    const int flags = PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK;
    *stage = "the password";
    int code = pam_set_item(pam, PAM_FAIL_DELAY, (const void *)no_delay);
    if (code == PAM_SUCCESS)
        code = pam_authenticate(pam, flags);
    if (code != PAM_SUCCESS)
        return code;
    *stage = "the account (locked, expired, or not let in by " SERVICE ")";
    code = pam_acct_mgmt(pam, flags);
    return code == PAM_SUCCESS ? check_still_same(pam, user) : code;
}

static bool ask_pam(const char *user, const char *password, GError **error)
{
    pam_handle_t *pam = NULL;
    const char *stage = "the service";
    Conversation conversation = {.password = password};
    const struct pam_conv callback = {converse, &conversation};
    if (!service_exists(error))
        return false;
    int code = pam_start(SERVICE, user, &callback, &pam);
    if (code == PAM_SUCCESS)
        code = authenticate(pam, user, &stage);
    if (code != PAM_SUCCESS)
        qwd_error_fail(error, is_refusal(code) ? QWD_ERROR_LOGIN : QWD_ERROR_UNAVAILABLE, "PAM refuses %s: %s", stage,
                       pam_strerror(pam, code));
    if (pam)
        pam_end(pam, code);
    return code == PAM_SUCCESS;
}

/* --- the identity --- */

static char **group_names(const struct passwd *entry)
{
    int count = GROUPS_MAX;
    g_autofree gid_t *gids = g_new(gid_t, GROUPS_MAX);
    g_autoptr(GStrvBuilder) names = g_strv_builder_new();
    if (getgrouplist(entry->pw_name, entry->pw_gid, gids, &count) < 0)
        count = GROUPS_MAX;
    for (int i = 0; i < count; i++) {
        const struct group *group = getgrgid(gids[i]);
        if (group && g_utf8_validate(group->gr_name, -1, NULL))
            g_strv_builder_add(names, group->gr_name);
    }
    return g_strv_builder_end(names);
}

static void identify(const struct passwd *entry, AuthIdentity *identity)
{
    identity->user = g_strdup(entry->pw_name);
    identity->name = local_account_full_name(entry->pw_gecos ? entry->pw_gecos : "", entry->pw_name);
    identity->groups = group_names(entry);
}

/* --- all of it --- */

static bool check(const Credentials *credentials, AuthIdentity *identity, GError **error)
{
    static Account account;
    bool found;
    auth_deadline(DEADLINE_MS, "PAM does not answer");
    if (!account_find(credentials->user, &account, &found, error))
        return false;
    if (!found || !is_for_people(&account)) {
        take_the_time_of_a_check(credentials->password);
        return qwd_error_fail(error, QWD_ERROR_LOGIN,
                              found ? "That account is not one for people." : "No such account.");
    }
    if (!can_be_checked(&account, error) || !ask_pam(account.entry.pw_name, credentials->password, error))
        return false;
    identify(&account.entry, identity);
    return true;
}

int main(void)
{
    g_autoptr(GError) error = NULL;
    if (privileged_begin(&error))
        return auth_program(PROGRAM, check);
    fprintf(stderr, PROGRAM ": %s\n", error->message);
    return 2;
}
