/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/saving.h"

#include "base/text.h"

static bool is_under_way(const SessionRecord *session)
{
    return g_str_equal(session->save_state, SAVE_ASKED) || g_str_equal(session->save_state, SAVE_RUNNING);
}

/* The process that copies an ended session's disk may have died; one that was only just asked for has none yet. */
bool save_is_busy(const SessionRecord *session)
{
    ProcessId copier = session_process(session, SAVE_PROCESS);
    bool is_coming = !copier.pid && g_str_equal(session->save_state, SAVE_ASKED);
    return is_under_way(session) && (session_state_is_alive(session->state) || is_coming || process_is_alive(copier));
}

void save_note_end(SessionRecord *session)
{
    if (!is_under_way(session))
        return;
    session_set_text(&session->save_state, SAVE_FAILED);
    session_set_text(&session->save_reason, N_("The session ended before its disk was copied."));
}
