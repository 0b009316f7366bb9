/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "ctl/transfers.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/process.h"
#include "base/text.h"
#include "ctl/output.h"

#define AT_ONCE 3
#define SOURCE_FD 3
#define BAR_CHARS 16
#define PERCENT_STEP 25 /* between plain lines */

typedef struct {
    Transfer *transfer;
    struct Batch *batch;
    GString *unread; /* of its output */
    int output;
    guint output_source;
    bool started, exited;
    int status;
    char *phase, *trouble;
    gint64 done, total;
    int told_percent;
} Run;

typedef struct Batch {
    const Settings *settings;
    GPtrArray *runs;
    guint next;  /* to start */
    guint drawn; /* lines on the terminal that are drawn over */
} Batch;

Transfer *transfer_new(const char *name, json_t *request, int source)
{
    Transfer *transfer = g_new0(Transfer, 1);
    transfer->name = g_strdup(name);
    transfer->request = request;
    transfer->source = source;
    json_object_set_new(request, "name", json_string(name));
    return transfer;
}

void transfer_free(Transfer *transfer)
{
    g_free(transfer->name);
    json_decref(transfer->request);
    g_clear_error(&transfer->error);
    g_free(transfer);
}

static Run *run_new(Transfer *transfer, Batch *batch)
{
    Run *run = g_new0(Run, 1);
    run->transfer = transfer;
    run->batch = batch;
    run->output = -1;
    run->unread = g_string_new(NULL);
    run->phase = g_strdup("");
    run->told_percent = -1;
    return run;
}

static void run_free(Run *run)
{
    g_clear_handle_id(&run->output_source, g_source_remove);
    fd_close_pointed(&run->output);
    g_string_free(run->unread, TRUE);
    g_free(run->phase);
    g_free(run->trouble);
    g_free(run);
}

static bool is_over(const Run *run)
{
    return run->started && run->exited && !run->output_source;
}

static bool is_running(const Run *run)
{
    return run->started && !is_over(run);
}

/* --- showing --- */

static int percent_of(const Run *run)
{
    return run->total > 0 ? (int)(run->done * 100 / run->total) : -1;
}

static char *amount_text(const Run *run)
{
    g_autofree char *done = output_size(run->done);
    g_autofree char *total = run->total > 0 ? output_size(run->total) : NULL;
    return total ? g_strdup_printf("%3d %%  %s of %s", percent_of(run), done, total) : g_strdup(done);
}

static void draw_run(const Run *run)
{
    char bar[BAR_CHARS + 1] = {0};
    int filled = run->total > 0 ? (int)(run->done * BAR_CHARS / run->total) : 0;
    memset(bar, '-', BAR_CHARS);
    memset(bar, '#', (size_t)CLAMP(filled, 0, BAR_CHARS));
    g_autofree char *amount = amount_text(run);
    g_autofree char *phase = text_for_line(run->phase);
    fprintf(stderr, "\033[K%-24.24s [%s] %-8s %s\n", run->transfer->name, bar, phase, amount);
}

/* Those that run, over what was drawn before. A line that does not fit is cut (DECAWM is off meanwhile): one that takes
 * two would spoil the count. */
static void draw(Batch *batch)
{
    fputs("\033[?7l", stderr);
    if (batch->drawn)
        fprintf(stderr, "\033[%uA\033[J", batch->drawn);
    batch->drawn = 0;
    for (guint i = 0; i < batch->runs->len; i++) {
        if (is_running(batch->runs->pdata[i])) {
            draw_run(batch->runs->pdata[i]);
            batch->drawn++;
        }
    }
    fputs("\033[?7h", stderr);
}

static void print_plain(Run *run)
{
    int percent = percent_of(run);
    if (percent < 0 || (percent < 100 && percent < run->told_percent + PERCENT_STEP) || percent == run->told_percent)
        return;
    run->told_percent = percent;
    g_autofree char *amount = amount_text(run);
    output_note("%s: %s %s", run->transfer->name, run->phase, g_strchug(amount));
}

static void show(Run *run)
{
    if (isatty(STDERR_FILENO))
        draw(run->batch);
    else
        print_plain(run);
}

/* --- one program --- */

static void take_line(Run *run, const char *line)
{
    g_autoptr(JsonValue) object = json_object_parse(line, strlen(line), NULL);
    const char *trouble = json_get_text(object, "error", NULL), *phase = json_get_text(object, "phase", run->phase);
    if (trouble) {
        g_free(run->trouble);
        run->trouble = g_strdup(trouble);
        return;
    }
    if (!g_str_equal(phase, run->phase)) {
        g_free(run->phase);
        run->phase = g_strdup(phase);
        run->told_percent = -1;
    }
    run->done = json_get_integer(object, "done", run->done);
    run->total = json_get_integer(object, "total", run->total);
    show(run);
}

static gboolean on_output(int fd, GIOCondition condition, gpointer data)
{
    (void)condition;
    Run *run = data;
    char buffer[4096];
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n <= 0) {
        run->output_source = 0;
        return G_SOURCE_REMOVE;
    }
    g_string_append_len(run->unread, buffer, n);
    for (char *newline; (newline = strchr(run->unread->str, '\n'));) {
        *newline = '\0';
        take_line(run, run->unread->str);
        g_string_erase(run->unread, 0, newline - run->unread->str + 1);
    }
    return G_SOURCE_CONTINUE;
}

