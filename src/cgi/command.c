/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The CGI program called by hand, as the original can be: one machine in the foreground, stopping, monitoring. */
#include <glib-unix.h>
#include <stdio.h>
#include <string.h>

#include "app/app.h"
#include "app/local.h"
#include "base/account.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "cgi/cgi.h"
#include "core/store.h"
#include "web/monitor.h"
#include "web/layout.h"
#include "web/template.h"

/* --- one machine in the foreground --- */

typedef struct {
    const Settings *settings;
    const Identity *who;
    const char *id;
} Foreground;

/* Ctrl-C ends the session; the command ends when nothing of it is left. */
static gboolean on_interrupt(gpointer data)
{
    const Foreground *foreground = data;
    session_free(app_stop(foreground->settings, foreground->who, foreground->id, NULL));
    return G_SOURCE_CONTINUE;
}

static bool print_address(const Settings *settings, const char *id, GError **error)
{
    g_autofree char *note = NULL;
    g_autofree char *url = local_wait_address(settings, id, &note, error);
    if (!url)
        return false;
    printf("%s\n", url);
    return fflush(stdout) == 0;
}

static bool run_machine(Arguments *arguments, const char *word, GError **error)
{
    (void)word;
    g_autofree char *id = local_start(arguments, "", error);
    if (!id)
        return false;
    Identity who = local_identity();
    Foreground foreground = {.settings = arguments->settings, .who = &who, .id = id};
    g_unix_signal_add(SIGINT, on_interrupt, &foreground);
    g_unix_signal_add(SIGTERM, on_interrupt, &foreground);
    return print_address(arguments->settings, id, error) && app_wait_ended(arguments->settings, id, G_MAXINT, error);
}

/* --- the other things --- */

static bool stop_session(Arguments *arguments, const char *word, GError **error)
{
    Identity who = local_identity();
    g_autofree char *id = g_path_get_basename(word); /* the original names a session by a path */
    g_autoptr(SessionRecord) session = app_stop(arguments->settings, &who, id, error);
    return session && app_wait_ended(arguments->settings, id, app_end_deadline_ms(arguments->settings), error);
}

static bool purge(Arguments *arguments, const char *word, GError **error)
{
    (void)word;
    int count, deadline_ms = app_end_deadline_ms(arguments->settings);
    Identity who = local_identity();
    g_autoptr(GPtrArray) sessions = store_list(arguments->settings, error);
    if (!sessions || !app_purge(arguments->settings, &who, &count, error))
        return false;
    for (guint i = 0; i < sessions->len; i++) {
        const SessionRecord *session = sessions->pdata[i];
        if (!app_wait_ended(arguments->settings, session->id, deadline_ms, error))
            return false;
    }
    return true;
}

static bool monitor(Arguments *arguments, const char *word, GError **error)
{
    (void)word;
    Identity who = local_identity();
    PageContext context = {.settings = arguments->settings, .base = "http://localhost", .who = &who};
    MonitorForm form = {.sort = "", .order = "", .find = "", .state = "", .result = ""};
    g_auto(MonitorFacts) facts = {0};
    if (!app_monitor(arguments->settings, &who, &facts, error))
        return false;
    g_autoptr(JsonValue) values = page_monitor(&context, &facts, &form);
    layout_use(arguments->settings);
    g_autofree char *page = template_render(arguments->settings->dir_html, "monitor.html", values, error);
    return page && fputs(page, stdout) >= 0;
}

static bool show_help(Arguments *arguments, const char *word, GError **error)
{
    (void)arguments;
    (void)word;
    (void)error;
    g_autofree char *settings = arguments_settings_help();
    printf(
        "qemu-web-desktop.cgi [--config=FILE] [--key=value ...]\n\n"
        "A CGI program of a web server; called by hand it starts one machine, prints the address of its display and\n"
        "ends with it.\n\n"
        "  --machine=VM           the machine to start: a name from the list, or the path of an image\n"
        "  --session_stop=ID      end a session\n"
        "  --service_purge=1      end all sessions\n"
        "  --service_monitor=1    write a page with all sessions to standard output\n"
        "  --KEY                  print the value of a setting\n"
        "  --help, --version\n%s",
        settings);
    return true;
}

static bool show_version(Arguments *arguments, const char *word, GError **error)
{
    (void)arguments;
    (void)word;
    (void)error;
    return printf("qemu-web-desktop " QWD_VERSION "\n") > 0;
}

typedef struct {
    const char *option; /* a prefix when it ends in "=" */
    bool needs_account;
    bool (*run)(Arguments *arguments, const char *word, GError **error);
} Option;

static const Option options[] = {
    {"--help", false, show_help},      {"--version", false, show_version},    {"--session_stop=", true, stop_session},
    {"--service_purge=", true, purge}, {"--service_monitor=", true, monitor},
};

static bool print_value(const Settings *settings, const char *word, GError **error)
{
    const SettingRow *row = g_str_has_prefix(word, "--") ? settings_find(word + 2) : NULL;
    if (!row)
        return qwd_error_fail(error, QWD_ERROR_USAGE, "There is no option %s. --help lists them.", word);
    g_autofree char *value = settings_value_text(settings, row);
    return printf("%s\n", value) > 0;
}

typedef struct {
    Arguments *arguments;
    const char *word;
    bool (*run)(Arguments *arguments, const char *word, GError **error);
} Part;

static char *run_part(void *data, GError **error)
{
    const Part *part = data;
    return part->run(part->arguments, part->word, error) ? g_strdup("") : NULL;
}

static bool run_by_account(Part *part, GError **error)
{
    AccountWork work = {.run = run_part, .data = part, .is_long = true};
    g_autofree char *done = account_run(part->arguments->settings->service_user, &work, error);
    return done != NULL;
}

static bool run_option(Arguments *arguments, const char *word, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
        bool takes_value = g_str_has_suffix(options[i].option, "=");
        if (takes_value ? !g_str_has_prefix(word, options[i].option) : !g_str_equal(word, options[i].option))
            continue;
        Part part = {arguments, word + strlen(options[i].option), options[i].run};
        return options[i].needs_account ? run_by_account(&part, error) : part.run(arguments, part.word, error);
    }
    return print_value(arguments->settings, word, error);
}

int cgi_command(int argc, char **argv)
{
    fd_check_output_at_exit();
    g_autoptr(GError) error = NULL;
    g_auto(Arguments) arguments = {0};
    bool good = local_arguments_read(&arguments, argc, argv, &error);
    if (good && *arguments.rest)
        good = run_option(&arguments, *arguments.rest, &error);
    else if (good)
        good = run_by_account(&(Part){&arguments, "", run_machine}, &error);
    if (good)
        return 0;
    fprintf(stderr, "qemu-web-desktop.cgi: %s\n", error->message);
    return qwd_error_traits(error)->exit_code;
}
