/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "web/page_save.h"

#include "app/save_own.h"
#include "base/json.h"
#include "core/saved.h"
#include "web/catalogue.h"

json_t *saving_value(const Settings *settings, const Identity *who, const SessionRecord *session)
{
    if (!app_may_save_own(settings, who, session))
        return json_null();
    g_autofree char *prefix = saved_prefix(session->owner, NULL);
    bool is_busy = save_is_busy(session), is_own = *session->save_owner;
    bool is_done = is_own && g_str_equal(session->save_state, SAVE_DONE);
    bool is_failed = is_own && !is_done && !is_busy && *session->save_state;
    const char *reason = *session->save_reason ? session->save_reason : N_("Copying the disk was interrupted.");
    return json_pack("{s:s, s:s, s:s, s:b, s:o, s:b, s:o}", "id", session->id, "prefix", prefix ? prefix : "", "name",
                     session->save_name, "is_busy", (int)is_busy, "percent",
                     is_busy && session->save_percent > 0 ? json_integer(session->save_percent) : json_null(),
                     "is_done", (int)is_done, "failure", is_failed ? json_take_text(tr_message(reason)) : json_null());
}
