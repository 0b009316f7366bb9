/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/tcp_peer.h"

#include <arpa/inet.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>

#define STATE_LISTEN 0x0Au /* include/net/tcp_states.h of the kernel */

/* --- addresses --- */

static void address_set_ipv6(IpAddress *address, const struct in6_addr *six)
{
    bool mapped = IN6_IS_ADDR_V4MAPPED(six);
    *address = (IpAddress){.family = mapped ? AF_INET : AF_INET6};
    memcpy(address->bytes, six->s6_addr + (mapped ? 12 : 0), mapped ? 4 : sizeof *six);
}

bool ip_address_parse(const char *text, IpAddress *address)
{
    struct in6_addr six;
    *address = (IpAddress){.family = AF_INET};
    if (inet_pton(AF_INET, text, address->bytes) == 1)
        return true;
    if (inet_pton(AF_INET6, text, &six) != 1)
        return false;
    address_set_ipv6(address, &six);
    return true;
}

bool ip_address_equal(const IpAddress *a, const IpAddress *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool ip_address_is_loopback(const IpAddress *address)
{
    if (address->family == AF_INET)
        return address->bytes[0] == 127;
    return memcmp(address->bytes, &in6addr_loopback, sizeof in6addr_loopback) == 0;
}

/* --- the kernel's tables --- */

/* Words of 32 bits in this machine's order of bytes: one is an IPv4 address, four are an IPv6 address. */
static bool read_words(const char *digits, IpAddress *address)
{
    guint32 words[4];
    int count = sscanf(digits, "%8x%8x%8x%8x", &words[0], &words[1], &words[2], &words[3]);
    if (count != 1 && count != 4)
        return false;
    if (count == 4) {
        struct in6_addr six;
        memcpy(&six, words, sizeof six);
        address_set_ipv6(address, &six);
        return true;
    }
    *address = (IpAddress){.family = AF_INET};
    memcpy(address->bytes, words, 4);
    return true;
}

typedef struct {
    IpAddress address;
    unsigned port, account;
} TableRow;

/* False for a row that is no program's end of a connection: a socket that nobody has open any more has no inode, and
 * is said to be root's. */
static bool read_row(const char *line, TableRow *row)
{
    char digits[33];
    unsigned state, inode;
    int count = sscanf(line, " %*u: %32[0-9A-F]:%4x %*[0-9A-F:] %2x %*[0-9A-F:] %*[0-9A-F:] %*x %u %*u %u", digits,
                       &row->port, &state, &row->account, &inode);
    return count == 5 && state != STATE_LISTEN && inode != 0 && read_words(digits, &row->address);
}

void tcp_table_search(const char *table, const IpAddress *address, int port, uid_t *account, int *count)
{
    for (const char *line = table; line && *line; line = strchr(line, '\n')) {
        TableRow row;
        line += *line == '\n';
        if (!read_row(line, &row) || (int)row.port != port || !ip_address_equal(&row.address, address))
            continue;
        if (*count == 0 || *account != row.account)
            *count = MIN(*count + 1, 2);
        *account = row.account;
    }
}

bool tcp_peer_account(const IpAddress *address, int port, uid_t *account)
{
    static const char *const files[] = {"/proc/self/net/tcp", "/proc/self/net/tcp6"};
    int count = 0;
    for (int tries = 0; count == 0 && tries < 2; tries++) { /* a table that changes while it is read may lack a row */
        for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
            g_autofree char *table = NULL;
            if (g_file_get_contents(files[i], &table, NULL, NULL))
                tcp_table_search(table, address, port, account, &count);
        }
    }
    return count == 1;
}
