/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "auth/local_account.h"

#include <string.h>

#include "base/units.h"

#define UID_MIN_USUAL 1000

uid_t local_account_uid_min(const char *login_defs)
{
    gint64 value, uid_min = UID_MIN_USUAL;
    g_auto(GStrv) lines = g_strsplit(login_defs ? login_defs : "", "\n", -1);
    for (char **line = lines; *line; line++) {
        g_strstrip(*line);
        if (g_str_has_prefix(*line, "UID_MIN") && g_ascii_isspace((*line)[strlen("UID_MIN")]) &&
            units_parse_integer(g_strchug(*line + strlen("UID_MIN")), 1, G_MAXINT32, &value))
            uid_min = value;
    }
    return (uid_t)uid_min;
}

char *local_account_full_name(const char *gecos, const char *user)
{
    g_autoptr(GString) name = g_string_new_len(gecos, (gssize)strcspn(gecos, ","));
    g_autofree char *capitalised = g_strdup(user);
    *capitalised = g_ascii_toupper(*capitalised);
    g_string_replace(name, "&", capitalised, 0);
    return g_utf8_make_valid(name->str, (gssize)name->len);
}
