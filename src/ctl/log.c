/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl log: the service's log, or all that is known of a session. Guests write into these logs what they like, so
 * nothing reaches the terminal as it is. */
#include <stdio.h>
#include <string.h>

#include "app/logs.h"
#include "base/bounded_log.h"
#include "base/text.h"
#include "core/session_logs.h"
#include "ctl/commands.h"

static void show(const char *title, const char *text, size_t length)
{
    g_autofree char *shown = text_for_terminal(text, length);
    size_t end = strlen(shown);
    printf("--- %s ---\n%s%s", title, shown, end && shown[end - 1] != '\n' ? "\n" : "");
    if (!end)
        printf("(empty)\n");
}

static void show_file(const char *title, const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autofree char *heading = g_strdup_printf("%s: %s", title, path);
    size_t length;
    g_autofree char *text = bounded_log_read(path, &length);
    show(heading, text, length);
}

static void show_session(const Settings *settings, const char *id)
{
    g_autofree char *lines = logs_lines_of(settings, id);
    g_autofree char *folder = session_logs_folder(settings, id);
    show("Session", id, strlen(id));
    if (g_str_equal(settings->log_to, "syslog"))
        printf("--- Log ---\nIn syslog: journalctl -t qemu-web-desktop -g %s\n", id);
    else
        show("Log", lines, strlen(lines));
    if (!g_file_test(folder, G_FILE_TEST_IS_DIR)) {
        printf("No more is known: the session has ended, and its own logs are not kept (any more).\n");
        return;
    }
    show_file("Supervisor", folder, SESSION_LOG_SUPERVISOR);
    show_file("QEMU", folder, SESSION_LOG_QEMU);
    show_file("Serial console", folder, SESSION_LOG_SERIAL);
}

static bool show_end(const Settings *settings, GError **error)
{
    g_autofree char *text = logs_end(settings, error);
    g_autofree char *shown = text ? text_for_terminal(text, strlen(text)) : NULL;
    if (shown)
        fputs(shown, stdout);
    return shown != NULL;
}

bool command_log(Arguments *arguments, GError **error)
{
    const Settings *settings = arguments->settings;
    g_auto(GStrv) words = command_words(arguments);
    if (!*words)
        return show_end(settings, error);
    g_autofree char *id = logs_find_session(settings, *words, error);
    if (!id)
        return false;
    show_session(settings, id);
    return true;
}
