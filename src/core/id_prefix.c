/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/id_prefix.h"

#include <string.h>

#include "base/error.h"

#define ID_DIGITS 32
#define SHOWN_MAX 8

bool id_prefix_check(const char *word, GError **error)
{
    size_t length = strlen(word);
    bool good = length >= ID_PREFIX_MIN && length <= ID_DIGITS && strspn(word, "0123456789abcdef") == length;
    return good ||
           qwd_error_fail(error, QWD_ERROR_USAGE,
                          "\"%s\" is not the id of a session, nor its first %d digits or more. See: qwdctl status",
                          word, ID_PREFIX_MIN);
}

static bool fail_ambiguous(const GPtrArray *candidates, const char *word, GError **error)
{
    g_autoptr(GString) shown = g_string_new(NULL);
    for (guint i = 0; i < candidates->len && i < SHOWN_MAX; i++)
        g_string_append_printf(shown, "%s%s", i ? ", " : "", (const char *)candidates->pdata[i]);
    if (candidates->len > SHOWN_MAX)
        g_string_append(shown, ", ...");
    return qwd_error_fail(error, QWD_ERROR_USAGE,
                          "The ids of %u sessions begin with %s. Write more digits of one of these: %s",
                          candidates->len, word, shown->str);
}

static gint compare_texts(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char *id_prefix_choose(const GPtrArray *ids, const char *word, GError **error)
{
    g_autoptr(GPtrArray) candidates = g_ptr_array_new();
    for (guint i = 0; i < ids->len; i++) {
        if (g_str_has_prefix(ids->pdata[i], word))
            g_ptr_array_add(candidates, ids->pdata[i]);
    }
    if (candidates->len == 1)
        return g_strdup(candidates->pdata[0]);
    g_ptr_array_sort(candidates, compare_texts);
    if (candidates->len)
        fail_ambiguous(candidates, word, error);
    else
        qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "No session is known whose id is, or begins with, %s.", word);
    return NULL;
}
