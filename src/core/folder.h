/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Folders of this server inside machines: which ones a session gets is decided when it is created. A machine sees each
 * as a 9p file system with the mount tag host_NAME. */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "core/scope.h"
#include "core/settings.h"

#define FOLDERS_MAX 16
#define FOLDER_PERSONAL "personal" /* the name of a user's own */

typedef struct {
    char *name; /* FOLDER_PERSONAL, or of the list or table */
    char *path; /* on this server */
    bool writable;
    bool is_personal; /* made when it is needed */
} HostFolder;

/* For a GPtrArray of HostFolder *. */
void host_folder_free(void *folder);

HostFolder *host_folder_from_json(const json_t *object);

/* Adds to `folders` (HostFolder *) those of dir_mounts and folders.conf that are for this subject, and their own one
 * when `is_proven` says that the user's name is theirs. QWD_ERROR_CONFIG names what is wrong. */
bool folders_choose(const Settings *settings, const Subject *subject, bool is_proven, GPtrArray *folders,
                    GError **error);

/* The paths of all entries of folders.conf, whoever they are for. Free with g_strfreev. */
char **folders_of_table(const Settings *settings);

/* Whether sessions could start with dir_mounts, and with it and the table: also the entries that are for some only.
 * QWD_ERROR_CONFIG names what is wrong. */
bool folders_check_settings(const Settings *settings, GError **error);
bool folders_check_table(const Settings *settings, GError **error);

/* Keeps those that have one of these names (const char *) alone. Names of others mean nothing. */
void folders_keep(GPtrArray *folders, const GPtrArray *names);

/* Whether a text could be the name of a folder. */
bool folder_name_is_well_formed(const char *name);

/* A user's name as the name of a folder: one and the same for nobody else, without a slash, not hidden, neither "."
 * nor "..". NULL with QWD_ERROR_USAGE when it would be too long. Free with g_free. */
char *folder_name_of_user(const char *user, GError **error);
