/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The port over which a guest asks for its boot scripts and says what came of them (core/runner.h). */
#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "core/runner.h"
#include "session/script.h"

#define LINE_MAX_BYTES (4 * RUNNER_OUTPUT_MAX_BYTES)

/* --- the record --- */

typedef struct {
    guint index;
    ScriptState state;
    const char *method, *output;
    gint64 exit_code, duration_ms;
} Outcome;

static void note_outcome(SessionRecord *session, const void *data)
{
    const Outcome *outcome = data;
    if (outcome->index >= session->scripts->len)
        return;
    BootScript *script = session->scripts->pdata[outcome->index];
    script_set_result(script, outcome->state, outcome->method ? outcome->method : "",
                      outcome->output ? outcome->output : "");
    script->exit_code = outcome->exit_code;
    script->duration_ms = outcome->duration_ms;
}

void script_note_failure(ScriptRun *run, guint index, const char *why)
{
    Outcome outcome = {.index = index, .state = SCRIPT_FAILED, .method = run->method, .output = why, .exit_code = -1};
    supervisor_change(run->supervisor, note_outcome, &outcome, NULL);
}

static bool is_in_state(const ScriptRun *run, guint index, ScriptState state)
{
    const GPtrArray *scripts = run->supervisor->session->scripts;
    return index < scripts->len && ((const BootScript *)scripts->pdata[index])->state == state;
}

void script_give_up(ScriptRun *run, const char *why)
{
    for (guint i = 0; i < run->supervisor->session->scripts->len; i++) {
        bool pending = is_in_state(run, i, SCRIPT_WAITING) || is_in_state(run, i, SCRIPT_RUNNING);
        if (pending && !script_is_options(run->supervisor->session->scripts->pdata[i]))
            script_note_failure(run, i, why);
    }
    run->is_over = true;
}

/* --- what the guest says --- */

static void send_text(ScriptRun *run, const char *text);

static void send_line(ScriptRun *run)
{
    send_text(run, run->line);
    explicit_bzero(run->line, strlen(run->line));
    g_clear_pointer(&run->line, g_free);
    run->is_taken = true;
}

void script_port_offer(ScriptRun *run, char *line)
{
    run->line = line;
    if (run->method)
        send_line(run);
}

/* The first one gets the runner: a cloud-init that is later than the agent finds nothing to do. While the texts are
 * still being read there is no line yet, and who asks waits for it: the last who did, for the machine may have started
 * again meanwhile. */
static void take_hello(ScriptRun *run, char **words)
{
    static const char *const methods[] = {"agent", "cloud-init", "customize", NULL};
    if (!words[1] || !g_strv_contains(methods, words[1]))
        return;
    if (run->is_taken) {
        send_text(run, "\n");
        return;
    }
    g_free(run->method);
    run->method = g_strdup(words[1]);
    if (run->line)
        send_line(run);
}

static bool read_index(const char *word, guint *index)
{
    guint64 value;
    bool good = word && g_ascii_string_to_unsigned(word, 10, 0, G_MAXINT, &value, NULL);
    *index = good ? (guint)value : 0;
    return good;
}

static void take_start(ScriptRun *run, char **words)
{
    Outcome outcome = {.state = SCRIPT_RUNNING, .method = run->method};
    if (!read_index(words[1], &outcome.index) || !is_in_state(run, outcome.index, SCRIPT_WAITING))
        return;
    run->begin_us = g_get_monotonic_time();
    supervisor_change(run->supervisor, note_outcome, &outcome, NULL);
}

static char *decode_output(const char *word)
{
    gsize length = 0;
    g_autofree guchar *bytes = word && *word ? g_base64_decode(word, &length) : NULL;
    return bytes ? g_utf8_make_valid((const char *)bytes, (gssize)length) : g_strdup("");
}

