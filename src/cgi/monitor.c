/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The administrator's monitor, and what is done there with many sessions at once. */
#include "app/app.h"
#include "app/submission.h"
#include "base/fd.h"
#include "base/json.h"
#include "cgi/call.h"
#include "web/monitor.h"

Response *call_monitor(Call *call, GError **error)
{
    const Settings *settings = call->page.settings;
    const Request *request = call->page.request;
    MonitorForm form;
    g_auto(MonitorFacts) facts = {0};
    if (!form_read_monitor(request, &form, error) || !app_monitor(settings, &call->who, &facts, error))
        return NULL;
    g_autoptr(JsonValue) values = page_monitor(&call->page, &facts, &form);
    if (!request_wants_json(request))
        return response_page(settings, "monitor.html", values, error);
    g_autoptr(JsonValue) state = page_monitor_state(values);
    Response *response = response_json(200, state);
    response_make_conditional(response, request);
    return response;
}

/* --- selections --- */

typedef SessionRecord *(*Change)(const Call *call, const char *id, GError **error);

/* For the log: all that were to be changed. */
static void note_subjects(Call *call, const GPtrArray *ids)
{
    GString *names = g_string_new(NULL);
    for (guint i = 0; i < ids->len; i++)
        g_string_append_printf(names, "%s%s", i ? " " : "", (const char *)ids->pdata[i]);
    g_free(call->subject);
    call->subject = g_string_free(names, FALSE);
    call->form.session = call->subject;
}

static int change_all(const Call *call, const GPtrArray *ids, Change change)
{
    int done = 0;
    for (guint i = 0; i < ids->len; i++) {
        g_autoptr(SessionRecord) session = change(call, ids->pdata[i], NULL);
        done += session != NULL;
    }
    return done;
}

/* One that cannot be changed, because it has just ended, keeps nobody from the others. */
static Response *change_selection(Call *call, const char *word, Change change, GError **error)
{
    const Settings *settings = call->page.settings;
    MonitorForm form;
    if (!policy_allows(settings, &call->who, ACTION_MONITOR, NULL, error) ||
        !form_read_monitor(call->page.request, &form, error))
        return NULL;
    g_autoptr(GPtrArray) ids = form_read_selection(call->page.request, error);
    if (!ids)
        return NULL;
    note_subjects(call, ids);
    int done = change_all(call, ids, change);
    if (request_wants_json(call->page.request)) {
        g_autoptr(JsonValue) object = json_pack("{s:i, s:i}", "done", done, "asked", (int)ids->len);
        return response_json(200, object);
    }
    g_autofree char *result = g_strdup_printf("%s-%d-%u", word, done, ids->len);
    g_autofree char *path = page_monitor_path(&call->page, &form, result);
    return response_redirect(path, error);
}

static SessionRecord *stop(const Call *call, const char *id, GError **error)
{
    return app_stop(call->page.settings, &call->who, id, error);
}

Response *call_stop_selection(Call *call, GError **error)
{
    return change_selection(call, "stop", stop, error);
}

static SessionRecord *extend(const Call *call, const char *id, GError **error)
{
    const Settings *settings = call->page.settings;
    bool is_done = false;
    autofd int lock = call->submission ? app_submission_begin(settings, id, call->submission, &is_done) : -1;
    if (is_done)
        return app_see(settings, &call->who, id, error);
    SessionRecord *session = app_extend(settings, &call->who, id, 0, error);
    if (session && lock >= 0)
        app_submission_note(settings, id, call->submission);
    return session;
}

Response *call_extend_selection(Call *call, GError **error)
{
    return change_selection(call, "extend", extend, error);
}
