/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/origin.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/units.h"

#define HOST_MAX_BYTES 253 /* RFC 1035, in text form */

/* One name: host in lower case, an IPv6 address in its shortest form in brackets. */
typedef struct {
    const char *scheme; /* static; NULL: none given */
    char host[HOST_MAX_BYTES + 1];
    int port; /* 0: none given */
} Name;

static const struct {
    const char *scheme;
    int port;
} schemes[] = {{"http", 80}, {"https", 443}};

static int default_port(const char *scheme)
{
    for (size_t i = 0; scheme && i < G_N_ELEMENTS(schemes); i++) {
        if (g_str_equal(schemes[i].scheme, scheme))
            return schemes[i].port;
    }
    return 0;
}

/* --- reading --- */

static bool read_ipv6(const char *text, size_t length, Name *name)
{
    struct in6_addr address;
    char copy[INET6_ADDRSTRLEN], shortest[INET6_ADDRSTRLEN];
    if (length >= sizeof copy)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (inet_pton(AF_INET6, copy, &address) != 1 || !inet_ntop(AF_INET6, &address, shortest, sizeof shortest))
        return false;
    g_snprintf(name->host, sizeof name->host, "[%s]", shortest);
    return true;
}

/* Labels of letters, digits, '-' and '_' with single dots between them; no dot at the end, for a browser takes
 * "name." for another site than "name". An IPv4 address has this form too. */
static bool read_host_name(const char *text, size_t length, Name *name)
{
    if (length == 0 || length > HOST_MAX_BYTES)
        return false;
    char previous = '.';
    for (size_t i = 0; i < length; previous = text[i++]) {
        if (!g_ascii_isalnum(text[i]) && !strchr("-_.", text[i]))
            return false;
        if (text[i] == '.' && previous == '.')
            return false;
        name->host[i] = g_ascii_tolower(text[i]);
    }
    name->host[length] = '\0';
    return previous != '.';
}

static bool read_port(const char *text, Name *name)
{
    gint64 port;
    if (strlen(text) > 5 || !units_parse_integer(text, 1, 65535, &port))
        return false;
    name->port = (int)port;
    return true;
}

/* host[:port], as in a Host header. */
static bool read_authority(const char *text, Name *name)
{
    bool bracket = *text == '[';
    const char *host = bracket ? text + 1 : text;
    const char *end = host + strcspn(host, bracket ? "]" : ":");
    if (bracket && *end != ']')
        return false;
    if (bracket ? !read_ipv6(host, (size_t)(end - host), name) : !read_host_name(host, (size_t)(end - host), name))
        return false;
    end += bracket;
    return *end == '\0' || (*end == ':' && read_port(end + 1, name));
}

/* [scheme://]host[:port], as in an Origin header or in server_name. */
static bool read_name(const char *text, Name *name)
{
    *name = (Name){0};
    const char *separator = strstr(text, "://");
    for (size_t i = 0; separator && i < G_N_ELEMENTS(schemes); i++) {
        size_t length = strlen(schemes[i].scheme);
        if ((size_t)(separator - text) == length && g_ascii_strncasecmp(text, schemes[i].scheme, length) == 0)
            name->scheme = schemes[i].scheme;
    }
    if (separator && !name->scheme)
        return false;
    return read_authority(separator ? separator + 3 : text, name);
}

static bool read_host_header(const char *text, Name *name)
{
    *name = (Name){0};
    return text && read_authority(text, name);
}

bool origin_check_settings(const Settings *settings, GError **error)
{
    Name name;
    for (char **entry = settings->server_name; *entry; entry++) {
        if (!read_name(*entry, &name))
            return qwd_error_fail(error, QWD_ERROR_CONFIG,
                                  "server_name: \"%s\" is not of the form [scheme://]host[:port].", *entry);
    }
    return true;
}

/* --- matching --- */

/* A name without port or scheme says "the usual port": 80 or 443. */
static bool port_matches(int wanted, const Name *name)
{
    if (name->port)
        return name->port == wanted;
    return name->scheme ? default_port(name->scheme) == wanted : wanted == 80 || wanted == 443;
}

/* Whether a configured entry means this name. */
static bool entry_matches(const Name *entry, const Name *name)
{
    if (!g_str_equal(entry->host, name->host))
        return false;
    if (entry->scheme && name->scheme && !g_str_equal(entry->scheme, name->scheme))
        return false;
    return !entry->port || port_matches(entry->port, name);
}

static bool find_entry(const Settings *settings, const Name *name, Name *entry)
{
    for (char **text = settings->server_name; *text; text++) {
        if (read_name(*text, entry) && entry_matches(entry, name))
            return true;
    }
    return false;
}

