/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwd-auth-ldap: checks a user against an LDAP directory.
 *   1. connect, with TLS verified, and bind as who searches (or stay anonymous)
 *   2. search for the one entry that the login name stands for
 *   3. bind as that entry with the user's password: this is the check
 *   4. bind as who searches again, and look up the groups
 * A wrong password or an unknown user is "no"; anything else that goes wrong is "unavailable" and says why. */
#include <ldap.h>
#include <string.h>

#include "auth/directory.h"
#include "auth/protocol.h"
#include "base/error.h"
#include "base/sandbox.h"
#include "base/secret.h"
#include "core/settings.h"

enum {
    GROUPS_MAX = 512,      /* of one user; more is "unavailable": a missing group could be one that restricts */
    GROUP_DEPTH_MAX = 16,  /* of groups in groups */
    ENTRIES_FOR_A_USER = 2 /* enough to see that there is more than one */
};

typedef struct {
    const Settings *settings;
    DirectoryAddress address;
    LDAP *ldap;
    Secret *bind_password; /* NULL: anonymous */
} Directory;

static void directory_clear(Directory *directory)
{
    if (directory->ldap)
        ldap_unbind_ext(directory->ldap, NULL, NULL);
    directory_address_clear(&directory->address);
    g_clear_pointer(&directory->bind_password, secret_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Directory, directory_clear)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LDAPMessage, ldap_msgfree)

/* --- errors --- */

static const char *system_authorities(void)
{
    static const char *const bundles[] = {
        "/etc/ssl/certs/ca-certificates.crt", /* Debian and its kin */
        "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora and its kin */
        "/etc/ssl/ca-bundle.pem",             /* SUSE */
        "/etc/ssl/cert.pem",                  /* Alpine */
    };
    for (size_t i = 0; i < G_N_ELEMENTS(bundles); i++) {
        if (g_file_test(bundles[i], G_FILE_TEST_IS_REGULAR))
            return bundles[i];
    }
    return bundles[0];
}

static const char *authorities_of(const Settings *settings)
{
    return *settings->ldap_ca ? settings->ldap_ca : system_authorities();
}

#define LOG_ERRORS_ONLY 0x8000 /* LDAP_DEBUG_NONE of libldap's private ldap_log.h: only what is logged at any level */
#define GNUTLS_SAYS_NOTHING "(unknown error code)"

/* The last line that libldap logged about host names: with GnuTLS the only place where it says so (2.5). */
static char *host_name_complaint;

static void on_log(const char *line)
{
    if (!strstr(line, "hostname"))
        return;
    g_free(host_name_complaint);
    host_name_complaint = g_strchomp(g_strdup(line));
}

static void listen_to_log(void)
{
    ber_set_option(NULL, LBER_OPT_LOG_PRINT_FN, (const void *)on_log);
    ldap_set_option(NULL, LDAP_OPT_DEBUG_LEVEL, &(int){LOG_ERRORS_ONLY});
}

/* What the directory or the library says beyond the code. Free with g_free. */
static char *diagnosis(const Directory *directory)
{
    char *text = NULL, *copy;
    ldap_get_option(directory->ldap, LDAP_OPT_DIAGNOSTIC_MESSAGE, &text);
    if (!text || !*text)
        copy = g_strdup("");
    else if (!g_str_equal(text, GNUTLS_SAYS_NOTHING))
        copy = g_strdup_printf(" (%s)", text);
    else if (host_name_complaint)
        copy = g_strdup_printf(" (%s)", host_name_complaint);
    else
        copy = g_strdup_printf(" (the server's certificate is not accepted: it has expired, or %s does not have its "
                               "authority)",
                               authorities_of(directory->settings));
    ldap_memfree(text);
    return copy;
}

static bool fail(const Directory *directory, int code, const char *doing, GError **error)
{
    g_autofree char *more = diagnosis(directory);
    return qwd_error_fail(error, code == LDAP_TIMEOUT ? QWD_ERROR_TIMEOUT : QWD_ERROR_UNAVAILABLE,
                          "%s: cannot %s: %s%s", directory->address.uri, doing, ldap_err2string(code), more);
}

/* --- 1. connecting --- */

/* A share of the time there is, for one of the steps. */
static struct timeval share_of(int budget_ms, int parts)
{
    int ms = budget_ms / parts;
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
}

/* Below check_user_deadline, so that the reason is ours and not merely "killed". */
static int budget_ms(const Settings *settings)
{
    return (int)settings->check_user_deadline * 800;
}

