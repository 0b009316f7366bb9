/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl save: a session's disk becomes a machine on offer. The image is made as the service account, by a second
 * qwdctl when root has called the first, because only root may write the machine's entry, which comes last. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/local.h"
#include "app/save.h"
#include "base/account.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "base/wait.h"
#include "core/store.h"
#include "ctl/commands.h"

#define CHILD_DEADLINE_MS (7 * 3600 * 1000)

static void print_percent(int percent, void *data)
{
    (void)data;
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%d %%%s", percent, percent >= 100 ? "\n" : "");
}

static bool save_image(const Settings *settings, char **words, bool standalone, GError **error)
{
    Identity who = local_identity();
    SaveRequest request = {
        .session_id = words[0], .name = words[1], .standalone = standalone, .on_percent = print_percent};
    if (!account_become(settings->service_user, error))
        return false;
    g_autoptr(SessionRecord) session = app_save(settings, &who, &request, error);
    return session != NULL;
}

/* --- as root --- */

typedef struct {
    bool has_ended;
    int status;
} Child;

static void on_exit_of_child(pid_t pid, int status, gpointer data)
{
    (void)pid;
    *(Child *)data = (Child){true, status};
}

static bool has_ended(void *data)
{
    return ((const Child *)data)->has_ended;
}

/* It says itself what went wrong. */
static bool save_image_as_account(char **words, bool standalone, GError **error)
{
    const char *argv[] = {
        "/proc/self/exe", "save", words[0], words[1], "--image-only", standalone ? "--standalone" : NULL, NULL};
    /* GLib closes the descriptors that it is given, in the child: not these two themselves. */
    autofd int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3), err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    SpawnOptions options = {.argv = argv, .stdin_fd = -1, .stdout_fd = out, .stderr_fd = err};
    options.die_with_parent = true;
    Child child = {0};
    pid_t pid;
    if (!process_spawn(&options, &pid, error))
        return false;
    g_child_watch_add(pid, on_exit_of_child, &child);
    return wait_until(has_ended, &child, CHILD_DEADLINE_MS, error) &&
           (child.status == 0 || qwd_error_fail(error, QWD_ERROR_UNAVAILABLE, "%s was not saved.", words[1]));
}

static char *entry_path(const Settings *settings, const char *name)
{
    g_autofree char *folder = g_path_get_dirname(settings->file_machines);
    return g_strdup_printf("%s/config.d/%s.ini", folder, name);
}

/* It may hold a machine that is disabled, and what else somebody has written. */
static bool check_place(const char *path, GError **error)
{
    return access(path, F_OK) < 0 ||
           qwd_error_fail(error, QWD_ERROR_CONFLICT,
                          "There is a file %s already. Choose another name, or move that file away.", path);
}

static char *make_entry(const Settings *settings, char **words, GError **error)
{
    SaveRequest request = {.name = words[1], .title = words[2]};
    if (words[2] && (!g_utf8_validate(words[2], -1, NULL) || text_has_controls(words[2]))) {
        qwd_error_fail(error, QWD_ERROR_USAGE, "A description is one line of text.");
        return NULL;
    }
    g_autoptr(SessionRecord) session = store_find(settings, words[0], error);
    return session && save_check_name(settings, words[1], error) ? save_entry(settings, session, &request, error)
                                                                 : NULL;
}

static bool write_entry(const char *path, const char *text, char **words, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_mkdir_with_parents(folder, 0755);
    if (check_place(path, error) && file_write_atomic(path, text, strlen(text), 0644, FILE_WRITE_DURABLE, error)) {
        printf("Saved as %s, an entry in %s. `qwdctl refresh` puts it on the page.\n", words[1], path);
        return true;
    }
    g_prefix_error(error, "The image %s is there, its entry is not: ", words[1]);
    return false;
}

/* The entry is made first: what hinders it is told before anything is copied. */
bool command_save(Arguments *arguments, GError **error)
{
    const Settings *settings = arguments->settings;
    g_auto(GStrv) words = command_words(arguments);
    bool standalone = command_option(arguments, "--standalone");
    if (command_option(arguments, "--image-only"))
        return save_image(settings, words, standalone, error);
    g_autofree char *text = make_entry(settings, words, error);
    g_autofree char *path = entry_path(settings, words[1]);
    if (!text || !check_place(path, error))
        return false;
    bool good = geteuid() == 0 ? save_image_as_account(words, standalone, error)
                               : save_image(settings, words, standalone, error);
    return good && write_entry(path, text, words, error);
}
