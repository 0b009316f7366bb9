/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwd-server: the service on one machine, without Apache. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/account.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/units.h"
#include "core/link.h"
#include "core/origin.h"
#include "server/listener.h"
#include "server/server.h"

/* --- options --- */

typedef struct {
    char *config;
    char *listen;
    gint64 port;
    gint64 cgi_deadline;
    gint64 request_deadline;
    bool verbose;
    bool help;
    bool version;
    GStrv overrides;
} Options;

typedef enum { OPTION_TEXT, OPTION_NUMBER, OPTION_FLAG } OptionKind;

typedef struct {
    OptionKind kind;
    const char *name;
    size_t offset;
    const char *value_name;
    gint64 min, max;
    const char *help;
} OptionRow;

static const OptionRow rows[] = {
    {OPTION_TEXT, "config", offsetof(Options, config), "FILE", 0, 0, "read this settings file"},
    {OPTION_TEXT, "listen", offsetof(Options, listen), "ADDRESS", 0, 0, "listen there (127.0.0.1)"},
    {OPTION_NUMBER, "port", offsetof(Options, port), "NUMBER", 0, 65535, "listen on this port (8080); 0: a free one"},
    {OPTION_NUMBER, "cgi-deadline", offsetof(Options, cgi_deadline), "SECONDS", 1, 3600, "time a page may take (30)"},
    {OPTION_NUMBER, "request-deadline", offsetof(Options, request_deadline), "SECONDS", 1, 3600,
     "time a client has to send a request (60)"},
    {OPTION_FLAG, "verbose", offsetof(Options, verbose), NULL, 0, 0, "a line on standard error for each request"},
    {OPTION_FLAG, "help", offsetof(Options, help), NULL, 0, 0, "this text"},
    {OPTION_FLAG, "version", offsetof(Options, version), NULL, 0, 0, "the version"},
};

static void options_clear(Options *options)
{
    g_free(options->config);
    g_free(options->listen);
    g_strfreev(options->overrides);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

static bool set_option(Options *options, const OptionRow *row, const char *value, GError **error)
{
    void *place = (char *)options + row->offset;
    if ((row->kind == OPTION_FLAG) != (value == NULL))
        return qwd_error_fail(error, QWD_ERROR_USAGE, "Write --%s%s%s.", row->name, row->value_name ? "=" : "",
                              row->value_name ? row->value_name : "");
    if (row->kind == OPTION_NUMBER && !units_parse_integer(value, row->min, row->max, place))
        return qwd_error_fail(error, QWD_ERROR_USAGE,
                              "--%s takes a whole number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT ".", row->name,
                              row->min, row->max);
    if (row->kind == OPTION_FLAG)
        *(bool *)place = true;
    if (row->kind == OPTION_TEXT) {
        g_free(*(char **)place);
        *(char **)place = g_strdup(value);
    }
    return true;
}

/* What is not an option is a setting, which settings_load() checks. */
static bool add_override(GStrvBuilder *overrides, const char *text, bool has_value, GError **error)
{
    if (!has_value || strpbrk(text, "\r\n"))
        return qwd_error_fail(error, QWD_ERROR_USAGE, "\"--%s\" is neither an option nor a setting. See --help.", text);
    g_strv_builder_add(overrides, text);
    return true;
}

static bool parse_argument(Options *options, GStrvBuilder *overrides, const char *argument, GError **error)
{
    if (!g_str_has_prefix(argument, "--"))
        return qwd_error_fail(error, QWD_ERROR_USAGE, "\"%s\" is not an option. See --help.", argument);
    const char *text = argument + 2;
    const char *equals = strchr(text, '=');
    size_t length = equals ? (size_t)(equals - text) : strlen(text);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (strlen(rows[i].name) == length && strncmp(rows[i].name, text, length) == 0)
            return set_option(options, &rows[i], equals ? equals + 1 : NULL, error);
    }
    return add_override(overrides, text, equals != NULL, error);
}

/* The pages' program gets our overrides and not the environment's, so those must be among ours. */
static void add_inherited(GStrvBuilder *overrides)
{
    const char *text = g_getenv("QWD_OVERRIDES");
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
    for (char **line = lines; *line; line++) {
        if (**line)
            g_strv_builder_add(overrides, *line);
    }
}

