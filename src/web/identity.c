/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "web/identity.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

#include "base/account.h"
#include "base/cidr.h"
#include "base/error.h"
#include "base/secret.h"
#include "base/tcp_peer.h"
#include "base/token.h"
#include "base/units.h"
#include "core/origin.h"

#define NOBODY_IN_PARTICULAR "guest"
#define BEARER "Bearer " /* RFC 6750, 2.1 */
#define TOKEN_MIN_BYTES 16

/* --- this machine --- */

static bool is_of_interface(const struct in6_addr *address, const struct sockaddr *interface)
{
    if (!interface || (interface->sa_family != AF_INET && interface->sa_family != AF_INET6))
        return false;
    struct in6_addr own = interface->sa_family == AF_INET
                              ? address_from_v4(&((const struct sockaddr_in *)interface)->sin_addr)
                              : ((const struct sockaddr_in6 *)interface)->sin6_addr;
    return IN6_ARE_ADDR_EQUAL(&own, address);
}

static bool is_own(const struct in6_addr *address)
{
    struct ifaddrs *interfaces = NULL;
    bool own = address_is_loopback(address);
    if (own || getifaddrs(&interfaces) < 0)
        return own;
    for (const struct ifaddrs *interface = interfaces; interface && !own; interface = interface->ifa_next)
        own = is_of_interface(address, interface->ifa_addr);
    freeifaddrs(interfaces);
    return own;
}

/* Our end of the connection, as far as it is known. With Apache, SERVER_PORT is what the client's field Host says: only
 * qwd-server's is the connection's. */
static TcpEnd server_end(const Request *request)
{
    TcpEnd end = {.address = IN6ADDR_ANY_INIT};
    gint64 port;
    if (!address_parse(request_variable(request, REQUEST_SERVER_ADDR), &end.address))
        end.address = in6addr_any;
    if (*request_variable(request, REQUEST_SOCKET_TOKEN) &&
        units_parse_integer(request_variable(request, REQUEST_SERVER_PORT), 1, 65535, &port))
        end.port = (int)port;
    return end;
}

/* The program at the other end is of people or of root. When the kernel does not tell, it is not. */
static bool peer_is_of_people(const Request *request, const struct in6_addr *address)
{
    gint64 port;
    uid_t account;
    TcpEnd server = server_end(request), client = {.address = *address};
    if (!units_parse_integer(request_variable(request, REQUEST_REMOTE_PORT), 1, 65535, &port))
        return false;
    client.port = (int)port;
    return tcp_peer_account(&client, &server, &account) && account_is_of_people(account);
}

bool identity_is_local(const Request *request, const Settings *settings)
{
    struct in6_addr address;
    return !request_is_forwarded(request) && host_is_loopback(request_variable(request, REQUEST_HOST)) &&
           !origin_names_others(settings) && address_parse(request_variable(request, REQUEST_REMOTE_ADDR), &address) &&
           is_own(&address) && peer_is_of_people(request, &address);
}

Identity identity_of(const Request *request, const Settings *settings, const char *user)
{
    return (Identity){.user = *user ? user : NOBODY_IN_PARTICULAR, .is_local = identity_is_local(request, settings)};
}

/* --- programs with a token --- */

bool identity_has_metrics_token(const Request *request, const Settings *settings, GError **error)
{
    const char *given = request_variable(request, REQUEST_AUTHORIZATION);
    if (!*settings->metrics_token_file || g_ascii_strncasecmp(given, BEARER, strlen(BEARER)) != 0)
        return false;
    g_autoptr(Secret) token = secret_read_file(settings->metrics_token_file, error);
    if (!token)
        return false;
    if (strlen(token) < TOKEN_MIN_BYTES)
        return qwd_error_fail(error, QWD_ERROR_CONFIG,
                              "metrics_token_file: the token in %s is shorter than %d characters.",
                              settings->metrics_token_file, TOKEN_MIN_BYTES);
    return token_equal(given + strlen(BEARER), token);
}
