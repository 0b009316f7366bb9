/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "auth/email.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"

#define LOCAL_MAX_BYTES 64 /* RFC 5321, 4.5.3.1.1 */
#define LABEL_MAX_BYTES 63 /* RFC 1035, 2.3.4 */
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define ATEXT LETTERS DIGITS "!#$%&'*+-/=?^_`{|}~" /* RFC 5322, 3.2.3 */

static bool wrong(GError **error, const char *reason)
{
    return qwd_error_fail(error, QWD_ERROR_USAGE, "This is not a mail address that we can write to: %s.", reason);
}

/* Atoms joined by single dots: RFC 5321, 4.1.2, Dot-string. */
static bool check_local(const char *local, size_t length, GError **error)
{
    if (length == 0 || length > LOCAL_MAX_BYTES)
        return wrong(error, N_("before the @ it has 1 to 64 characters"));
    if (*local == '"')
        return wrong(error, N_("quotation marks are not accepted"));
    if (strspn(local, ATEXT ".") < length)
        return wrong(error, N_("there is a character before the @ that is not allowed"));
    if (*local == '.' || local[length - 1] == '.' || g_strstr_len(local, (gssize)length, ".."))
        return wrong(error, N_("the dots before the @ must stand between other characters"));
    return true;
}

/* Letters, digits and inner hyphens: RFC 5321, 4.1.2, sub-domain. */
static bool label_is_good(const char *label)
{
    size_t length = strlen(label);
    return length > 0 && length <= LABEL_MAX_BYTES && strspn(label, LETTERS DIGITS "-") == length && *label != '-' &&
           label[length - 1] != '-';
}

static bool check_domain(const char *domain, GError **error)
{
    if (*domain == '[')
        return wrong(error, N_("it needs a domain name, not a number"));
    g_auto(GStrv) labels = g_strsplit(domain, ".", -1);
    guint count = g_strv_length(labels);
    for (guint i = 0; i < count; i++) {
        if (!label_is_good(labels[i]))
            return wrong(error, N_("its domain is not one"));
    }
    if (count < 2)
        return wrong(error, N_("its domain has no dot"));
    /* A top-level domain has letters (RFC 3696, 2): what has none is an IP address. */
    return strpbrk(labels[count - 1], LETTERS) || wrong(error, "it needs a domain name, not a number");
}

bool email_address_check(const char *address, GError **error)
{
    const char *at = strrchr(address, '@');
    if (!g_str_is_ascii(address))
        return wrong(error, N_("only ASCII characters are accepted, and domains as xn--..."));
    if (!at)
        return wrong(error, N_("it has no @"));
    if (strlen(address) > EMAIL_MAX_BYTES)
        return wrong(error, N_("it is too long"));
    return check_local(address, (size_t)(at - address), error) && check_domain(at + 1, error);
}

bool email_address_is_valid(const char *address)
{
    return email_address_check(address, NULL);
}

bool email_domain_is_allowed(char *const *domains, const char *address)
{
    if (!email_address_is_valid(address))
        return false;
    const char *domain = strrchr(address, '@') + 1;
    for (char *const *allowed = domains; *allowed; allowed++) {
        if (g_ascii_strcasecmp(*allowed, domain) == 0)
            return true;
    }
    return *domains == NULL;
}

bool email_mailbox_parse(const char *text, char **name, char **address, GError **error)
{
    size_t length = strlen(text);
    const char *open = strrchr(text, '<');
    bool has_name = open && text[length - 1] == '>';
    g_autofree char *found = has_name ? g_strndup(open + 1, length - (size_t)(open - text) - 2) : g_strdup(text);
    g_autofree char *called = has_name ? g_strstrip(g_strndup(text, (size_t)(open - text))) : g_strdup("");
    if (text_has_controls(called))
        return wrong(error, "the name before it has control characters");
    if (!email_address_check(found, error))
        return false;
    *name = g_steal_pointer(&called);
    *address = g_steal_pointer(&found);
    return true;
}

void email_identity(const char *user, AuthIdentity *identity)
{
    identity->user = g_strdup(user);
    identity->name = g_strdup("");
    identity->email = g_strdup(email_address_is_valid(user) ? user : "");
    identity->groups = g_new0(char *, 1);
}
