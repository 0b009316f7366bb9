/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What the files of an image were like at some moment, so that a disk which lies over them is used with no others. A
 * version is a text: for each file its size, the time of its last change, and a checksum of samples of its content. A
 * copy elsewhere that keeps the time has the same version; another image under the same name has not. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/* The version of these files (paths, NULL at the end). Free with g_free. */
char *image_version_of(char *const *files);

/* Whether two versions are of the same content. `recorded` may be of a release that took no samples. What could not be
 * read is the same as nothing. */
bool image_version_matches(const char *recorded, const char *current);

/* The same for the first file, by its size and time alone: true does not say that its content is the same. */
bool image_version_may_match(const char *recorded, const char *path);

/* Notes at an image (an extended attribute of its file, where the file system has them) which version of these files it
 * is based on. */
void image_note_base(const char *path, char *const *base_files);

/* Checks that images are based on what is noted at them: `files` as image_inspect lists them, those that an image is
 * based on behind it. QWD_ERROR_CONFLICT. */
bool image_check_bases(char *const *files, GError **error);

/* Whether a process has all these files open: these very files, not others that had their names before. */
bool image_files_are_open(char *const *files, pid_t pid);

/* What the files of a version that a process has open take on the disk, whatever their names are now; -1 when it has
 * not all of them open as they were then. */
gint64 image_version_open_bytes(const char *version, pid_t pid);
