/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "web/identity.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

#define NOBODY_IN_PARTICULAR "guest"

typedef struct {
    int family;
    unsigned char bytes[sizeof(struct in6_addr)];
} Address;

/* IPv4 addresses in IPv6 form (::ffff:127.0.0.1) count as IPv4. */
static bool parse_address(const char *text, Address *address)
{
    struct in6_addr six;
    *address = (Address){.family = AF_INET};
    if (inet_pton(AF_INET, text, address->bytes) == 1)
        return true;
    if (inet_pton(AF_INET6, text, &six) != 1)
        return false;
    if (IN6_IS_ADDR_V4MAPPED(&six)) {
        memcpy(address->bytes, six.s6_addr + 12, 4);
        return true;
    }
    address->family = AF_INET6;
    memcpy(address->bytes, &six, sizeof six);
    return true;
}

static bool is_loopback(const Address *address)
{
    if (address->family == AF_INET)
        return address->bytes[0] == 127;
    return memcmp(address->bytes, &in6addr_loopback, sizeof in6addr_loopback) == 0;
}

static bool is_of_interface(const Address *address, const struct sockaddr *interface)
{
    if (!interface || interface->sa_family != address->family)
        return false;
    if (address->family == AF_INET)
        return memcmp(address->bytes, &((const struct sockaddr_in *)interface)->sin_addr, 4) == 0;
    return memcmp(address->bytes, &((const struct sockaddr_in6 *)interface)->sin6_addr, 16) == 0;
}

static bool is_own(const Address *address)
{
    struct ifaddrs *interfaces = NULL;
    bool own = is_loopback(address);
    if (own || getifaddrs(&interfaces) < 0)
        return own;
    for (const struct ifaddrs *interface = interfaces; interface && !own; interface = interface->ifa_next)
        own = is_of_interface(address, interface->ifa_addr);
    freeifaddrs(interfaces);
    return own;
}

bool identity_is_local(const Request *request)
{
    Address address;
    return !*request_variable(request, REQUEST_FORWARDED) && !*request_variable(request, REQUEST_X_FORWARDED_FOR) &&
           parse_address(request_variable(request, REQUEST_REMOTE_ADDR), &address) && is_own(&address);
}

Identity identity_of(const Request *request, const char *user)
{
    return (Identity){.user = *user ? user : NOBODY_IN_PARTICULAR, .is_local = identity_is_local(request)};
}