static bool set_options(const Directory *directory, GError **error)
{
    const Settings *settings = directory->settings;
    const struct timeval network = share_of(budget_ms(settings), 3), operation = share_of(budget_ms(settings), 2);
    const struct {
        int option;
        const void *value;
    } options[] = {
        {LDAP_OPT_PROTOCOL_VERSION, &(int){LDAP_VERSION3}},
        {LDAP_OPT_REFERRALS, LDAP_OPT_OFF},
        {LDAP_OPT_DEREF, &(int){LDAP_DEREF_NEVER}},
        {LDAP_OPT_RESTART, LDAP_OPT_ON},
        {LDAP_OPT_NETWORK_TIMEOUT, &network},
        {LDAP_OPT_TIMEOUT, &operation},
        {LDAP_OPT_X_TLS_REQUIRE_CERT, &(int){LDAP_OPT_X_TLS_DEMAND}},
        {LDAP_OPT_X_TLS_REQUIRE_SAN, &(int){LDAP_OPT_X_TLS_TRY}}, /* RFC 6125, section 6.4.4: then not by common name */
        {LDAP_OPT_X_TLS_PROTOCOL_MIN, &(int){LDAP_OPT_X_TLS_PROTOCOL_TLS1_2}},
        {LDAP_OPT_X_TLS_CACERTFILE, authorities_of(settings)},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
        int code = ldap_set_option(directory->ldap, options[i].option, options[i].value);
        if (code != LDAP_OPT_SUCCESS)
            return qwd_error_fail(error, QWD_ERROR_INTERNAL, "libldap refuses option %#x.", options[i].option);
    }
    return true;
}

/* The options for TLS take effect with a new context; this reads the certificates of the authorities. */
static bool prepare_tls(const Directory *directory, GError **error)
{
    int code = ldap_set_option(directory->ldap, LDAP_OPT_X_TLS_NEWCTX, &(int){0});
    if (code == LDAP_OPT_SUCCESS)
        return true;
    return qwd_error_fail(error, QWD_ERROR_CONFIG,
                          "Cannot prepare TLS: is %s a readable file of certificates (ldap_ca)?",
                          authorities_of(directory->settings));
}

/* Without the first variable libldap takes defaults from /etc/ldap/ldap.conf, ~/.ldaprc and LDAP* of the environment;
 * without the second one libsasl2 loads all its plug-ins, none of which we use. */
static void keep_libraries_to_themselves(void)
{
    g_setenv("LDAPNOINIT", "1", TRUE);
    g_setenv("SASL_PATH", "/nonexistent", TRUE);
    listen_to_log();
}

static bool directory_open(Directory *directory, GError **error)
{
    keep_libraries_to_themselves();
    if (!directory_address(directory->settings, &directory->address, error))
        return false;
    int code = ldap_initialize(&directory->ldap, directory->address.uri);
    if (code != LDAP_SUCCESS)
        return fail(directory, code, "begin", error);
    if (!set_options(directory, error))
        return false;
    if (directory->address.protection == DIRECTORY_CLEAR)
        return true;
    if (!prepare_tls(directory, error))
        return false;
    if (directory->address.protection == DIRECTORY_STARTTLS)
        code = ldap_start_tls_s(directory->ldap, NULL, NULL);
    return code == LDAP_SUCCESS || fail(directory, code, "start TLS", error);
}

/* --- binding --- */

static int simple_bind(const Directory *directory, const char *dn, const char *password)
{
    struct berval credentials = {.bv_len = strlen(password), .bv_val = (char *)password};
    return ldap_sasl_bind_s(directory->ldap, dn, LDAP_SASL_SIMPLE, &credentials, NULL, NULL, NULL);
}

/* Without a password it would be no proof: an unauthenticated bind (RFC 4513, section 5.1.2). */
static bool load_bind_password(Directory *directory, GError **error)
{
    const Settings *settings = directory->settings;
    if (!*settings->ldap_bind_dn)
        return true;
    if (!*settings->ldap_bind_password_file)
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "ldap_bind_dn needs ldap_bind_password_file.");
    directory->bind_password = secret_read_file(settings->ldap_bind_password_file, error);
    return directory->bind_password != NULL;
}

static bool bind_searcher(const Directory *directory, GError **error)
{
    const char *dn = directory->settings->ldap_bind_dn;
    int code = simple_bind(directory, dn, directory->bind_password ? directory->bind_password : "");
    if (code == LDAP_SUCCESS)
        return true;
    g_autofree char *doing = *dn ? g_strdup_printf("bind as %s", dn) : g_strdup("bind anonymously");
    return fail(directory, code, doing, error);
}

/* An entry without a password is one that nobody can log in with; a bind without one would prove nothing. */
static bool bind_user(const Directory *directory, const char *dn, const char *password, GError **error)
{
    int code = *password ? simple_bind(directory, dn, password) : LDAP_INVALID_CREDENTIALS;
    if (code == LDAP_INVALID_CREDENTIALS || code == LDAP_INAPPROPRIATE_AUTH)
        return qwd_error_fail(error, QWD_ERROR_LOGIN, "%s: wrong password for %s", directory->address.uri, dn);
    return code == LDAP_SUCCESS || fail(directory, code, "bind as the user", error);
}