static bool parse_arguments(Options *options, char **arguments, GError **error)
{
    g_autoptr(GStrvBuilder) overrides = g_strv_builder_new();
    bool good = true;
    add_inherited(overrides);
    for (char **argument = arguments; good && *argument; argument++)
        good = parse_argument(options, overrides, *argument, error);
    options->overrides = g_strv_builder_end(overrides);
    return good;
}

static void print_help(void)
{
    puts("Usage: qwd-server [OPTION...] [--SETTING=VALUE...]\n\n"
         "Serves qemu-web-desktop on one port, without another web server: the pages, the\n"
         "displays, and their websockets, which go on to websockify. Prints its address and\n"
         "serves until it is stopped. Started by root, it becomes the account service_user.\n");
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *name = g_strconcat(rows[i].name, rows[i].value_name ? "=" : NULL, rows[i].value_name, NULL);
        printf("  --%-26s %s\n", name, rows[i].help);
    }
    puts("\n`qwdctl help settings` lists the settings.");
}

/* --- serving --- */

/* $QWD_CGI, else the one that is installed beside the helpers. */
static char *find_cgi(const Settings *settings)
{
    const char *path = g_getenv("QWD_CGI");
    if (path && *path)
        return g_canonicalize_filename(path, NULL);
    g_autofree char *beside = g_build_filename(settings->dir_lib, "..", "cgi-bin", "qemu-web-desktop.cgi", NULL);
    return g_canonicalize_filename(beside, NULL);
}

static void wait_for_end(const sigset_t *signals)
{
    int number;
    while (sigwait(signals, &number) != 0) {
    }
}

/* 1. the signals that end us, blocked before the first thread; 2. the server; 3. the line that says so; 4. wait;
 * 5. stop. */
static char *serve(void *data, GError **error)
{
    ServerOptions *start = data;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    g_autofree char *url = listener_url(start->listen_fd);
    Server *server = server_start(start, error);
    if (!server)
        return NULL;
    printf("%s%s\n", url, server_base(server, BASE_PAGE));
    fflush(stdout);
    wait_for_end(&signals);
    server_stop(server);
    return g_strdup("");
}

/* Root opens the port, which may be any, and has the account serve it. */
static bool serve_by_account(ServerOptions *start, const Options *options, GError **error)
{
    const char *address = options->listen ? options->listen : "127.0.0.1";
    start->listen_fd = listener_open(address, (int)options->port, error);
    if (start->listen_fd < 0)
        return false;
    AccountWork work = {.run = serve, .data = start, .fd = start->listen_fd, .is_long = true};
    g_autofree char *done = account_run(start->settings->service_user, &work, error);
    return done != NULL;
}

static bool run(const Options *options, GError **error)
{
    g_autofree char *config =
        g_canonicalize_filename(options->config ? options->config : settings_default_file(), NULL);
    const char *const *overrides = (const char *const *)options->overrides;
    g_autoptr(Settings) settings = settings_load(config, options->config != NULL, overrides, error);
    if (!settings || !origin_check_settings(settings, error) || !link_check_settings(settings, error))
        return false;
    g_autofree char *cgi = find_cgi(settings);
    if (access(cgi, X_OK) < 0)
        server_log("There is no program %s: pages will fail. QWD_CGI can name another one.", cgi);
    ServerOptions start = {
        .settings = settings,
        .overrides = overrides,
        .config_file = config,
        .cgi_program = cgi,
        .cgi_deadline_ms = (int)options->cgi_deadline * 1000,
        .request_deadline_ms = (int)options->request_deadline * 1000,
        .verbose = options->verbose,
    };
    return serve_by_account(&start, options, error);
}

int main(int argc, char **argv)
{
    (void)argc;
    fd_open_standard();
    fd_check_output_at_exit();
    g_autoptr(GError) error = NULL;
    g_auto(Options) options = {.port = 8080, .cgi_deadline = 30, .request_deadline = 60};
    bool good = parse_arguments(&options, argv + 1, &error);
    if (good && options.help)
        print_help();
    else if (good && options.version)
        puts("qwd-server " QWD_VERSION);
    else if (good)
        good = run(&options, &error);
    if (good)
        return 0;
    server_log("%s", error->message);
    return qwd_error_traits(error)->exit_code;
}
