/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "web/pages.h"

#include "base/json.h"
#include "base/token.h"
#include "web/catalogue.h"
#include "web/page_life.h"
#include "web/page_parts.h"
#include "web/response.h"

/* --- pieces --- */

json_t *page_message_or_null(const char *message)
{
    return message && *message ? json_take_text(tr_message(message)) : json_null();
}

static json_t *format_time(gint64 unix_s, const char *text_format)
{
    g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(unix_s);
    if (!utc) /* beyond the year 9999 */
        return json_null();
    g_autoptr(GDateTime) local = g_date_time_to_local(utc);
    g_autofree char *iso = g_date_time_format(utc, "%Y-%m-%dT%H:%M:%SZ");
    g_autofree char *text = tr_time(local, text_format);
    return json_pack("{s:s, s:s}", "iso", iso, "text", text);
}

json_t *time_value(gint64 unix_s)
{
    return unix_s ? format_time(unix_s, "%e %b %Y %H:%M %Z") : json_null();
}

json_t *time_of_day_value(gint64 unix_s)
{
    return unix_s ? format_time(unix_s, "%H:%M:%S") : json_null();
}

static const char *const state_texts[SESSION_STATES] = {
    [SESSION_QUEUED] = N_("Queued"),     [SESSION_STARTING] = N_("Starting"), [SESSION_RUNNING] = N_("Running"),
    [SESSION_STOPPING] = N_("Stopping"), [SESSION_ENDED] = N_("Ended"),       [SESSION_FAILED] = N_("Failed"),
};

const char *page_state_text(SessionState state)
{
    return tr(state_texts[state]);
}

char *page_session_path(const PageContext *context, const char *id)
{
    const char *script = context->request ? request_variable(context->request, REQUEST_SCRIPT_NAME) : "";
    return g_strdup_printf("%s?session=%s", script, id);
}

char *page_viewer_path(const PageContext *context, const char *id)
{
    const char *script = context->request ? request_variable(context->request, REQUEST_SCRIPT_NAME) : "";
    return g_strdup_printf("%s?view=%s", script, id);
}

/* The same page in the other languages. What was sent with POST is not sent again: the start page instead. */
static json_t *languages_value(const PageContext *context)
{
    const char *script = request_variable(context->request, REQUEST_SCRIPT_NAME);
    bool is_get = request_method(context->request) != METHOD_POST;
    json_t *list = json_array();
    for (char **code = context->settings->languages; *code; code++) {
        g_autofree char *query =
            is_get ? request_query_with(context->request, "lang", *code) : g_strconcat("lang=", *code, NULL);
        g_autofree char *path = g_strconcat(script, "?", query, NULL);
        if (!g_str_equal(*code, catalogue_language()))
            json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "code", *code, "name",
                                                  catalogue_language_name(*code), "path", path));
    }
    return list;
}

json_t *page_common_values(const PageContext *context, const char *title)
{
    json_t *values = response_page_values(context->request, context->settings, title);
    json_object_set_new(values, "languages", context->request ? languages_value(context) : json_array());
    json_object_set_new(values, "idempotency_key", context->request ? json_take_text(token_new()) : json_null());
    if (!context->csrf)
        return values;
    /* The page with the form is a file that knows no login: who is logged in gets it from the program. */
    json_object_set_new(values, "user", json_string(context->who->user));
    json_object_set_new(values, "csrf", json_string(context->csrf));
    json_object_set_new(values, "home", json_string(request_variable(context->request, REQUEST_SCRIPT_NAME)));
    return values;
}
