/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "app/monitor.h"

#include <string.h>

#include "app/app.h"
#include "app/journal.h"

#define TROUBLE_LINES 10

/* --- the log --- */

static void trouble_free(void *data)
{
    TroubleLine *line = data;
    g_free(line->when);
    g_free(line->text);
    g_free(line->subject);
    g_free(line);
}

/* Takes "... USER=alice VM=tiny.iso NAME=ID TEXT" apart; other texts stay as they are. */
static void split_text(TroubleLine *line)
{
    const char *user = strstr(line->text, "USER="), *machine = user ? strstr(user, " VM=") : NULL;
    const char *name = machine ? strstr(machine, " NAME=") : NULL, *rest = name ? strchr(name + 1, ' ') : NULL;
    if (!rest)
        return;
    user += strlen("USER=");
    line->subject = g_strdup_printf("%.*s, %.*s", (int)(machine - user), user,
                                    (int)(name - machine - (int)strlen(" VM=")), machine + strlen(" VM="));
    char *text = g_strdup(rest + 1);
    g_free(line->text);
    line->text = text;
}

/* "[Sat Nov 21 19:13:34 2026] ERROR CPU=1 ..." */
static TroubleLine *read_line(const char *line)
{
    const char *close = *line == '[' ? strstr(line, "] ERROR ") : NULL;
    if (!close)
        return NULL;
    TroubleLine *trouble = g_new0(TroubleLine, 1);
    trouble->when = g_utf8_make_valid(line + 1, close - line - 1);
    trouble->text = g_strstrip(g_utf8_make_valid(close + strlen("] ERROR "), -1));
    split_text(trouble);
    if (!trouble->subject)
        trouble->subject = g_strdup("");
    return trouble;
}

GPtrArray *trouble_lines(const char *log, guint count)
{
    GPtrArray *found = g_ptr_array_new_with_free_func(trouble_free);
    g_auto(GStrv) lines = g_strsplit(log, "\n", -1);
    for (guint i = g_strv_length(lines); i-- > 0 && found->len < count;) {
        TroubleLine *trouble = read_line(lines[i]);
        if (trouble)
            g_ptr_array_add(found, trouble);
    }
    return found;
}

/* --- all --- */

void monitor_facts_clear(MonitorFacts *facts)
{
    g_clear_pointer(&facts->sessions, g_ptr_array_unref);
    g_clear_pointer(&facts->samples, g_array_unref);
    g_clear_pointer(&facts->errors, g_ptr_array_unref);
    g_clear_pointer(&facts->trouble, g_free);
}

static GPtrArray *living_sessions(const Settings *settings, const Identity *who, GError **error)
{
    Identity everybody = *who;
    everybody.is_admin = true; /* the policy has been asked for more than the list */
    GPtrArray *sessions = app_list(settings, &everybody, error);
    for (guint i = sessions ? sessions->len : 0; i-- > 0;) {
        if (!session_state_is_alive(((const SessionRecord *)sessions->pdata[i])->state))
            g_ptr_array_remove_index(sessions, i);
    }
    return sessions;
}

static void add_history(const Settings *settings, MonitorFacts *facts)
{
    g_autoptr(GError) error = NULL;
    facts->samples = samples_load(settings, facts->now.at);
    guint count = facts->samples->len;
    gint64 last = count ? g_array_index(facts->samples, Sample, count - 1).at : 0;
    bool is_due = last / SAMPLE_PERIOD_S != facts->now.at / SAMPLE_PERIOD_S;
    if (is_due && !samples_add(settings, &facts->now, &error))
        facts->trouble = g_strdup(error->message);
}

bool app_monitor(const Settings *settings, const Identity *who, MonitorFacts *facts, GError **error)
{
    if (!policy_allows(settings, who, ACTION_MONITOR, NULL, error))
        return false;
    facts->sessions = living_sessions(settings, who, error);
    if (!facts->sessions)
        return false;
    sample_take(settings, facts->sessions, &facts->now, &facts->size);
    add_history(settings, facts);
    g_autofree char *log = journal_errors(settings);
    facts->errors = trouble_lines(log ? log : "", TROUBLE_LINES);
    return true;
}

bool app_monitor_sample(const Settings *settings, const GPtrArray *sessions, GError **error)
{
    Sample sample;
    HostSize size;
    sample_take(settings, sessions, &sample, &size);
    return samples_add(settings, &sample, error);
}
