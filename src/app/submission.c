/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "app/submission.h"

#include "base/fd.h"
#include "base/file.h"
#include "base/token.h"
#include "core/store.h"

int app_submission_begin(const Settings *settings, const char *id, const char *submission, bool *is_done)
{
    g_autofree char *path = g_build_filename(settings->dir_snapshots, id, "submission.lock", NULL);
    int lock = token_is_well_formed(id) ? file_lock(path, NULL) : -1;
    g_autoptr(SessionRecord) session = lock >= 0 ? store_load(settings, id, NULL) : NULL;
    *is_done = session && session_has_submission(session, submission);
    return lock;
}

static bool add(SessionRecord *session, void *data, GError **error)
{
    (void)error;
    session_add_submission(session, data);
    return true;
}

void app_submission_note(const Settings *settings, const char *id, const char *submission)
{
    session_free(store_change(settings, id, add, (void *)submission, NULL));
}