/* --- searching --- */

static char *escaped(const char *value)
{
    struct berval in = {.bv_len = strlen(value), .bv_val = (char *)value}, out = {0};
    if (ldap_bv2escaped_filter_value(&in, &out) != 0 || !out.bv_val)
        return g_strdup("");
    char *copy = g_strndup(out.bv_val, out.bv_len);
    ber_memfree(out.bv_val);
    return copy;
}

typedef struct {
    const char *base;
    const char *filter;
    const char *const *attributes;
    int entries_max; /* 0: the server's limit */
    const char *doing;
} Search;

/* A setting for an attribute may be empty; "1.1" asks for none (RFC 4511, section 4.5.1.8). */
static const char *attribute_or_none(const char *name)
{
    return *name ? name : LDAP_NO_ATTRS;
}

/* The entries below the base. A base that is not there is a wrong setting; more entries than the limit are not an
 * error when the limit is ours. */
static LDAPMessage *search(const Directory *directory, const Search *what, GError **error)
{
    g_autoptr(LDAPMessage) found = NULL;
    struct timeval time = share_of(budget_ms(directory->settings), 2);
    int code = ldap_search_ext_s(directory->ldap, what->base, LDAP_SCOPE_SUBTREE, what->filter,
                                 (char **)what->attributes, 0, NULL, NULL, &time, what->entries_max, &found);
    if (code == LDAP_SUCCESS || (code == LDAP_SIZELIMIT_EXCEEDED && what->entries_max > 0))
        return g_steal_pointer(&found);
    g_autofree char *doing = g_strdup_printf("%s below \"%s\"", what->doing, what->base);
    fail(directory, code, doing, error);
    return NULL;
}

/* The first value that is text; NULL when there is none. Free with g_free. */
static char *value_of(const Directory *directory, LDAPMessage *entry, const char *attribute)
{
    struct berval **values = ldap_get_values_len(directory->ldap, entry, attribute);
    char *text = NULL;
    for (struct berval **value = values; value && *value && !text; value++) {
        if ((*value)->bv_len > 0 && g_utf8_validate_len((*value)->bv_val, (*value)->bv_len, NULL))
            text = g_strndup((*value)->bv_val, (*value)->bv_len);
    }
    ldap_value_free_len(values);
    return text;
}

static char *dn_of(const Directory *directory, LDAPMessage *entry)
{
    char *dn = ldap_get_dn(directory->ldap, entry);
    char *copy = g_strdup(dn);
    ldap_memfree(dn);
    return copy;
}

/* --- 2. the user --- */

/* The one entry; an entry without a name of its own would make the bind an anonymous one. */
static bool take_user(const Directory *directory, LDAPMessage *found, char **dn, AuthIdentity *identity, GError **error)
{
    const Settings *settings = directory->settings;
    int count = ldap_count_entries(directory->ldap, found);
    if (count == 0)
        return qwd_error_fail(error, QWD_ERROR_LOGIN, "%s: no such user", directory->address.uri);
    if (count != 1)
        return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE,
                              "%s: the login name is ambiguous: ldap_filter finds more than one entry",
                              directory->address.uri);
    LDAPMessage *entry = ldap_first_entry(directory->ldap, found);
    *dn = dn_of(directory, entry);
    identity->user = value_of(directory, entry, settings->ldap_attribute_user);
    identity->email = value_of(directory, entry, settings->ldap_attribute_mail);
    identity->name = value_of(directory, entry, settings->ldap_attribute_name);
    if (*dn && **dn && identity->user)
        return true;
    return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "%s: the entry \"%s\" has no attribute %s to name the user",
                          directory->address.uri, *dn ? *dn : "", settings->ldap_attribute_user);
}

static bool find_user(const Directory *directory, const char *user, char **dn, AuthIdentity *identity, GError **error)
{
    const Settings *settings = directory->settings;
    g_autofree char *base = directory_base(settings, error);
    if (!base)
        return false;
    if (!strstr(settings->ldap_filter, "%u"))
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "ldap_filter has no %%u: it would find the same entry for all.");
    g_autofree char *user_escaped = escaped(user);
    g_autofree char *filter = directory_filter(settings->ldap_filter, user_escaped, NULL);
    const char *attributes[] = {attribute_or_none(settings->ldap_attribute_user),
                                attribute_or_none(settings->ldap_attribute_mail),
                                attribute_or_none(settings->ldap_attribute_name), NULL};
    const Search what = {base, filter, attributes, ENTRIES_FOR_A_USER, "search for the user"};
    g_autoptr(LDAPMessage) found = search(directory, &what, error);
    return found && take_user(directory, found, dn, identity, error);
}

