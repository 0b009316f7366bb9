/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The page of many sessions: those that live, those whose disk is kept, and what has been. */
#include "base/json.h"
#include "core/store.h"
#include "web/catalogue.h"
#include "web/page_life.h"
#include "web/page_parts.h"
#include "web/page_save.h"

#define PAGE_ROWS 50

/* --- rows --- */

/* In whole minutes, so that a page is not news with each second; null below one. */
static json_t *minutes_value(gint64 seconds)
{
    return seconds >= 60 ? json_take_text(tr_duration(seconds / 60 * 60)) : json_null();
}

static json_t *left_value(const SessionRecord *session)
{
    gint64 left_s = session->ends_at - session_now();
    bool counts = session->state == SESSION_RUNNING && session->ends_at;
    return counts ? json_take_text(tr_duration((MAX(left_s, 0) + 59) / 60 * 60)) : json_null();
}

static json_t *idle_value(const SessionRecord *session)
{
    gint64 idle_s = session_now() - session_active_at(session);
    return session->state == SESSION_RUNNING ? minutes_value(idle_s) : json_null();
}

/* Who is connected, by the links they came with; null when nobody is. */
static json_t *viewers_value(const SessionRecord *session)
{
    guint count = session->state == SESSION_RUNNING ? session->viewers->len : 0;
    if (count == 0)
        return json_null();
    json_t *names = json_array();
    for (guint i = 0; i < count; i++)
        json_array_append_new(names, json_string(page_viewer_label(session, session->viewers->pdata[i])));
    return json_pack("{s:o, s:o}", "count_text", json_take_text(tr_count("%d viewer", "%d viewers", count)), "names",
                     names);
}

static json_t *row_value(const PageContext *context, const SessionRecord *session)
{
    json_t *value = page_session_value(context, session);
    json_object_set_new(value, "left", left_value(session));
    json_object_set_new(value, "idle", idle_value(session));
    json_object_set_new(value, "viewers", viewers_value(session));
    json_object_set_new(value, "picture", page_picture_value(context, session, PICTURE_PERIOD_S));
    json_object_set_new(value, "may_share", json_boolean(page_may_share(context, session)));
    json_object_set_new(value, "connect", page_connect_value(context, session));
    return value;
}

/* An ended session whose disk is kept. */
static json_t *kept_row(const PageContext *context, const SessionRecord *session)
{
    json_t *value = page_session_value(context, session);
    json_object_set_new(value, "reason", json_take_text(tr_message(session->reason)));
    json_object_set_new(value, "kept", kept_value(context->settings, context->who, session));
    return value;
}

static json_t *history_row(const PageContext *context, const SessionRecord *session)
{
    gint64 begun_at = session->ready_at ? session->ready_at : session->started_at;
    json_t *lasted = begun_at ? json_take_text(tr_duration(MAX(session->ended_at - begun_at, 0))) : json_null();
    return json_pack("{s:o, s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "page",
                     json_take_text(page_session_path(context, session->id)), "owner", session->owner, "machine",
                     session_title(session), "state", session_state_name(session->state), "state_text",
                     page_state_text(session->state), "ended", time_value(session->ended_at), "lasted", lasted,
                     "reason", json_take_text(tr_message(session->reason)));
}

/* --- lists --- */

typedef json_t *(*RowFunction)(const PageContext *context, const SessionRecord *session);

/* The records from `first` on, at most `count`. */
static json_t *rows(const PageContext *context, const GPtrArray *sessions, guint first, guint count, RowFunction row)
{
    json_t *list = json_array();
    for (guint i = first; i < sessions->len && i - first < count; i++)
        json_array_append_new(list, row(context, sessions->pdata[i]));
    return list;
}

/* Those that live, or those that do not (borrowed; free the list). */
static GPtrArray *select_alive(const GPtrArray *sessions, bool alive)
{
    GPtrArray *selected = g_ptr_array_new();
    for (guint i = 0; i < sessions->len; i++) {
        const SessionRecord *session = sessions->pdata[i];
        if (session_state_is_alive(session->state) == alive)
            g_ptr_array_add(selected, sessions->pdata[i]);
    }
    return selected;
}

