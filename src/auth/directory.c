/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "auth/directory.h"

#include <string.h>

#include "base/error.h"

#define HOST_CHARACTERS G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-._:%"
#define LABEL_CHARACTERS G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-_"

enum { PORT_LDAP = 389, PORT_LDAPS = 636 };

void directory_address_clear(DirectoryAddress *address)
{
    g_clear_pointer(&address->uri, g_free);
}

static bool consists_of(const char *text, const char *characters)
{
    return *text && text[strspn(text, characters)] == '\0';
}

/* A host name or address becomes a URI as well. */
static char *as_uri(const Settings *settings)
{
    const char *server = settings->ldap_server;
    const char *scheme = g_str_equal(settings->ldap_tls, "ldaps") ? "ldaps" : "ldap";
    if (strstr(server, "://"))
        return g_strdup(server);
    bool is_ipv6 = strchr(server, ':') && g_hostname_is_ip_address(server);
    return g_strdup_printf(is_ipv6 ? "%s://[%s]" : "%s://%s", scheme, server);
}

static bool split(const char *text, char **scheme, char **host, int *port)
{
    g_autofree char *user = NULL, *path = NULL, *query = NULL, *fragment = NULL;
    if (!g_uri_split(text, G_URI_FLAGS_NONE, scheme, &user, host, port, &path, &query, &fragment, NULL))
        return false;
    bool is_plain = !user && !query && !fragment && (*path == '\0' || g_str_equal(path, "/"));
    return is_plain && *scheme && *host && consists_of(*host, HOST_CHARACTERS);
}

static bool choose_protection(const Settings *settings, const char *scheme, DirectoryProtection *protection)
{
    bool is_starttls = g_str_equal(settings->ldap_tls, "starttls");
    if (g_str_equal(scheme, "ldaps"))
        *protection = DIRECTORY_LDAPS;
    else
        *protection = is_starttls ? DIRECTORY_STARTTLS : DIRECTORY_CLEAR;
    return g_str_equal(scheme, "ldaps") || (g_str_equal(scheme, "ldap") && !g_str_equal(settings->ldap_tls, "ldaps"));
}

bool directory_address(const Settings *settings, DirectoryAddress *address, GError **error)
{
    g_autofree char *text = as_uri(settings), *scheme = NULL, *host = NULL;
    int port = -1;
    if (!*settings->ldap_server)
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "Set ldap_server.");
    if (!split(text, &scheme, &host, &port))
        return qwd_error_fail(error, QWD_ERROR_CONFIG,
                              "ldap_server = %s is neither a host name nor of the form ldaps://host:port.",
                              settings->ldap_server);
    if (!choose_protection(settings, scheme, &address->protection))
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "ldap_server = %s and ldap_tls = %s do not go together.",
                              settings->ldap_server, settings->ldap_tls);
    if (port < 0)
        port = (int)settings->ldap_port;
    if (port == PORT_LDAP && address->protection == DIRECTORY_LDAPS)
        port = PORT_LDAPS;
    address->uri = g_strdup_printf(strchr(host, ':') ? "%s://[%s]:%d" : "%s://%s:%d", scheme, host, port);
    return true;
}

static char *base_of_domain(const char *domain, GError **error)
{
    g_auto(GStrv) labels = g_strsplit(domain, ".", -1);
    for (char **label = labels; *label; label++) {
        if (!consists_of(*label, LABEL_CHARACTERS)) {
            qwd_error_fail(error, QWD_ERROR_CONFIG, "ldap_domain = %s is not a domain. Set ldap_base instead.", domain);
            return NULL;
        }
    }
    g_autofree char *rest = g_strjoinv(",dc=", labels);
    return g_strconcat("dc=", rest, NULL);
}

char *directory_base(const Settings *settings, GError **error)
{
    if (*settings->ldap_base)
        return g_strdup(settings->ldap_base);
    if (*settings->ldap_domain)
        return base_of_domain(settings->ldap_domain, error);
    qwd_error_fail(error, QWD_ERROR_CONFIG, "Set ldap_base.");
    return NULL;
}

char *directory_filter(const char *pattern, const char *user_escaped, const char *dn_escaped)
{
    GString *filter = g_string_new(NULL);
    for (const char *c = pattern; *c; c++) {
        const char *value = NULL;
        if (*c == '%')
            value = c[1] == 'u' ? user_escaped : c[1] == 'd' ? dn_escaped : NULL;
        if (value) {
            g_string_append(filter, value);
            c++;
        } else {
            g_string_append_c(filter, *c);
        }
    }
    return g_string_free(filter, FALSE);
}
