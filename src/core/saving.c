/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/saving.h"

#include "base/text.h"

static bool is_under_way(const SessionRecord *session)
{
    const char *state = session->save_state; /* NULL in a new record */
    return g_strcmp0(state, SAVE_ASKED) == 0 || g_strcmp0(state, SAVE_RUNNING) == 0;
}

/* The process that copies an ended session's disk may have died; one that was only just asked for has none yet. */
bool save_is_busy(const SessionRecord *session)
{
    ProcessId copier = session_process(session, SAVE_PROCESS);
    bool is_coming = !copier.pid && g_strcmp0(session->save_state, SAVE_ASKED) == 0;
    return is_under_way(session) && (session_state_is_alive(session->state) || is_coming || process_is_alive(copier));
}

void save_note_end(SessionRecord *session)
{
    if (!is_under_way(session))
        return;
    session_set_text(&session->save_state, SAVE_FAILED);
    session_set_text(&session->save_reason, N_("The session ended before its disk was copied."));
}
