/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "base/token.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define TOKEN_BYTES 16

char *token_new(void)
{
    unsigned char bytes[TOKEN_BYTES];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        g_error("The kernel gives no random numbers: %s", g_strerror(errno));
    GString *text = g_string_sized_new(2 * TOKEN_BYTES);
    for (size_t i = 0; i < sizeof bytes; i++)
        g_string_append_printf(text, "%02x", bytes[i]);
    return g_string_free(text, FALSE);
}

bool token_is_well_formed(const char *text)
{
    return text && strlen(text) == 2 * TOKEN_BYTES && strspn(text, "0123456789abcdef") == 2 * TOKEN_BYTES;
}

char *token_hash(const char *token)
{
    return g_compute_checksum_for_string(G_CHECKSUM_SHA256, token, -1);
}

bool token_equal(const char *a, const char *b)
{
    size_t length = strlen(a);
    if (length != strlen(b))
        return false;
    unsigned char difference = 0;
    for (size_t i = 0; i < length; i++)
        difference |= (unsigned char)(a[i] ^ b[i]);
    return difference == 0;
}
