/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/session.h"

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "base/token.h"
#include "core/session_fields.h"

#define SUBMISSIONS_MAX 8 /* forms that are sent twice are sent soon after each other */

static const char *const state_names[SESSION_STATES + 1] = {
    [SESSION_QUEUED] = N_("queued"),     [SESSION_STARTING] = N_("starting"), [SESSION_RUNNING] = N_("running"),
    [SESSION_STOPPING] = N_("stopping"), [SESSION_ENDED] = N_("ended"),       [SESSION_FAILED] = N_("failed"),
};

static const char *const role_names[ROLE_COUNT + 1] = {[ROLE_CONTROL] = "control", [ROLE_VIEW] = "view"};

const Field session_link_fields[] = {
    FIELD(SessionLink, id, TEXT),
    FIELD(SessionLink, hash, TEXT),
    FIELD(SessionLink, label, TEXT),
    FIELD(SessionLink, created_at, INTEGER),
    FIELD(SessionLink, expires_at, INTEGER),
    FIELD(SessionLink, is_own, BOOL),
    FIELD_NAMED(SessionLink, role, role_names),
    {0},
};

const Field session_viewer_fields[] = {
    FIELD(SessionViewer, serial, INTEGER),
    FIELD(SessionViewer, link_id, TEXT),
    FIELD(SessionViewer, address, TEXT),
    FIELD(SessionViewer, since, INTEGER),
    FIELD(SessionViewer, disconnect_requested, BOOL),
    FIELD_NAMED(SessionViewer, role, role_names),
    {0},
};

const Field session_step_fields[] = {
    FIELD(SessionStep, name, TEXT),
    FIELD(SessionStep, duration_ms, INTEGER),
    {0},
};

const Field session_fields[] = {
    FIELD_NAMED(SessionRecord, state, state_names),
    FIELD(SessionRecord, id, TEXT),
    FIELD(SessionRecord, owner, TEXT),
    FIELD(SessionRecord, email, TEXT),
    FIELD(SessionRecord, base, TEXT),
    FIELD(SessionRecord, language, TEXT),
    FIELD(SessionRecord, remote_host, TEXT),
    FIELD(SessionRecord, step, TEXT),
    FIELD(SessionRecord, reason, TEXT),
    FIELD(SessionRecord, note, TEXT),
    FIELD(SessionRecord, accelerator, TEXT),
    FIELD(SessionRecord, stop_by, TEXT),
    FIELD(SessionRecord, overrides, TEXT),
    FIELD(SessionRecord, submission, TEXT),
    FIELD(SessionRecord, submissions, TEXT),
    FIELD(SessionRecord, created_at, INTEGER),
    FIELD(SessionRecord, admitted_ms, INTEGER),
    FIELD(SessionRecord, started_at, INTEGER),
    FIELD(SessionRecord, ready_at, INTEGER),
    FIELD(SessionRecord, ends_at, INTEGER),
    FIELD(SessionRecord, ended_at, INTEGER),
    FIELD(SessionRecord, stop_requested_at, INTEGER),
    FIELD(SessionRecord, last_input_at, INTEGER),
    FIELD(SessionRecord, touched_at, INTEGER),
    FIELD(SessionRecord, extensions, INTEGER),
    FIELD(SessionRecord, idle_stop_at, INTEGER),
    FIELD(SessionRecord, unused_stop_at, INTEGER),
    FIELD(SessionRecord, kept_until, INTEGER),
    FIELD(SessionRecord, resumed_at, INTEGER),
    FIELD(SessionRecord, image_version, TEXT),
    FIELD(SessionRecord, save_name, TEXT),
    FIELD(SessionRecord, save_state, TEXT),
    FIELD(SessionRecord, save_reason, TEXT),
    FIELD(SessionRecord, save_percent, INTEGER),
    FIELD(SessionRecord, save_owner, TEXT),
    FIELD(SessionRecord, save_title, TEXT),
    FIELD(SessionRecord, save_standalone, BOOL),
    {0},
};

const char *session_state_name(SessionState state)
{
    return state_names[state];
}

bool session_state_is_alive(SessionState state)
{
    return state <= SESSION_STOPPING;
}

bool session_holds_room(const SessionRecord *session)
{
    return session_state_is_alive(session->state) && session->state != SESSION_QUEUED;
}

bool session_is_kept(const SessionRecord *session, gint64 now)
{
    return !session_state_is_alive(session->state) && session->kept_until > now;
}

const char *session_role_name(SessionRole role)
{
    return role_names[role];
}

GError *session_not_found(void)
{
    return g_error_new_literal(QWD_ERROR, QWD_ERROR_NOT_FOUND,
                               N_("There is no such session. It may have ended; the list shows what is running."));
}

bool session_is_same_user(const SessionRecord *a, const SessionRecord *b)
{
    return g_str_equal(a->owner, b->owner) && (*a->owner || g_str_equal(a->remote_host, b->remote_host));
}

