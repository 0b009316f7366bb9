/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "session/warning.h"

#include "app/journal.h"
#include "app/mail.h"
#include "base/json.h"
#include "base/units.h"
#include "core/kept.h"
#include "core/life.h"
#include "core/link.h"
#include "core/origin.h"

/* Where the owner's browser found the service; without a browser, where the settings say. Free with g_free. */
static char *base_of(const Supervisor *supervisor)
{
    const char *known = supervisor->session->base;
    return *known ? g_strdup(known) : public_base(supervisor->settings, NULL, NULL, NULL);
}

static json_t *kept_value(const Supervisor *supervisor)
{
    gint64 now = session_now(), until = kept_promise(supervisor->settings, supervisor->session, now);
    g_autofree char *text = until ? units_format_duration(until - now) : NULL;
    return text ? json_string(text) : json_null();
}

/* What the templates session-ending and session-idle take. New reference; NULL when it cannot be made. */
static json_t *values_of(const Supervisor *supervisor, gint64 end)
{
    const SessionRecord *session = supervisor->session;
    g_autofree char *base = base_of(supervisor);
    g_autoptr(GUri) uri = base ? g_uri_parse(base, G_URI_FLAGS_NONE, NULL) : NULL;
    if (!uri)
        return NULL;
    g_autofree char *script = link_script(supervisor->settings);
    g_autofree char *link = g_strdup_printf("%s%s?session=%s", base, script, session->id);
    bool may_extend = life_may_extend(supervisor->settings, session, NULL);
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:b, s:o}", "service", g_uri_get_host(uri), "user", session->owner,
                     "machine", *session->plan->title ? session->plan->title : session->plan->machine, "link", link,
                     "end_at", (json_int_t)end, "extend", (int)may_extend, "kept", kept_value(supervisor));
}

/* --- sending --- */

static void log_trouble(const Settings *settings, const SessionRecord *session, const char *trouble)
{
    g_autofree char *text = g_strdup_printf("The warning was not mailed: %s", trouble);
    journal_session(settings, "ERROR", session, text);
}

static void on_sent(const char *trouble, void *data)
{
    const Supervisor *supervisor = data;
    if (trouble)
        log_trouble(supervisor->settings, supervisor->session, trouble);
}

void warning_send(const Supervisor *supervisor, const char *template_name, gint64 end)
{
    const char *to = supervisor->session->email;
    g_autoptr(GError) error = NULL;
    if (!*supervisor->settings->email_from || !*to)
        return;
    g_autoptr(JsonValue) values = values_of(supervisor, end);
    MailJob job = {
        .to = to, .template_name = template_name, .language = supervisor->session->language, .values = values};
    if (!values)
        log_trouble(supervisor->settings, supervisor->session, "the service has no address to write in it.");
    else if (!app_mail_start(supervisor->settings, &job, on_sent, (void *)supervisor, &error))
        log_trouble(supervisor->settings, supervisor->session, error->message);
}
