/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/cidr.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/error.h"

#define V4_BITS 32
#define V6_BITS 128

static const struct {
    const char *name, *networks;
} names[] = {
    {"all", "0.0.0.0/0 ::/0"},
    /* RFC 1918, RFC 6598, RFC 4193 */
    {"private", "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 fc00::/7"},
    {"link-local", "169.254.0.0/16 fe80::/10"},
    /* Where clouds answer with the identity of the host: most of them; AWS (tasks, pods, IPv6); Google (IPv6); Alibaba;
     * Azure; Oracle. */
    {"metadata", "169.254.169.254 169.254.170.2 169.254.170.23 fd00:ec2::254 fd00:ec2::23 fd20:ce::254 100.100.100.200 "
                 "168.63.129.16 192.0.0.192"},
};

/* --- addresses --- */

struct in6_addr address_from_v4(const void *bytes)
{
    struct in6_addr address = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(address.s6_addr + 12, bytes, 4);
    return address;
}

bool address_parse(const char *text, struct in6_addr *address)
{
    struct in_addr v4;
    if (inet_pton(AF_INET, text, &v4) != 1)
        return inet_pton(AF_INET6, text, address) == 1;
    *address = address_from_v4(&v4);
    return true;
}

bool address_is_loopback(const struct in6_addr *address)
{
    return IN6_IS_ADDR_LOOPBACK(address) || (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == 127);
}

char *address_format(const struct in6_addr *address)
{
    char text[INET6_ADDRSTRLEN];
    bool is_v4 = IN6_IS_ADDR_V4MAPPED(address);
    inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? address->s6_addr + 12 : address->s6_addr, text, sizeof text);
    return g_strdup(text);
}

/* --- networks --- */

Cidr cidr_of(const struct in6_addr *address, int prefix)
{
    Cidr cidr = {*address, prefix};
    for (int bit = prefix; bit < V6_BITS; bit++)
        cidr.address.s6_addr[bit / 8] &= (guint8) ~(0x80 >> bit % 8);
    return cidr;
}

/* ::ffff:0:0/96 is all of IPv4, however it is written; a shorter prefix is of IPv6, and then IPv4 is not in it. */
static bool is_v4(const Cidr *cidr)
{
    return IN6_IS_ADDR_V4MAPPED(&cidr->address) && cidr->prefix >= V6_BITS - V4_BITS;
}

bool cidr_contains(const Cidr *cidr, const struct in6_addr *address)
{
    if (is_v4(cidr) != (bool)IN6_IS_ADDR_V4MAPPED(address))
        return false;
    Cidr other = cidr_of(address, cidr->prefix);
    return memcmp(&other.address, &cidr->address, sizeof cidr->address) == 0;
}

bool cidr_parse(const char *text, Cidr *cidr)
{
    g_auto(GStrv) parts = g_strsplit(text, "/", 2);
    struct in6_addr address;
    guint64 prefix;
    if (!parts[0] || !address_parse(parts[0], &address))
        return false;
    int bits = strchr(parts[0], ':') ? V6_BITS : V4_BITS;
    if (!parts[1])
        prefix = (guint64)bits;
    else if (!g_ascii_string_to_unsigned(parts[1], 10, 0, (guint64)bits, &prefix, NULL))
        return false;
    *cidr = cidr_of(&address, V6_BITS - bits + (int)prefix);
    return true;
}

char *cidr_format(const Cidr *cidr)
{
    g_autofree char *address = address_format(&cidr->address);
    return g_strdup_printf("%s/%d", address, is_v4(cidr) ? cidr->prefix - (V6_BITS - V4_BITS) : cidr->prefix);
}

/* --- lists --- */

static const char *networks_of(const char *word)
{
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (g_str_equal(names[i].name, word))
            return names[i].networks;
    }
    return word;
}

static bool add_networks(GArray *list, const char *networks)
{
    g_auto(GStrv) words = g_strsplit(networks, " ", -1);
    for (char **word = words; *word; word++) {
        Cidr cidr;
        if (!cidr_parse(*word, &cidr))
            return false;
        g_array_append_val(list, cidr);
    }
    return true;
}

GArray *cidr_list_parse(const char *text, GError **error)
{
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(Cidr));
    g_auto(GStrv) words = g_strsplit_set(text, ", \t", -1);
    for (char **word = words; *word; word++) {
        if (**word && !add_networks(list, networks_of(*word))) {
            qwd_error_fail(error, QWD_ERROR_CONFIG,
                           "%s is no network. Write addresses such as 10.1.0.0/16 or 2001:db8::/32, or all, private, "
                           "link-local, metadata.",
                           *word);
            return NULL;
        }
    }
    return g_steal_pointer(&list);
}