static bool address_matches(const struct sockaddr *address, const char *host)
{
    char text[INET6_ADDRSTRLEN], bracketed[INET6_ADDRSTRLEN + 2];
    if (!address || (address->sa_family != AF_INET && address->sa_family != AF_INET6))
        return false;
    bool six = address->sa_family == AF_INET6;
    const void *bytes = six ? (const void *)&((const struct sockaddr_in6 *)address)->sin6_addr
                            : (const void *)&((const struct sockaddr_in *)address)->sin_addr;
    if (!inet_ntop(address->sa_family, bytes, text, sizeof text))
        return false;
    g_snprintf(bracketed, sizeof bracketed, six ? "[%s]" : "%s", text);
    return g_str_equal(bracketed, host);
}

static bool is_interface_address(const char *host)
{
    struct ifaddrs *all;
    bool found = false;
    if (getifaddrs(&all) < 0)
        return false;
    for (const struct ifaddrs *one = all; one && !found; one = one->ifa_next)
        found = address_matches(one->ifa_addr, host);
    freeifaddrs(all);
    return found;
}

static bool is_own_name(const char *host)
{
    static const char *const always[] = {"localhost", "127.0.0.1", "[::1]", NULL};
    return g_strv_contains(always, host) || g_ascii_strcasecmp(g_get_host_name(), host) == 0 ||
           is_interface_address(host);
}

/* On success *entry is the configured entry, or empty when the name is this host's own. */
static bool name_is_known(const Settings *settings, const Name *name, Name *entry)
{
    *entry = (Name){0};
    return *settings->server_name ? find_entry(settings, name, entry) : is_own_name(name->host);
}

bool host_is_known(const Settings *settings, const char *host_header)
{
    Name host, entry;
    return read_host_header(host_header, &host) && name_is_known(settings, &host, &entry);
}

static bool name_is_loopback(const Name *name)
{
    struct in_addr four;
    if (g_str_equal(name->host, "localhost") || g_str_has_suffix(name->host, ".localhost"))
        return true;
    if (inet_pton(AF_INET, name->host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    return g_str_equal(name->host, "[::1]");
}

bool host_is_loopback(const char *host_header)
{
    Name host;
    return read_host_header(host_header, &host) && name_is_loopback(&host);
}

bool origin_names_others(const Settings *settings)
{
    Name name;
    for (char **entry = settings->server_name; *entry; entry++) {
        if (!read_name(*entry, &name) || !name_is_loopback(&name) || g_strcmp0(name.scheme, "https") == 0)
            return true;
    }
    return false;
}

/* Host and port are those that the browser asked for: a page of another port of this host is another site. */
static bool is_same_place(const Name *origin, const char *host_header)
{
    Name host;
    if (!read_host_header(host_header, &host) || !g_str_equal(host.host, origin->host))
        return false;
    host.scheme = origin->scheme;
    return port_matches(origin->port ? origin->port : default_port(origin->scheme), &host);
}

bool origin_is_allowed(const Settings *settings, const char *origin, const char *host_header)
{
    Name name, entry;
    if (!origin)
        return true;
    if (!read_name(origin, &name) || !name.scheme || !name_is_known(settings, &name, &entry))
        return false;
    return *settings->server_name || is_same_place(&name, host_header);
}

bool origin_may_open_display(const Settings *settings, const char *origin, const char *host_header)
{
    Name page, entry, host;
    if (*settings->service_path || *settings->server_name)
        return origin_is_allowed(settings, origin, host_header);
    return read_name(origin, &page) && page.scheme && name_is_known(settings, &page, &entry) &&
           read_host_header(host_header, &host) && g_str_equal(host.host, page.host);
}

/* --- links --- */

static char *name_text(const Name *name, const char *scheme)
{
    if (!name->port || name->port == default_port(scheme))
        return g_strdup_printf("%s://%s", scheme, name->host);
    return g_strdup_printf("%s://%s:%d", scheme, name->host, name->port);
}

static bool name_without_browser(const Settings *settings, Name *name)
{
    return read_name(*settings->server_name ? *settings->server_name : "localhost", name);
}

static bool refuse_host(const Name *name, bool readable, GError **error)
{
    if (!readable)
        return qwd_error_fail(error, QWD_ERROR_USAGE, "The request does not say a host name that can be understood.");
    return qwd_error_fail(error, QWD_ERROR_USAGE,
                          "This service does not go by the name %s. If it should, its administrator adds the name to "
                          "server_name in the settings.",
                          name->host);
}

char *public_base(const Settings *settings, const char *scheme, const char *host_header, GError **error)
{
    Name name, entry;
    bool readable = host_header ? read_host_header(host_header, &name) : name_without_browser(settings, &name);
    if (!readable || !name_is_known(settings, &name, &entry)) {
        refuse_host(&name, readable, error);
        return NULL;
    }
    const char *asked = scheme && default_port(scheme) ? scheme : "http";
    return name_text(&name, entry.scheme ? entry.scheme : asked);
}