json_t *page_error_sessions(const PageContext *context, const GPtrArray *sessions)
{
    g_autoptr(GPtrArray) alive = select_alive(sessions, true);
    json_t *values = page_common_values(context, "");
    json_object_del(values, "title"); /* the error's */
    json_object_set_new(values, "sessions", rows(context, alive, 0, PAGE_ROWS, row_value));
    return values;
}

json_t *page_sessions_list(const PageContext *context, const GPtrArray *sessions)
{
    g_autoptr(GPtrArray) alive = select_alive(sessions, true), ended = select_alive(sessions, false);
    json_t *list = rows(context, alive, 0, alive->len, row_value);
    for (guint i = 0; i < alive->len; i++)
        json_object_set_new(json_array_get(list, i), "url", page_link_value(context, alive->pdata[i], ROLE_CONTROL));
    return json_pack("{s:o, s:o}", "sessions", list, "kept", rows(context, ended, 0, ended->len, kept_row));
}

/* --- pages --- */

/* Where nobody logs in, a name is claimed with each request. */
static json_t *page_path(const PageContext *context, guint page)
{
    const char *script = context->request ? request_variable(context->request, REQUEST_SCRIPT_NAME) : "";
    bool is_claimed = !policy_login_is_configured(context->settings) && *context->who->user;
    g_autofree char *user = g_uri_escape_string(context->who->user, NULL, FALSE);
    return json_take_text(
        g_strdup_printf("%s?manage=1&page=%u%s%s", script, page, is_claimed ? "&user=" : "", is_claimed ? user : ""));
}

/* null when all are on one page. */
static json_t *pager_value(const PageContext *context, guint page, guint pages)
{
    if (pages < 2)
        return json_null();
    return json_pack("{s:i, s:i, s:o, s:o}", "page", (int)page, "pages", (int)pages, "before",
                     page > 1 ? page_path(context, page - 1) : json_null(), "next",
                     page < pages ? page_path(context, page + 1) : json_null());
}

static void add_list(json_t *values, const char *key, json_t *list)
{
    g_autofree char *has = g_strconcat("has_", key, NULL);
    json_object_set_new(values, has, json_boolean(json_array_size(list) > 0));
    json_object_set_new(values, key, list);
}

json_t *page_sessions(const PageContext *context, const GPtrArray *sessions, const GPtrArray *history, gint64 wanted)
{
    g_autoptr(GPtrArray) alive = select_alive(sessions, true), ended = select_alive(sessions, false);
    guint pages = MAX((alive->len + PAGE_ROWS - 1) / PAGE_ROWS, 1);
    guint page = (guint)CLAMP(wanted, 1, (gint64)pages);
    bool is_admin = context->who->is_admin;
    json_t *values = page_common_values(context, is_admin ? tr("Sessions") : tr("Your sessions"));
    json_object_set_new(values, "notice", json_null());
    json_object_set_new(values, "all", json_boolean(is_admin));
    json_object_set_new(values, "may_purge", json_boolean(is_admin));
    json_object_set_new(values, "path", page_path(context, page));
    json_object_set_new(values, "pager", pager_value(context, page, pages));
    json_object_set_new(values, "count_text",
                        alive->len ? json_take_text(tr_count("%d session", "%d sessions", alive->len)) : json_null());
    json_object_set_new(values, "sessions", rows(context, alive, (page - 1) * PAGE_ROWS, PAGE_ROWS, row_value));
    add_list(values, "kept", rows(context, ended, 0, page == 1 ? PAGE_ROWS : 0, kept_row));
    json_object_set_new(values, "saved", saved_value(context->settings, context->who));
    add_list(values, "history", rows(context, history, 0, page == 1 ? history->len : 0, history_row));
    return values;
}

json_t *page_sessions_state(const json_t *values)
{
    static const char *const keys[] = {"sessions", "kept", "saved", "history", "pager", "count_text"};
    json_t *state = json_object();
    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
        json_object_set(state, keys[i], json_object_get(values, keys[i]));
    return state;
}