/* --- 4. groups --- */

/* Groups are visited in the order they are found; `dns` is also what has been seen, so that a circle ends. */
typedef struct {
    const Directory *directory;
    char *user_escaped;
    GHashTable *seen; /* DNs, owned by `dns` */
    GPtrArray *dns;
    GPtrArray *names;
} GroupSearch;

static void group_search_clear(GroupSearch *groups)
{
    g_clear_pointer(&groups->user_escaped, g_free);
    g_clear_pointer(&groups->seen, g_hash_table_unref);
    g_clear_pointer(&groups->dns, g_ptr_array_unref);
    g_clear_pointer(&groups->names, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(GroupSearch, group_search_clear)

static bool add_group(GroupSearch *groups, LDAPMessage *entry, GError **error)
{
    const Directory *directory = groups->directory;
    g_autofree char *dn = dn_of(directory, entry);
    char *name = value_of(directory, entry, directory->settings->ldap_attribute_group);
    if (!dn || g_hash_table_contains(groups->seen, dn)) {
        g_free(name);
        return true;
    }
    if (name)
        g_ptr_array_add(groups->names, name);
    g_ptr_array_add(groups->dns, dn);
    g_hash_table_add(groups->seen, g_steal_pointer(&dn));
    return groups->dns->len <= GROUPS_MAX ||
           qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "%s: the user has more than %d groups", directory->address.uri,
                          GROUPS_MAX);
}

/* The groups of one member: of the user, or of a group. %u is the user in both cases: a group is no account, even
 * where the two have the same name. */
static bool search_groups(GroupSearch *groups, const char *member_dn, GError **error)
{
    const Settings *settings = groups->directory->settings;
    g_autofree char *dn_escaped = escaped(member_dn);
    g_autofree char *filter = directory_filter(settings->ldap_group_filter, groups->user_escaped, dn_escaped);
    const char *attributes[] = {attribute_or_none(settings->ldap_attribute_group), NULL};
    const Search what = {settings->ldap_group_base, filter, attributes, 0, "search for groups"};
    g_autoptr(LDAPMessage) found = search(groups->directory, &what, error);
    if (!found)
        return false;
    LDAP *ldap = groups->directory->ldap;
    for (LDAPMessage *entry = ldap_first_entry(ldap, found); entry; entry = ldap_next_entry(ldap, entry)) {
        if (!add_group(groups, entry, error))
            return false;
    }
    return true;
}

/* One round for each level of groups in groups, until a round finds nothing new. */
static bool search_nested(GroupSearch *groups, GError **error)
{
    guint begin = 0;
    for (int depth = 1; begin < groups->dns->len; depth++) {
        if (depth > GROUP_DEPTH_MAX)
            return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "%s: groups are nested deeper than %d",
                                  groups->directory->address.uri, GROUP_DEPTH_MAX);
        guint end = groups->dns->len;
        for (; begin < end; begin++) {
            if (!search_groups(groups, g_ptr_array_index(groups->dns, begin), error))
                return false;
        }
    }
    return true;
}

static bool find_groups(const Directory *directory, const char *dn, AuthIdentity *identity, GError **error)
{
    if (!*directory->settings->ldap_group_base)
        return true;
    g_auto(GroupSearch) groups = {.directory = directory,
                                  .user_escaped = escaped(identity->user),
                                  .seen = g_hash_table_new(g_str_hash, g_str_equal),
                                  .dns = g_ptr_array_new_with_free_func(g_free),
                                  .names = g_ptr_array_new_with_free_func(g_free)};
    if (!bind_searcher(directory, error) || !search_groups(&groups, dn, error))
        return false;
    if (directory->settings->ldap_group_nested && !search_nested(&groups, error))
        return false;
    g_ptr_array_add(groups.names, NULL);
    identity->groups = (char **)g_ptr_array_steal(groups.names, NULL);
    return true;
}

/* --- all of it --- */

static bool check(const Credentials *credentials, AuthIdentity *identity, GError **error)
{
    g_autofree char *dn = NULL, *late = NULL;
    g_autoptr(Settings) settings = settings_load(settings_default_file(), false, NULL, error);
    if (!settings)
        return false;
    g_auto(Directory) directory = {.settings = settings};
    late = g_strdup_printf("%s: no answer within %d ms", settings->ldap_server, budget_ms(settings));
    auth_deadline(budget_ms(settings), late);
    return load_bind_password(&directory, error) && directory_open(&directory, error) &&
           bind_searcher(&directory, error) && find_user(&directory, credentials->user, &dn, identity, error) &&
           bind_user(&directory, dn, credentials->password, error) && find_groups(&directory, dn, identity, error);
}

int main(void)
{
    sandbox_read_only();
    return auth_program("qwd-auth-ldap", check);
}
