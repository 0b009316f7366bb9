/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl edit: an editor on a copy, which is checked before it takes the place of the file. What somebody has typed is
 * never lost: a copy that was not put in place stays, and its path is told. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/owned_file.h"
#include "base/process.h"
#include "core/entries.h"
#include "core/choices.h"
#include "core/machine.h"
#include "core/saved.h"
#include "ctl/commands.h"
#include "ctl/json_mode.h"
#include "ctl/output.h"

#define FILE_MAX_BYTES (4 * 1024 * 1024)
#define FILE_MODE 0644

typedef struct Edit Edit;

struct Edit {
    const Settings *settings;
    const char *path;
    char *folder, *copy; /* of the copy, and the copy */
    char *before;        /* what the file held when we began */
    char *origin;        /* of the text when there is no file yet; NULL: of nothing */
    char *offered;       /* what the copy began with */
    bool (*check)(const Edit *edit, const char *text, GError **error);
};

static void edit_clear(Edit *edit)
{
    g_free(edit->folder);
    g_free(edit->copy);
    g_free(edit->before);
    g_free(edit->origin);
    g_free(edit->offered);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Edit, edit_clear)

/* --- what is accepted --- */

static bool check_machines(const Edit *edit, const char *text, GError **error)
{
    return machines_check_text(text, strlen(text), edit->copy, edit->settings->dir_machines, error);
}

static bool check_settings(const Edit *edit, const char *text, GError **error)
{
    (void)text;
    g_autoptr(Settings) settings = settings_load(edit->copy, true, NULL, error);
    return settings && config_check(settings, false, error);
}

static bool check_groups(const Edit *edit, const char *text, GError **error)
{
    return choices_check_text(text, edit->copy, error);
}

static bool check_page(const Edit *edit, const char *text, GError **error)
{
    return refresh_check_template(edit->settings, text, error);
}

/* --- the editor --- */

static void on_interrupt(int signal_number)
{
    (void)signal_number; /* it is meant for the editor */
}

static char **editor_argv(const char *file, GError **error)
{
    g_auto(GStrv) words = NULL;
    const char *visual = g_getenv("VISUAL"), *editor = g_getenv("EDITOR");
    g_autofree char *sensible = g_find_program_in_path("sensible-editor");
    const char *chosen = visual && *visual ? visual : editor && *editor ? editor : sensible ? sensible : "vi";
    g_autoptr(GError) cause = NULL;
    if (!g_shell_parse_argv(chosen, NULL, &words, &cause)) {
        qwd_error_fail(error, QWD_ERROR_USAGE, "The editor \"%s\" cannot be started: %s", chosen, cause->message);
        return NULL;
    }
    g_autoptr(GStrvBuilder) argv = g_strv_builder_new();
    g_strv_builder_addv(argv, (const char **)words);
    g_strv_builder_add(argv, file);
    return g_strv_builder_end(argv);
}

static bool run_editor(const char *file, GError **error)
{
    g_auto(GStrv) argv = editor_argv(file, error);
    if (!argv)
        return false;
    g_autofree char *here = g_get_current_dir();
    SpawnOptions options = {.argv = (const char *const *)argv,
                            .folder = here,
                            .stdin_fd = STDIN_FILENO,
                            .stdout_fd = json_mode_is_on() ? STDERR_FILENO : STDOUT_FILENO,
                            .stderr_fd = STDERR_FILENO};
    struct sigaction ignore = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART}, before;
    sigaction(SIGINT, &ignore, &before);
    pid_t pid;
    int status = 0;
    bool good = process_spawn(&options, &pid, error);
    while (good && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    sigaction(SIGINT, &before, NULL);
    if (good && status != 0)
        return qwd_error_fail(error, QWD_ERROR_INTERNAL, "The editor %s failed.", argv[0]);
    return good;
}

/* --- the copy --- */

/* Without settings nobody is known who could do it for root. */
static const char *user_of(const Edit *edit)
{
    return edit->settings ? edit->settings->service_user : "";
}

static bool make_copy(Edit *edit, GError **error)
{
    g_autofree char *name = g_path_get_basename(edit->path);
    edit->before = owned_file_read_text(user_of(edit), edit->path, FILE_MAX_BYTES, error);
    bool is_new = edit->origin && access(edit->path, F_OK) < 0;
    edit->offered = is_new ? file_read_text(edit->origin, FILE_MAX_BYTES, error) : g_strdup(edit->before);
    edit->folder = edit->before && edit->offered ? g_dir_make_tmp("qwdctl-edit-XXXXXX", error) : NULL;
    if (!edit->folder)
        return false;
    edit->copy = g_build_filename(edit->folder, name, NULL);
    return file_write_atomic(edit->copy, edit->offered, strlen(edit->offered), 0600, FILE_WRITE_FAST, error);
}

