/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl save: a session's disk becomes a machine on offer. The service account reads the session's record and makes
 * the image; only root may write the machine's entry, which comes last, and looks at the account's text of it first. */
#include <stdio.h>
#include <unistd.h>

#include "app/local.h"
#include "app/save.h"
#include "base/account.h"
#include "base/error.h"
#include "base/owned_file.h"
#include "base/text.h"
#include "core/store.h"
#include "ctl/commands.h"
#include "ctl/output.h"

typedef struct {
    const Settings *settings;
    char **words;
    bool standalone;
} Save;

static void print_percent(int percent)
{
    if (account_has_terminal(STDERR_FILENO))
        fprintf(stderr, "\r%d %%%s", percent, percent >= 100 ? "\n" : "");
}

static void on_percent(int percent, void *data)
{
    (void)data;
    if (account_is_child())
        account_progress(percent);
    else
        print_percent(percent);
}

static char *save_image(void *data, GError **error)
{
    const Save *save = data;
    Identity who = local_identity();
    g_autofree char *id = store_find_id(save->settings, save->words[0], error);
    if (!id)
        return NULL;
    SaveRequest request = {
        .session_id = id, .name = save->words[1], .standalone = save->standalone, .on_percent = on_percent};
    g_autoptr(SessionRecord) session = app_save(save->settings, &who, &request, error);
    return session ? g_strdup(session->save_reason ? session->save_reason : "") : NULL;
}

static char *make_entry(void *data, GError **error)
{
    const Save *save = data;
    SaveRequest request = {.name = save->words[1], .title = save->words[2]};
    g_autofree char *id = store_find_id(save->settings, save->words[0], error);
    g_autoptr(SessionRecord) session = id ? store_find(save->settings, id, error) : NULL;
    return session && save_check_name(save->settings, request.name, error)
               ? save_entry(save->settings, session, &request, error)
               : NULL;
}

static char *run_by_account(const Save *save, char *(*run)(void *data, GError **error), GError **error)
{
    AccountWork work = {.run = run, .data = (void *)save, .progress = print_percent};
    return account_run(save->settings->service_user, &work, error);
}

/* --- the entry --- */

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

static bool check_description(const char *text, GError **error)
{
    return !text || text_is_line(text) || qwd_error_fail(error, QWD_ERROR_USAGE, "A description is one line of text.");
}

static char *find_entry(const Save *save, GError **error)
{
    if (!check_description(save->words[2], error))
        return NULL;
    g_autofree char *text = run_by_account(save, make_entry, error);
    return text && save_check_entry(save->settings, save->words[1], text, error) ? g_steal_pointer(&text) : NULL;
}

static bool write_entry(const Save *save, const char *path, const char *text, GError **error)
{
    if (check_place(path, error) && owned_file_replace(save->settings->service_user, path, text, 0644, error)) {
        printf("Saved as %s, an entry in %s. `qwdctl refresh` puts it on the page.\n", save->words[1], path);
        return true;
    }
    g_prefix_error(error, "The image %s is there, its entry is not: ", save->words[1]);
    return false;
}

/* The entry is made first: what hinders it is told before anything is copied. */
bool command_save(Arguments *arguments, GError **error)
{
    g_auto(GStrv) words = command_words(arguments);
    Save save = {arguments->settings, words, command_option(arguments, "--standalone")};
    bool image_only = command_option(arguments, "--image-only");
    g_autofree char *text = image_only ? NULL : find_entry(&save, error);
    g_autofree char *path = entry_path(save.settings, words[1]);
    if (!image_only && (!text || !check_place(path, error)))
        return false;
    g_autofree char *done = run_by_account(&save, save_image, error);
    if (done && *done)
        output_note("Note: %s", done);
    return done && (image_only || write_entry(&save, path, text, error));
}
