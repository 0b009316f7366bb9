/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Boot scripts of a session: given to the guest over a port of their own (core/runner.h), started by the guest's agent
 * or by cloud-init, whichever comes first, or from the disk (customize.c); what came of them goes into the record. */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/process.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/wait.h"
#include "core/runner.h"
#include "session/supervisor.h"
#include "vm/agent.h"
#include "vm/seed.h"

#define LINE_MAX_BYTES (4 * RUNNER_OUTPUT_MAX_BYTES)
#define FETCH_DEADLINE_MS 60000
#define EXEC_DEADLINE_MS 30000

typedef struct ScriptRun {
    Supervisor *supervisor;
    Secret *password;
    int fd; /* our end of the port */
    guint reader, writer;
    GString *input, *output;
    char *line; /* the runner, until the guest has got it */
    bool is_taken;
    bool is_over;
    int lines_left; /* that the guest may send: it has no reason to send more */
    gint64 begin_us;
    char *method;
} ScriptRun;

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

static void note_failure(ScriptRun *run, guint index, const char *why)
{
    Outcome outcome = {.index = index, .state = SCRIPT_FAILED, .method = run->method, .output = why, .exit_code = -1};
    supervisor_change(run->supervisor, note_outcome, &outcome, NULL);
}

static bool is_in_state(const ScriptRun *run, guint index, ScriptState state)
{
    const GPtrArray *scripts = run->supervisor->session->scripts;
    return index < scripts->len &&
           g_str_equal(((const BootScript *)scripts->pdata[index])->state_name, script_state_name(state));
}

/* All that have not ended have failed. */
static void give_up(ScriptRun *run, const char *why)
{
    for (guint i = 0; i < run->supervisor->session->scripts->len; i++) {
        bool pending = is_in_state(run, i, SCRIPT_WAITING) || is_in_state(run, i, SCRIPT_RUNNING);
        if (pending && !script_is_options(run->supervisor->session->scripts->pdata[i]))
            note_failure(run, i, why);
    }
    run->is_over = true;
}

/* --- what the guest says --- */

static void send_text(ScriptRun *run, const char *text);

/* The first one gets the runner: a cloud-init that is later than the agent finds nothing to do. */
static void take_hello(ScriptRun *run, char **words)
{
    static const char *const methods[] = {"agent", "cloud-init", "customize", NULL};
    if (!words[1] || !g_strv_contains(methods, words[1]))
        return;
    send_text(run, run->line ? run->line : "\n");
    if (run->line) {
        run->method = g_strdup(words[1]);
        explicit_bzero(run->line, strlen(run->line));
        g_clear_pointer(&run->line, g_free);
    }
    run->is_taken = true;
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
        give_up(run, N_("The machine did not run it."));
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
        give_up(run, N_("The machine gave an answer that makes no sense."));
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

/* --- the texts --- */

/* The helper gets the address on its standard input: addresses of users are on no command line. */
static char *fetch(const Supervisor *supervisor, const char *url, GError **error)
{
    int ends[2];
    size_t length = strlen(url);
    if (length > PIPE_BUF || pipe2(ends, O_CLOEXEC) < 0) {
        qwd_error_fail(error, QWD_ERROR_USAGE, "The address is too long.");
        return NULL;
    }
    bool written = write(ends[1], url, length) == (ssize_t)length;
    close(ends[1]);
    autofd int input = ends[0];
    g_autofree char *program = g_build_filename(supervisor->settings->dir_lib, "qwd-fetch", NULL);
    const char *argv[] = {program, NULL};
    SpawnOptions options = {.argv = argv, SPAWN_OPTIONS_INIT, .die_with_parent = true};
    options.stdin_fd = input;
    g_auto(ProcessResult) result = {0};
    if (!written || !process_run_options(options, FETCH_DEADLINE_MS, &result, error))
        return NULL;
    g_autofree char *words = text_last_line(result.errors);
    if (result.exit_code != 0)
        qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "%s", *words ? words : N_("It could not be fetched."));
    return result.exit_code == 0 ? g_steal_pointer(&result.output) : NULL;
}

/* The text of a script, and the shell that runs it; values not put in yet. */
static char *read_script(const Supervisor *supervisor, const BootScript *script, const char **shell, GError **error)
{
    ScriptKind kind;
    const char *rest;
    *shell = "";
    if (!script_parse(script->source, SCRIPT_BY_ADMINISTRATOR, &kind, &rest, error))
        return NULL;
    if (kind == SCRIPT_URL)
        return fetch(supervisor, rest, error);
    if (kind == SCRIPT_FILE)
        return file_read(rest, SCRIPT_MAX_BYTES, NULL, error);
    *shell = kind == SCRIPT_BASH ? "bash" : "sh";
    return g_strdup(rest);
}