static bool is_unchanged(const Edit *edit, GError **error)
{
    g_autofree char *now = owned_file_read_text(user_of(edit), edit->path, FILE_MAX_BYTES, error);
    return now && (g_str_equal(now, edit->before) ||
                   qwd_error_fail(error, QWD_ERROR_CONFLICT, "%s was changed by somebody else meanwhile.", edit->path));
}

/* Edits until the copy is accepted, or its author gives up. */
static char *edit_until_good(const Edit *edit, GError **error)
{
    for (;;) {
        g_autoptr(GError) cause = NULL;
        g_autofree char *text =
            run_editor(edit->copy, error) ? file_read_text(edit->copy, FILE_MAX_BYTES, error) : NULL;
        if (!text || edit->check(edit, text, &cause))
            return g_steal_pointer(&text);
        output_note("%s", cause->message);
        if (!output_confirm("Edit it again?", true)) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return NULL;
        }
    }
}

static bool put_in_place(const Edit *edit, const char *text, GError **error)
{
    if (g_str_equal(text, edit->offered)) {
        output_note("Nothing was changed.");
        return true;
    }
    if (!is_unchanged(edit, error) || !owned_file_replace(user_of(edit), edit->path, text, FILE_MODE, error))
        return false;
    output_note("%s is in place.", edit->path);
    return true;
}

static bool edit_file(Edit *edit, GError **error)
{
    if (!make_copy(edit, error))
        return false;
    g_autofree char *text = edit_until_good(edit, error);
    if (text && put_in_place(edit, text, error)) {
        folder_remove(edit->folder, NULL); /* below the folder for what is temporary */
        return true;
    }
    g_prefix_error(error, "Nothing was put in place; what you wrote is in %s. ", edit->copy);
    return false;
}

/* --- what to edit --- */

static char *machine_file(const Settings *settings, const char *name, GError **error)
{
    g_autoptr(GPtrArray) machines = machines_load(settings, error);
    bool has_entry = machines && (machines_find(machines, name, NULL) || machine_is_disabled(settings, name));
    if (has_entry)
        return machines_file_of(settings, name, error);
    if (machines && machine_name_is_valid(name) && saved_has_entry(settings, name)) /* a broken one */
        return saved_path(settings, name);
    if (machines)
        qwd_error_fail(error, QWD_ERROR_NOT_FOUND,
                       "There is no entry for %s. What can be edited: machines, groups, config, web, or a machine "
                       "with an entry.",
                       name);
    return NULL;
}

/* `trouble` is why there are no settings; NULL: there are. */
static char *choose(Edit *edit, const char *what, const GError *trouble, GError **error)
{
    if (g_str_equal(what, "config")) {
        edit->check = check_settings;
        return g_strdup(settings_default_file());
    }
    if (trouble) {
        g_propagate_error(error, g_error_copy(trouble));
        return NULL;
    }
    edit->check = check_machines;
    if (g_str_equal(what, "machines"))
        return g_strdup(edit->settings->file_machines);
    if (g_str_equal(what, "groups")) {
        edit->check = check_groups;
        return g_strdup(edit->settings->file_groups);
    }
    if (g_str_equal(what, "web")) {
        edit->check = check_page;
        edit->origin = g_build_filename(edit->settings->dir_html, "landing.html", NULL);
        return g_build_filename(edit->settings->dir_layout, "landing.html", NULL);
    }
    return machine_file(edit->settings, what, error);
}

bool command_edit(Arguments *arguments, GError **error)
{
    g_auto(GStrv) words = command_words(arguments);
    g_auto(Edit) edit = {.settings = arguments->settings};
    g_autofree char *path = choose(&edit, *words ? *words : "machines", arguments->trouble, error);
    if (!path)
        return false;
    edit.path = path;
    if (!edit_file(&edit, error))
        return false;
    /* They may be other ones now, and those in config.d/ count as well. */
    g_autoptr(Settings) settings = settings_load(settings_default_file(), false, NULL, error);
    if (settings)
        refresh_after_change(settings);
    return settings != NULL;
}
