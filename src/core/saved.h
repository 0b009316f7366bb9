/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Machines that users have saved of their sessions: an image each in dir_machines, and an entry in saved.d/ there,
 * which the service itself writes. What administrators write of a machine of the same name (core/machine.h) goes
 * before. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "core/settings.h"

/* The name of the machine that a user calls NAME: "USER:NAME.qcow2". No two users share one, since no
 * user's part has a colon in it. QWD_ERROR_USAGE. Free with g_free. */
char *saved_name(const char *user, const char *name, GError **error);

/* What stands before NAME in it. Free with g_free. */
char *saved_prefix(const char *user, GError **error);

/* The file of a machine's entry. Free with g_free. */
char *saved_path(const Settings *settings, const char *machine);

/* Whether a path is that of such a file. */
bool saved_holds(const Settings *settings, const char *path);

/* One of these files. */
typedef struct {
    char *path, *text;
} SavedFile;

/* All of them (SavedFile *), sorted by their names; those that cannot be read are left out. They belong to the service
 * account, which reads them for root, as all functions here. Free with g_ptr_array_unref. */
GPtrArray *saved_load(const Settings *settings);

/* How many a user has. */
guint saved_count(const Settings *settings, const char *user);

/* Whether there is such a file for a machine, readable or not. */
bool saved_has_entry(const Settings *settings, const char *machine);

/* Whether a machine of that name is one that this user has saved: the entry is there. */
bool saved_is_of(const Settings *settings, const char *machine, const char *user);

/* Removes the entry of a machine, then its image. */
bool saved_remove(const Settings *settings, const char *machine, GError **error);

/* Closes the folder of entries, the entries and their images to other accounts of the host, where they belong to us and
 * are open: earlier versions left them so. Returns how many were. */
guint saved_close(const Settings *settings);

/* Writes the entry of a machine, which no other account of the host can read. */
bool saved_write(const Settings *settings, const char *machine, const char *text, GError **error);
