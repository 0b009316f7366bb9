/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Tables of the administrator (scripts.conf, folders.conf): a section for each entry, with the keys user, group and
 * machine that say whom the entry is for. A key holds names, separated by commas, in which * and ? stand for any
 * letters and one letter; every key that is there must match. Patterns are never made of what users send. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Who asks for what. */
typedef struct {
    const char *user;
    const char *const *groups; /* NULL-terminated; NULL: none */
    const char *machine;       /* its name */
} Subject;

/* Whoever it is: only entries that are for all match. */
extern const Subject scope_anybody;

/* Reads a table; an absent file is an empty one. QWD_ERROR_CONFIG names file and line. */
GKeyFile *scope_table_load(const char *path, GError **error);

/* A key of a section as it stands in the file; "" when it is not there. Free with g_free. */
char *scope_value(GKeyFile *table, const char *section, const char *key);

/* QWD_ERROR_CONFIG when the section has a key that is neither in `keys` (separated by spaces) nor one of ours. */
bool scope_check_keys(GKeyFile *table, const char *section, const char *keys, GError **error);

/* Whether the file has an entry that membership in this group may decide. */
bool scope_table_names_group(const char *path, const char *group);

bool scope_matches(GKeyFile *table, const char *section, const Subject *subject);
