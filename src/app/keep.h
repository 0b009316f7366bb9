/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What becomes of a session that has ended: it is remembered, and its folder removed, or kept for a while
 * (core/kept.h). */
#pragma once

#include "core/session.h"
#include "core/settings.h"
#include "vm/image.h"

/* Puts an ended session away: `ended` is its record as it is to be remembered, with state, reason and ended_at. Called
 * when nothing of it runs any more; the folder's end, or the record's, tells those who wait. A disk that is to be kept
 * is never removed because that cannot be noted: on error all stays as it is. */
bool keep_or_remove(const Settings *settings, const SessionRecord *ended, GError **error);

/* Checks that the disk of an ended session is what was made for it, and that what it lies over, `image` as it is now,
 * is what it was when the disk was made: over another image it is a disk that no guest has ever seen.
 * QWD_ERROR_CONFLICT, QWD_ERROR_DENIED. The second is the first part alone. */
bool keep_check_disk(const SessionRecord *session, const char *disk, const ImageInfo *image, GError **error);
bool keep_check_image(const SessionRecord *session, const ImageInfo *image, GError **error);

/* The same by what is quickly seen, for pages: true does not promise that it can be resumed. QWD_ERROR_CONFLICT. */
bool keep_may_fit(const SessionRecord *session, GError **error);

/* Removes the kept disks whose time is over, or for which there is no room; `report` gets a line (char *) for each. */
void keep_remove_expired(const Settings *settings, GPtrArray *report);