gint64 session_now(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

void session_set_text(char **field, const char *text)
{
    char *copy = g_strdup(text);
    g_free(*field);
    *field = copy;
}

/* --- lists --- */

static void link_free(void *data)
{
    fields_clear(session_link_fields, data);
    g_free(data);
}

static void viewer_free(void *data)
{
    fields_clear(session_viewer_fields, data);
    g_free(data);
}

static void process_free(void *data)
{
    SessionProcess *process = data;
    g_free(process->name);
    g_free(process);
}

static void step_free(void *data)
{
    SessionStep *step = data;
    g_free(step->name);
    g_free(step);
}

SessionRecord *session_empty(void)
{
    SessionRecord *session = g_new0(SessionRecord, 1);
    session->links = g_ptr_array_new_with_free_func(link_free);
    session->viewers = g_ptr_array_new_with_free_func(viewer_free);
    session->processes = g_ptr_array_new_with_free_func(process_free);
    session->steps = g_ptr_array_new_with_free_func(step_free);
    session->scripts = g_ptr_array_new_with_free_func(script_free);
    session->folders = g_ptr_array_new_with_free_func(host_folder_free);
    return session;
}

SessionRecord *session_new(const char *owner, const char *remote_host, Plan *plan)
{
    SessionRecord *session = session_empty();
    session->id = token_new();
    session->owner = g_strdup(owner);
    session->remote_host = g_strdup(remote_host);
    session->plan = plan;
    session->created_at = session_now();
    session->admitted_ms = g_get_real_time() / 1000;
    session->ends_at = session->created_at + plan->lifetime_s;
    session->overrides = g_strdup("");
    return session;
}

void session_free(SessionRecord *session)
{
    if (!session)
        return;
    fields_clear(session_fields, session);
    plan_free(session->plan);
    g_ptr_array_unref(session->links);
    g_ptr_array_unref(session->viewers);
    g_ptr_array_unref(session->processes);
    g_ptr_array_unref(session->steps);
    g_ptr_array_unref(session->scripts);
    g_ptr_array_unref(session->folders);
    g_free(session);
}

SessionLink *session_add_link(SessionRecord *session, SessionRole role, const char *label, gint64 expires_at)
{
    SessionLink *link = g_new0(SessionLink, 1);
    *link = (SessionLink){.id = token_new(),
                          .hash = g_strdup(""),
                          .label = g_strdup(label),
                          .role = role,
                          .created_at = session_now(),
                          .expires_at = expires_at};
    g_ptr_array_add(session->links, link);
    return link;
}

SessionLink *session_find_link(const SessionRecord *session, const char *link_id)
{
    for (guint i = 0; i < session->links->len; i++) {
        SessionLink *link = session->links->pdata[i];
        if (g_str_equal(link->id, link_id))
            return link;
    }
    return NULL;
}

SessionLink *session_find_link_by_hash(const SessionRecord *session, const char *hash)
{
    for (guint i = 0; i < session->links->len; i++) {
        SessionLink *link = session->links->pdata[i];
        if (*link->hash && token_equal(link->hash, hash))
            return link;
    }
    return NULL;
}

void session_remove_link(SessionRecord *session, const SessionLink *link)
{
    g_ptr_array_remove(session->links, (gpointer)link);
}

SessionViewer *session_find_viewer(const SessionRecord *session, gint64 serial)
{
    for (guint i = 0; i < session->viewers->len; i++) {
        SessionViewer *viewer = session->viewers->pdata[i];
        if (viewer->serial == serial)
            return viewer;
    }
    return NULL;
}

void session_add_viewer(SessionRecord *session, const SessionViewer *viewer)
{
    SessionViewer *copy = g_new(SessionViewer, 1);
    *copy = *viewer;
    copy->link_id = g_strdup(viewer->link_id);
    copy->address = g_strdup(viewer->address);
    g_ptr_array_add(session->viewers, copy);
}

static SessionProcess *find_process(const SessionRecord *session, const char *name)
{
    for (guint i = 0; i < session->processes->len; i++) {
        SessionProcess *process = session->processes->pdata[i];
        if (g_str_equal(process->name, name))
            return process;
    }
    return NULL;
}

void session_set_process(SessionRecord *session, const char *name, ProcessId id)
{
    SessionProcess *process = find_process(session, name);
    if (!process) {
        process = g_new0(SessionProcess, 1);
        process->name = g_strdup(name);
        g_ptr_array_add(session->processes, process);
    }
    process->id = id;
}

ProcessId session_process(const SessionRecord *session, const char *name)
{
    const SessionProcess *process = find_process(session, name);
    return process ? process->id : (ProcessId){0};
}

void session_add_step(SessionRecord *session, const char *name, gint64 duration_ms)
{
    SessionStep *step = g_new0(SessionStep, 1);
    *step = (SessionStep){.name = g_strdup(name), .duration_ms = duration_ms};
    g_ptr_array_add(session->steps, step);
}

const char *session_title(const SessionRecord *session)
{
    return *session->plan->title ? session->plan->title : session->plan->machine;
}

gint64 session_active_at(const SessionRecord *session)
{
    return MAX(MAX(session->last_input_at, session->touched_at), session->ready_at);
}

/* --- forms that come again --- */

bool session_has_submission(const SessionRecord *session, const char *submission)
{
    g_auto(GStrv) words = g_strsplit(session->submissions, " ", -1);
    return g_strv_contains((const char *const *)words, submission);
}

void session_add_submission(SessionRecord *session, const char *submission)
{
    g_auto(GStrv) words = g_strsplit(session->submissions, " ", SUBMISSIONS_MAX);
    GString *text = g_string_new(submission);
    for (guint i = 0; words[i] && i < SUBMISSIONS_MAX - 1; i++)
        g_string_append_printf(text, "%s%s", *words[i] ? " " : "", words[i]);
    g_free(session->submissions);
    session->submissions = g_string_free(text, FALSE);
}
