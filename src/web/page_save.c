/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "web/page_save.h"

#include <sys/stat.h>

#include "app/keep.h"
#include "app/save_own.h"
#include "app/saved.h"
#include "base/json.h"
#include "core/saved.h"
#include "web/catalogue.h"

#define BLOCKS_PER_MIB 2048 /* of stat(2) */

json_t *saving_value(const Settings *settings, const Identity *who, const SessionRecord *session)
{
    bool is_over = !session_state_is_alive(session->state);
    if (!app_may_save_own(settings, who, session) || (is_over && !keep_may_fit(session, NULL)))
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

static json_t *machine_value(const Machine *machine)
{
    struct stat image;
    bool is_present = stat(machine->path, &image) == 0;
    json_t *size = is_present ? json_take_text(tr_size((gint64)image.st_blocks / BLOCKS_PER_MIB)) : json_null();
    return json_pack("{s:s, s:s, s:o}", "name", machine->name, "title", machine->description, "size", size);
}

json_t *saved_value(const Settings *settings, const Identity *who)
{
    g_autoptr(GPtrArray) machines = app_saved_list(settings, who);
    json_t *list = json_array();
    for (guint i = 0; i < machines->len; i++)
        json_array_append_new(list, machine_value(machines->pdata[i]));
    json_t *value = machines->len ? json_pack("{s:O}", "machines", list) : json_null();
    json_decref(list);
    return value;
}