static void on_exit_of(pid_t pid, int status, gpointer data)
{
    (void)pid;
    Run *run = data;
    run->exited = true;
    run->status = status;
}

/* A request is far smaller than a pipe holds. */
static int request_pipe(const json_t *request, GError **error)
{
    int ends[2];
    if (!g_unix_open_pipe(ends, FD_CLOEXEC, error))
        return -1;
    autofd int read_end = ends[0], write_end = ends[1];
    char *text = json_dumps(request, JSON_COMPACT);
    bool good = write(write_end, text, strlen(text)) == (ssize_t)strlen(text);
    free(text);
    if (good)
        return fd_steal(&read_end);
    qwd_error_fail(error, QWD_ERROR_INTERNAL, "Cannot hand a request to qwd-download.");
    return -1;
}

static bool start(Run *run, GError **error)
{
    int ends[2], as[] = {SOURCE_FD};
    g_autofree char *program = g_build_filename(run->batch->settings->dir_lib, "qwd-download", NULL);
    const char *argv[] = {program, NULL};
    autofd int input = request_pipe(run->transfer->request, error);
    if (input < 0 || !g_unix_open_pipe(ends, FD_CLOEXEC, error))
        return false;
    run->output = ends[0];
    autofd int write_end = ends[1];
    SpawnOptions options = {.argv = argv,
                            .stdin_fd = input,
                            .stdout_fd = write_end,
                            .stderr_fd = isatty(STDERR_FILENO) ? -1 : STDERR_FILENO, /* root's terminal is root's */
                            .pass_fds = &run->transfer->source,
                            .as_fds = as,
                            .pass_count = run->transfer->source >= 0 ? 1 : 0,
                            .new_session = true,
                            .die_with_parent = true};
    pid_t pid;
    if (!process_spawn(&options, &pid, error))
        return false;
    run->started = true;
    run->output_source = g_unix_fd_add(run->output, G_IO_IN | G_IO_HUP | G_IO_ERR, on_output, run);
    g_child_watch_add(pid, on_exit_of, run);
    return true;
}

/* The kinds of error by exit code, as far as they can be told apart. */
static QwdErrorKind kind_of(int status)
{
    static const QwdErrorKind kinds[] = {QWD_ERROR_INTERNAL,  QWD_ERROR_INTERNAL, QWD_ERROR_USAGE,
                                         QWD_ERROR_NOT_FOUND, QWD_ERROR_DENIED,   QWD_ERROR_UNAVAILABLE};
    guint code = WIFEXITED(status) ? (guint)WEXITSTATUS(status) : 1;
    return code < G_N_ELEMENTS(kinds) ? kinds[code] : QWD_ERROR_INTERNAL;
}

static void conclude(Run *run)
{
    if (WIFEXITED(run->status) && WEXITSTATUS(run->status) == 0)
        return;
    qwd_error_fail(&run->transfer->error, kind_of(run->status), "%s",
                   run->trouble ? run->trouble : "qwd-download ended before its time.");
}

/* --- all of them --- */

static guint count_running(const Batch *batch)
{
    guint count = 0;
    for (guint i = 0; i < batch->runs->len; i++)
        count += is_running(batch->runs->pdata[i]);
    return count;
}

static void start_more(Batch *batch)
{
    while (batch->next < batch->runs->len && count_running(batch) < AT_ONCE) {
        Run *run = batch->runs->pdata[batch->next++];
        if (!start(run, &run->transfer->error))
            run->started = run->exited = true;
    }
}

static guint count_failed(const GPtrArray *transfers)
{
    guint count = 0;
    for (guint i = 0; i < transfers->len; i++)
        count += ((const Transfer *)transfers->pdata[i])->error != NULL;
    return count;
}

static bool report(const GPtrArray *transfers, GError **error)
{
    guint failed = count_failed(transfers);
    int kind = QWD_ERROR_INTERNAL;
    for (guint i = 0; i < transfers->len; i++) {
        const Transfer *transfer = transfers->pdata[i];
        if (!transfer->error)
            continue;
        kind = transfer->error->code;
        if (transfers->len > 1)
            output_note("qwdctl: %s: %s", transfer->name, transfer->error->message);
        else
            g_propagate_error(error, g_error_copy(transfer->error));
    }
    if (failed && transfers->len > 1)
        return qwd_error_fail(error, kind, "%u of %u failed.", failed, transfers->len);
    return failed == 0;
}

bool transfers_run(const Settings *settings, GPtrArray *transfers, GError **error)
{
    g_autoptr(GPtrArray) runs = g_ptr_array_new_with_free_func((GDestroyNotify)run_free);
    Batch batch = {.settings = settings, .runs = runs};
    for (guint i = 0; i < transfers->len; i++)
        g_ptr_array_add(runs, run_new(transfers->pdata[i], &batch));
    for (start_more(&batch); count_running(&batch); start_more(&batch))
        g_main_context_iteration(NULL, TRUE);
    if (batch.drawn)
        draw(&batch);
    for (guint i = 0; i < runs->len; i++) {
        Run *run = runs->pdata[i];
        if (!run->transfer->error)
            conclude(run);
    }
    return report(transfers, error);
}
