/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwd-auth-imap: asks the IMAP server of the settings about a user and a password (auth/protocol.h). */
#include "auth/email.h"
#include "auth/protocol.h"
#include "base/sandbox.h"
#include "mail/login.h"

static bool check(const Credentials *credentials, AuthIdentity *identity, GError **error)
{
    MailServer server;
    g_autoptr(Settings) settings = settings_load(settings_default_file(), false, NULL, error);
    if (!settings || !mail_server_imap(settings, &server, error))
        return false;
    g_autofree char *name = mail_server_name(&server);
    g_autofree char *late = g_strdup_printf("%s has not answered in time", name);
    auth_deadline((int)settings->check_user_deadline * 850, late);
    server.deadline_ms = (int)settings->check_user_deadline * 700;
    if (!mail_login(&server, credentials->user, credentials->password, error))
        return false;
    email_identity(credentials->user, identity);
    return true;
}

int main(void)
{
    sandbox_read_only();
    return auth_program("qwd-auth-imap", check);
}
