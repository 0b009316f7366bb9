/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "ctl/json_mode.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

static FILE *real; /* standard output; NULL: nothing is collected */
static char *collected;
static size_t collected_bytes;
static json_t *own;

static const char *const advice_by_kind[QWD_ERROR_KINDS] = {
    [QWD_ERROR_USAGE] = "See: qwdctl help COMMAND",
    [QWD_ERROR_CONFIG] = "See: qwdctl config check. To change the settings: qwdctl edit config",
    [QWD_ERROR_LOGIN] = "Log in first.",
    [QWD_ERROR_DENIED] = "Do what the message says, or run the command as an account that may.",
    [QWD_ERROR_NOT_FOUND] = "See what there is: qwdctl status",
    [QWD_ERROR_CONFLICT] = "See what there is: qwdctl status",
    [QWD_ERROR_LIMIT] = "Stop a session or ask for less, or try again later.",
    [QWD_ERROR_ATTEMPTS] = "Wait, then try again.",
    [QWD_ERROR_BUSY] = "Try again in a few seconds.",
    [QWD_ERROR_UNAVAILABLE] = "See what is missing: qwdctl doctor",
    [QWD_ERROR_TIMEOUT] = "Try again. If it happens again: qwdctl doctor",
    [QWD_ERROR_CANCELLED] = "Nothing needs to be done.",
    [QWD_ERROR_INTERNAL] = "See: qwdctl doctor, qwdctl log",
};

void json_mode_begin(void)
{
    FILE *stream = real ? NULL : open_memstream(&collected, &collected_bytes);
    if (!stream)
        return;
    real = stdout;
    stdout = stream;
}

bool json_mode_is_on(void)
{
    return real != NULL;
}

void json_mode_take(json_t *value)
{
    json_decref(own);
    own = value;
}

/* Lines that are no UTF-8 are made so: JSON is. */
static json_t *lines_value(void)
{
    json_t *list = json_array();
    g_autofree char *text = g_utf8_make_valid(collected ? collected : "", -1);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        if (**line || line[1])
            json_array_append_new(list, json_string(*line));
    }
    return list;
}

static json_t *error_value(const GError *error)
{
    const QwdErrorTraits *traits = qwd_error_traits(error);
    bool is_ours = error->domain == QWD_ERROR && error->code >= 0 && error->code < QWD_ERROR_KINDS;
    const char *advice = advice_by_kind[is_ours ? error->code : QWD_ERROR_INTERNAL];
    g_autofree char *message = g_utf8_make_valid(error->message, -1);
    return json_pack("{s:s, s:s, s:i, s:s}", "kind", traits->name, "message", message, "exit_code", traits->exit_code,
                     "advice", advice ? advice : "");
}

static json_t *close_collected(void)
{
    json_t *lines = NULL;
    fclose(stdout);
    stdout = real;
    real = NULL;
    lines = lines_value();
    free(collected);
    collected = NULL;
    return lines;
}

void json_mode_end(const char *command, const GError *error)
{
    if (!real)
        return;
    json_t *lines = close_collected();
    json_t *value = own ? own : json_pack("{s:s, s:O}", "command", command, "done", lines);
    own = NULL;
    if (error && json_is_object(value))
        json_object_set_new(value, "error", error_value(error));
    char *text = json_dumps(value, JSON_INDENT(2));
    puts(text);
    fflush(stdout);
    free(text);
    json_decref(value);
    json_decref(lines);
}

void json_mode_discard(void)
{
    if (real)
        json_decref(close_collected());
    json_mode_take(NULL);
}
