/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Boot scripts of a session: given to the guest over a port of their own (script_port.c), started by the guest's agent
 * or by cloud-init, whichever comes first, or from the disk (customize.c); what came of them goes into the record. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "base/wait.h"
#include "core/runner.h"
#include "session/script.h"
#include "vm/agent.h"
#include "vm/seed.h"

#define FETCH_DEADLINE_MS 60000
#define EXEC_DEADLINE_MS 30000

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
            script_note_failure(run, i, cause->message);
        scripts[i].text = text ? expand(run, text) : g_strdup("");
        g_ptr_array_add(texts, (gpointer)scripts[i].text);
        scripts[i].shell = text ? scripts[i].shell : "true";
    }
    script_port_offer(run, runner_line(scripts, count));
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
        script_give_up(run, cause->message);
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
    *run = (ScriptRun){.supervisor = supervisor, .password = g_steal_pointer(&password), .fd = -1};
    if (!supervisor_change(supervisor, note_all_waiting, NULL, error))
        return false;
    customize_if_wanted(run);
    return script_port_open(run, error) && (!takes(supervisor, "cloud-init") || make_seed(supervisor, error));
}

void script_stop(Supervisor *supervisor)
{
    ScriptRun *run = g_steal_pointer(&supervisor->script_run);
    fd_close_pointed(&supervisor->script_fd);
    if (!run)
        return;
    script_port_close(run);
    secret_free(run->password);
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
    script_give_up(run, late ? silence_of(run) : error->message);
}