static void take_result(ScriptRun *run, char **words)
{
    guint status = 0;
    Outcome outcome = {.state = SCRIPT_DONE, .method = run->method};
    if (!read_index(words[1], &outcome.index) || !read_index(words[2], &status) ||
        !is_in_state(run, outcome.index, SCRIPT_RUNNING))
        return;
    g_autofree char *output = decode_output(words[3]);
    outcome.output = output;
    outcome.exit_code = status;
    outcome.duration_ms = (g_get_monotonic_time() - run->begin_us) / 1000;
    supervisor_change(run->supervisor, note_outcome, &outcome, NULL);
}

static void take_end(ScriptRun *run, char **words)
{
    (void)words;
    if (!run->is_over)
        script_give_up(run, N_("The machine did not run it."));
}

static const struct {
    const char *word;
    bool is_answer; /* of the runner, so not before it was sent */
    void (*take)(ScriptRun *run, char **words);
} messages[] = {
    {"hello", false, take_hello}, {"start", true, take_start}, {"result", true, take_result}, {"end", true, take_end}};

static void take_line(ScriptRun *run, const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", 4);
    for (size_t i = 0; words[0] && i < G_N_ELEMENTS(messages); i++) {
        if (g_str_equal(words[0], messages[i].word) && (run->is_taken || !messages[i].is_answer))
            messages[i].take(run, words);
    }
}

static void take_lines(ScriptRun *run)
{
    char *newline;
    while (run->lines_left > 0 && (newline = memchr(run->input->str, '\n', run->input->len))) {
        size_t length = (size_t)(newline - run->input->str);
        g_autofree char *line = g_strndup(run->input->str, length);
        g_string_erase(run->input, 0, (gssize)length + 1);
        run->lines_left--;
        take_line(run, line);
    }
}

static gboolean on_readable(int fd, GIOCondition condition, gpointer data)
{
    (void)condition;
    ScriptRun *run = data;
    char buffer[4096];
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return G_SOURCE_CONTINUE;
    if (n > 0) {
        g_string_append_len(run->input, buffer, n);
        take_lines(run);
    }
    if (n > 0 && run->lines_left > 0 && run->input->len <= LINE_MAX_BYTES)
        return G_SOURCE_CONTINUE;
    run->reader = 0;
    if (!run->is_over)
        script_give_up(run, N_("The machine gave an answer that makes no sense."));
    return G_SOURCE_REMOVE;
}

/* --- what we say --- */

static gboolean on_writable(int fd, GIOCondition condition, gpointer data)
{
    (void)condition;
    ScriptRun *run = data;
    ssize_t n = send(fd, run->output->str, run->output->len, MSG_NOSIGNAL);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return G_SOURCE_CONTINUE;
    size_t sent = n > 0 ? (size_t)n : run->output->len; /* nobody is there any more */
    size_t left = run->output->len - sent;
    memmove(run->output->str, run->output->str + sent, left);
    explicit_bzero(run->output->str + left, sent);
    g_string_set_size(run->output, left);
    if (left)
        return G_SOURCE_CONTINUE;
    run->writer = 0;
    return G_SOURCE_REMOVE;
}

static void send_text(ScriptRun *run, const char *text)
{
    g_string_append(run->output, text);
    if (!run->writer)
        run->writer = g_unix_fd_add(run->fd, G_IO_OUT, on_writable, run);
}

/* --- open and closed --- */

bool script_port_open(ScriptRun *run, GError **error)
{
    if (!unix_pair(&run->fd, &run->supervisor->script_fd, error) || !fd_set_nonblocking(run->fd, error))
        return false;
    run->input = g_string_new(NULL);
    run->output = g_string_new(NULL);
    run->lines_left = 100 + 2 * (int)run->supervisor->session->scripts->len;
    run->reader = g_unix_fd_add(run->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, run);
    return true;
}

void script_port_close(ScriptRun *run)
{
    g_clear_handle_id(&run->reader, g_source_remove);
    g_clear_handle_id(&run->writer, g_source_remove);
    fd_close_pointed(&run->fd);
    if (run->output) {
        explicit_bzero(run->output->str, run->output->len);
        g_string_free(run->output, TRUE);
        g_string_free(run->input, TRUE);
    }
    secret_free(run->line);
    g_free(run->method);
}
