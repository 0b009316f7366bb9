/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/name_servers.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/cidr.h"
#include "base/error.h"
#include "base/file.h"
#include "vm/host_addresses.h"

#define RESOLV_CONF_MAX_BYTES 65536
#define SERVERS_MAX 3 /* of a family: passt's limit, and the resolver's (resolv.conf(5)) */

/* Not of one host: unspecified, multicast, or of a link that the text does not name. */
static bool is_useless(const struct in6_addr *address)
{
    bool is_v4 = IN6_IS_ADDR_V4MAPPED(address);
    int first = address->s6_addr[is_v4 ? 12 : 0];
    return is_v4 ? first == 0 || first >= 224
                 : IN6_IS_ADDR_UNSPECIFIED(address) || first == 0xff || IN6_IS_ADDR_LINKLOCAL(address);
}

static guint count_family(const GPtrArray *addresses, bool is_v6)
{
    guint count = 0;
    for (guint i = 0; i < addresses->len; i++)
        count += (strchr(addresses->pdata[i], ':') != NULL) == is_v6;
    return count;
}

static void add(NameServers *servers, const HostAddresses *host, const struct in6_addr *address)
{
    bool is_v4 = IN6_IS_ADDR_V4MAPPED(address);
    if (is_useless(address))
        return;
    if (address_is_loopback(address) || host_addresses_may_contain(host, address))
        servers->forward = servers->forward || is_v4;
    else if (count_family(servers->addresses, !is_v4) < SERVERS_MAX)
        g_ptr_array_add(servers->addresses, address_format(address));
}

/* Of IPv4 also the short and odd forms, as 127.1. */
static bool parse_as_glibc(const char *word, struct in6_addr *address)
{
    struct in_addr v4;
    bool is_v4 = inet_aton(word, &v4) != 0;
    if (is_v4)
        *address = address_from_v4(&v4);
    return is_v4 || address_parse(word, address);
}

void name_servers_read(NameServers *servers, const HostAddresses *host, const char *text)
{
    static const char keyword[] = "nameserver";
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        const char *rest = g_str_has_prefix(*line, keyword) ? *line + strlen(keyword) : "";
        size_t blanks = strspn(rest, " \t");
        g_autofree char *word = g_strndup(rest + blanks, strcspn(rest + blanks, " \t"));
        struct in6_addr address;
        if (blanks > 0 && parse_as_glibc(word, &address))
            add(servers, host, &address);
    }
}

static void add_file(NameServers *servers, const HostAddresses *host, const char *path)
{
    g_autofree char *text = file_read(path, RESOLV_CONF_MAX_BYTES, NULL, NULL);
    name_servers_read(servers, host, text ? text : "");
}

void name_servers_find(const char *setting, NameServers *servers)
{
    g_autoptr(HostAddresses) host = host_addresses_new();
    g_auto(GStrv) words = g_strsplit_set(setting, ", \t", -1);
    *servers = (NameServers){.addresses = g_ptr_array_new_with_free_func(g_free)};
    host_addresses_update(host);
    for (char **word = words; *word; word++) {
        struct in6_addr address;
        if (address_parse(*word, &address))
            add(servers, host, &address);
    }
    if (!*setting)
        add_file(servers, host, "/etc/resolv.conf");
    if (!*setting && !servers->addresses->len)
        add_file(servers, host, "/run/systemd/resolve/resolv.conf");
    servers->forward = servers->forward && !servers->addresses->len;
}

void name_servers_clear(NameServers *servers)
{
    g_clear_pointer(&servers->addresses, g_ptr_array_unref);
}

bool name_servers_check(const char *setting, GError **error)
{
    g_auto(GStrv) words = g_strsplit_set(setting, ", \t", -1);
    for (char **word = words; *word; word++) {
        struct in6_addr address;
        if (!**word)
            continue;
        if (!address_parse(*word, &address) || is_useless(&address) || address_is_loopback(&address))
            return qwd_error_fail(error, QWD_ERROR_CONFIG,
                                  "network_dns: %s is not the address of a name server that machines can reach. Write "
                                  "one such as 192.0.2.53.",
                                  *word);
    }
    return true;
}
