/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Changes to files of the system that can be undone exactly. A folder that belongs to root keeps what the files were,
 * and a record of what was written, so that a change by somebody else in between is noticed. Interrupted at any
 * moment, both changing and undoing can be done again. */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

typedef struct {
    char *folder;
    json_t *record; /* {"files": {PATH: {...}}, and what the caller keeps there} */
} HostFiles;

/* Reads the record below `folder` (a path of the system); an absent one is empty. */
bool hostfiles_open(HostFiles *files, const char *folder, GError **error);
void hostfiles_clear(HostFiles *files);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(HostFiles, hostfiles_clear)

/* What a file was before the first change; NULL: there was none. Free with g_free. */
char *hostfiles_original(const HostFiles *files, const char *path);

/* A file and what it shall be. */
typedef struct {
    char *path;
    char *content; /* NULL: no file */
} HostFile;

/* A list of HostFile *. */
GPtrArray *hostfile_list_new(void);
void hostfile_list_add(GPtrArray *list, const char *path, char *content); /* takes the content */

/* The files that were changed, as they were before. NULL with an error when that is not known any more. */
GPtrArray *hostfiles_originals(const HostFiles *files, GError **error);

/* Removes from the list what is so already. */
void hostfiles_drop_unchanged(GPtrArray *list);

/* QWD_ERROR_CONFLICT names a file of the list that somebody else has changed since. */
bool hostfiles_check(const HostFiles *files, const GPtrArray *list, GError **error);

/* The differences, for people. */
void hostfiles_print(const GPtrArray *list);

/* Records what the files were, and that we write them; then writes them. A file that somebody else has changed is kept
 * beside as PATH.by-hand. */
bool hostfiles_write(HostFiles *files, const GPtrArray *list, GError **error);

/* Writes the record, durably. */
bool hostfiles_save(const HostFiles *files, GError **error);

/* Forgets everything: the folder goes, and folders that were made for files and are empty. */
bool hostfiles_forget(HostFiles *files, GError **error);
