/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "fetch/checksum.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

#define HEX_CHARS 64
#define BLOCK_BYTES (1024 * 1024)

bool checksum_is_well_formed(const char *text)
{
    size_t length = strlen(text);
    return length == HEX_CHARS && strspn(text, "0123456789abcdefABCDEF") == length;
}

char *checksum_of_file(int fd, GError **error)
{
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autofree guchar *block = g_malloc(BLOCK_BYTES);
    for (off_t at = 0;;) {
        ssize_t n = pread(fd, block, BLOCK_BYTES, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            qwd_error_errno(error, errno, "Cannot read what was downloaded");
            return NULL;
        }
        if (n == 0)
            return g_strdup(g_checksum_get_string(checksum));
        g_checksum_update(checksum, block, n);
        at += n;
    }
}

static char *checksum_before(const char *line, const char *name)
{
    g_autofree char *first = g_strndup(line, MIN(strlen(line), HEX_CHARS));
    const char *rest = line + strlen(first);
    bool names_it = g_str_has_prefix(rest, "  ") || g_str_has_prefix(rest, " *");
    if (!checksum_is_well_formed(first) || !names_it)
        return NULL;
    rest += g_str_has_prefix(rest + 2, "./") ? 4 : 2;
    return g_str_equal(rest, name) ? g_ascii_strdown(first, -1) : NULL;
}

static char *checksum_behind(const char *line, const char *name)
{
    g_autofree char *head = g_strdup_printf("SHA256 (%s) = ", name);
    bool matches = g_str_has_prefix(line, head) && checksum_is_well_formed(line + strlen(head));
    return matches ? g_ascii_strdown(line + strlen(head), -1) : NULL;
}

char *checksum_find(const char *list, const char *name)
{
    g_auto(GStrv) lines = g_strsplit(list, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_strchomp(*line);
        char *found = checksum_before(*line, name);
        if (!found)
            found = checksum_behind(*line, name);
        if (found)
            return found;
    }
    g_autofree char *alone = g_strstrip(g_strdup(list));
    return checksum_is_well_formed(alone) ? g_ascii_strdown(alone, -1) : NULL;
}
