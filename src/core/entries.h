/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The files of the machines' entries, and the changes that administrators make to them, each in one step. The texts
 * themselves are the matter of core/machines_edit.h. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "core/settings.h"

/* machines.conf and config.d/ (*.ini), in the order they are read. Free with g_strfreev. */
char **entries_files(const Settings *settings);

/* The file that has, or would have, the machine's entry; that of a machine which a user has saved (core/saved.h) as
 * well. Free with g_free. NULL on error: QWD_ERROR_USAGE for no name, QWD_ERROR_CONFIG when a user's file is broken. */
char *machines_file_of(const Settings *settings, const char *name, GError **error);

/* What an entry says; NULL leaves as it is. */
typedef struct {
    const char *name, *description, *url, *sha256, *sha256_url;
} MachineEntry;

/* Whether the entry could be enabled as things are: what can be known before an image is fetched for it. Errors as
 * machines_enable, and those of the lists as a whole. */
bool machines_check_entry(const Settings *settings, const MachineEntry *entry, GError **error);

/* Enables a machine: its disabled entry, else a new one in config.d/NAME.ini. *file is where it stands (g_free). What
 * an enabled one says is changed. QWD_ERROR_USAGE for what cannot be a name or stand in an entry. */
bool machines_enable(const Settings *settings, const MachineEntry *entry, char **file, GError **error);

/* Whether the last word on a machine is that its entry is disabled. */
bool machine_is_disabled(const Settings *settings, const char *name);

/* Disables a machine wherever it is listed. *file is where (g_free), the last one when there are several.
 * QWD_ERROR_NOT_FOUND when it is listed nowhere; one that is disabled already is fine. */
bool machines_disable(const Settings *settings, const char *name, char **file, GError **error);

/* The text of one; an absent file is "". Free with g_free. NULL on error. */
char *entries_read(const Settings *settings, const char *path, GError **error);

/* Replaces the text of one. Where the folder is not root's, as that of users' machines, the service account reads and
 * writes for root. */
bool entries_write(const Settings *settings, const char *path, const char *text, GError **error);

/* A file in dir_machines that belongs to a download under way, or one that broke off. */
bool entry_is_partial(const char *name);