static char *expand(const ScriptRun *run, char *text)
{
    const SessionRecord *session = run->supervisor->session;
    RunnerValues values = {.user = session->owner,
                           .session_name = session->id,
                           .machine = session->plan->machine,
                           .password = run->password};
    char *expanded = runner_expand(text, &values);
    g_free(text);
    return expanded;
}

/* A script that cannot be read is empty here, and is not waited for: the numbers of the others stay. */
static void prepare_line(ScriptRun *run)
{
    guint count = run->supervisor->session->scripts->len;
    g_autofree RunnerScript *scripts = g_new0(RunnerScript, count);
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func((GDestroyNotify)secret_free);
    for (guint i = 0; i < count; i++) {
        g_autoptr(GError) cause = NULL;
        const BootScript *script = run->supervisor->session->scripts->pdata[i];
        char *text = script_is_options(script) ? NULL : read_script(run->supervisor, script, &scripts[i].shell, &cause);
        if (cause)
            note_failure(run, i, cause->message);
        scripts[i].text = text ? expand(run, text) : g_strdup("");
        g_ptr_array_add(texts, (gpointer)scripts[i].text);
        scripts[i].shell = text ? scripts[i].shell : "true";
    }
    run->line = runner_line(scripts, count);
    g_clear_pointer(&run->password, secret_free);
}

/* --- start --- */

/* The CGI program's pipe (engine/engine.h); at most SECRET_MAX_BYTES are in it, and its other end is closed. */
static Secret *read_password(void)
{
    struct stat st;
    char buffer[SECRET_MAX_BYTES + 1] = "";
    if (fstat(STDIN_FILENO, &st) < 0 || !S_ISFIFO(st.st_mode))
        return NULL;
    ssize_t length = read(STDIN_FILENO, buffer, SECRET_MAX_BYTES);
    Secret *password = length > 0 ? g_strndup(buffer, (gsize)length) : NULL;
    explicit_bzero(buffer, sizeof buffer);
    return password;
}

static bool make_seed(Supervisor *supervisor, GError **error)
{
    g_autofree char *bootstrap = runner_bootstrap("cloud-init");
    g_autofree char *description = g_strdup_printf("instance-id: qwd-%s\n", supervisor->id);
    const SeedFile files[] = {{"meta-data", description}, {"user-data", bootstrap}};
    g_autoptr(GByteArray) image = seed_image(files, G_N_ELEMENTS(files));
    supervisor->seed_path = g_build_filename(supervisor->folder, "seed.iso", NULL);
    return file_write_atomic(supervisor->seed_path, (const char *)image->data, image->len, 0600, FILE_WRITE_FAST,
                             error);
}

static bool open_port(Supervisor *supervisor, ScriptRun *run, GError **error)
{
    if (!unix_pair(&run->fd, &supervisor->script_fd, error) || !fd_set_nonblocking(run->fd, error))
        return false;
    run->reader = g_unix_fd_add(run->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, run);
    return true;
}

static bool has_scripts(const Supervisor *supervisor)
{
    const GPtrArray *scripts = supervisor->session->scripts;
    for (guint i = 0; i < scripts->len; i++) {
        if (!script_is_options(scripts->pdata[i]))
            return true;
    }
    return false;
}

static bool takes(const Supervisor *supervisor, const char *method)
{
    const char *chosen = supervisor->session->plan->script_method;
    return g_str_equal(chosen, "auto") || g_str_equal(chosen, method);
}

/* Slow, so never a part of auto. */
static bool is_customized(const ScriptRun *run)
{
    return g_str_equal(run->supervisor->session->plan->script_method, "customize");
}

/* A session starts without its scripts rather than not at all. */
static void customize_if_wanted(ScriptRun *run)
{
    g_autoptr(GError) cause = NULL;
    if (is_customized(run) && !script_customize(run->supervisor, &cause) && !wait_is_cancelled())
        give_up(run, cause->message);
}

/* A session that starts again, with a disk that was kept, runs them again. */
static void note_all_waiting(SessionRecord *session, const void *data)
{
    (void)data;
    for (guint i = 0; i < session->scripts->len; i++)
        script_set_result(session->scripts->pdata[i], SCRIPT_WAITING, "", "");
}

