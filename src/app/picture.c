/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "app/picture.h"

#include "base/error.h"
#include "core/picture.h"

#define PATIENCE_MS 1000 /* of who has nothing to look at yet */
#define STALE_S 15       /* so old that it is worth waiting for another one */

char *app_picture(const Settings *settings, const SessionRecord *session, gint64 max_age_s, size_t *length,
                  GError **error)
{
    gint64 age_s = 0;
    if (session->state != SESSION_STARTING && session->state != SESSION_RUNNING) {
        qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "The machine of this session is off, so its screen shows nothing.");
        return NULL;
    }
    g_autofree char *known = picture_load(settings, session->id, length, &age_s, NULL);
    if (known && age_s < max_age_s)
        return g_steal_pointer(&known);
    bool is_old = !known || age_s > STALE_S;
    picture_ask(settings, session->id, is_old ? PATIENCE_MS : 0);
    if (known && !is_old)
        return g_steal_pointer(&known);
    return picture_load(settings, session->id, length, &age_s, error);
}
