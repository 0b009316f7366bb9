/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/tcp_peer.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "base/cidr.h"

#define STATE_LISTEN 0x0Au /* include/net/tcp_states.h of the kernel */

/* Words of 32 bits in this machine's order of bytes: one is an IPv4 address, four are an IPv6 address. */
static bool read_words(const char *digits, struct in6_addr *address)
{
    guint32 words[4];
    int count = sscanf(digits, "%8x%8x%8x%8x", &words[0], &words[1], &words[2], &words[3]);
    if (count != 1 && count != 4)
        return false;
    if (count == 4)
        memcpy(address, words, sizeof *address);
    else
        *address = address_from_v4(words);
    return true;
}

typedef struct {
    TcpEnd from, to;
    unsigned account;
} TableRow;

/* False for a row that is no program's end of a connection: a socket that nobody has open any more has no inode, and
 * is said to be root's. */
static bool read_row(const char *line, TableRow *row)
{
    char from[33], to[33];
    unsigned from_port, to_port, state, inode;
    int count = sscanf(line, " %*u: %32[0-9A-F]:%4x %32[0-9A-F]:%4x %2x %*[0-9A-F:] %*[0-9A-F:] %*x %u %*u %u", from,
                       &from_port, to, &to_port, &state, &row->account, &inode);
    if (count != 7 || state == STATE_LISTEN || inode == 0)
        return false;
    row->from.port = (int)from_port;
    row->to.port = (int)to_port;
    return read_words(from, &row->from.address) && read_words(to, &row->to.address);
}

static bool is_at(const TcpEnd *end, const TcpEnd *wanted)
{
    bool has_address = !IN6_IS_ADDR_UNSPECIFIED(&wanted->address);
    return (!has_address || IN6_ARE_ADDR_EQUAL(&end->address, &wanted->address)) &&
           (wanted->port == 0 || end->port == wanted->port);
}

void tcp_table_search(const char *table, const TcpEnd *from, const TcpEnd *to, uid_t *account, int *count)
{
    for (const char *line = table; line && *line; line = strchr(line, '\n')) {
        TableRow row;
        line += *line == '\n';
        if (!read_row(line, &row) || !is_at(&row.from, from) || !is_at(&row.to, to))
            continue;
        if (*count == 0 || *account != row.account)
            *count = MIN(*count + 1, 2);
        *account = row.account;
    }
}

bool tcp_peer_account(const TcpEnd *from, const TcpEnd *to, uid_t *account)
{
    static const char *const files[] = {"/proc/self/net/tcp", "/proc/self/net/tcp6"};
    int count = 0;
    for (int tries = 0; count == 0 && tries < 2; tries++) { /* a table that changes while it is read may lack a row */
        for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
            g_autofree char *table = NULL;
            if (g_file_get_contents(files[i], &table, NULL, NULL))
                tcp_table_search(table, from, to, account, &count);
        }
    }
    return count == 1;
}