bool script_start(Supervisor *supervisor, GError **error)
{
    g_autoptr(Secret) password = read_password();
    supervisor->qemu_options = scripts_qemu_options(supervisor->session->scripts, supervisor->id, error);
    if (!supervisor->qemu_options)
        return false;
    if (!has_scripts(supervisor))
        return true;
    ScriptRun *run = supervisor->script_run = g_new0(ScriptRun, 1);
    *run = (ScriptRun){.supervisor = supervisor,
                       .password = g_steal_pointer(&password),
                       .fd = -1,
                       .input = g_string_new(NULL),
                       .output = g_string_new(NULL),
                       .lines_left = 100 + 2 * (int)supervisor->session->scripts->len};
    if (!supervisor_change(supervisor, note_all_waiting, NULL, error))
        return false;
    customize_if_wanted(run);
    return open_port(supervisor, run, error) && (!takes(supervisor, "cloud-init") || make_seed(supervisor, error));
}

void script_stop(Supervisor *supervisor)
{
    ScriptRun *run = g_steal_pointer(&supervisor->script_run);
    fd_close_pointed(&supervisor->script_fd);
    if (!run)
        return;
    g_clear_handle_id(&run->reader, g_source_remove);
    g_clear_handle_id(&run->writer, g_source_remove);
    fd_close_pointed(&run->fd);
    explicit_bzero(run->output->str, run->output->len);
    g_string_free(run->input, TRUE);
    g_string_free(run->output, TRUE);
    secret_free(run->password);
    secret_free(run->line);
    g_free(run->method);
    g_free(run);
}

/* --- running --- */

typedef struct {
    ScriptRun *run;
    Agent *agent;
} Wait;

static bool is_taken_or_agent_ready(void *data)
{
    const Wait *wait = data;
    return wait->run->is_taken || wait->run->is_over || (wait->agent && agent_is_ready(wait->agent));
}

static bool is_over(void *data)
{
    return ((const ScriptRun *)data)->is_over;
}

static bool start_by_agent(Agent *agent, GError **error)
{
    g_autofree char *bootstrap = runner_bootstrap("agent");
    json_t *arguments = json_pack("{s:s, s:[s, s]}", "path", "/bin/sh", "arg", "-c", bootstrap);
    json_t *answer = agent_execute(agent, "guest-exec", arguments, EXEC_DEADLINE_MS, error);
    json_decref(answer);
    return answer != NULL;
}

/* False when neither came, or the agent did but refuses, and cloud-init cannot come. */
static bool start_in_guest(ScriptRun *run, int deadline_ms, GError **error)
{
    Supervisor *supervisor = run->supervisor;
    g_autofree char *path = g_build_filename(supervisor->run_folder, "agent", NULL);
    g_autoptr(Agent) agent = takes(supervisor, "agent") ? agent_new(path, error) : NULL;
    Wait wait = {run, agent};
    if (*error || !wait_unless_cancelled(is_taken_or_agent_ready, &wait, deadline_ms, error))
        return false;
    if (run->is_taken || run->is_over)
        return true;
    g_autoptr(GError) cause = NULL;
    if (start_by_agent(agent, &cause) || takes(supervisor, "cloud-init"))
        return true;
    g_propagate_error(error, g_steal_pointer(&cause));
    return false;
}

static int left_ms(gint64 end_us)
{
    return (int)CLAMP((end_us - g_get_monotonic_time()) / 1000, 0, G_MAXINT);
}

static const char *silence_of(const ScriptRun *run)
{
    if (run->is_taken)
        return N_("It did not end in time (script_deadline).");
    if (is_customized(run))
        return N_(
            "The machine did not ask for it in time (script_deadline): its system has not started what was put into "
            "its disk.");
    return N_(
        "The machine did not ask for it in time (script_deadline): neither QEMU's guest agent nor cloud-init seems "
        "to run in it.");
}

void script_run(Supervisor *supervisor)
{
    ScriptRun *run = supervisor->script_run;
    g_autoptr(GError) error = NULL;
    if (!run || run->is_over)
        return;
    gint64 end_us = g_get_monotonic_time() + supervisor->settings->script_deadline * G_USEC_PER_SEC;
    prepare_line(run);
    if ((start_in_guest(run, left_ms(end_us), &error) &&
         wait_unless_cancelled(is_over, run, left_ms(end_us), &error)) ||
        wait_is_cancelled())
        return;
    bool late = g_error_matches(error, QWD_ERROR, QWD_ERROR_TIMEOUT);
    give_up(run, late ? silence_of(run) : error->message);
}
