/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "ctl/doctor.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/account.h"
#include "base/error.h"
#include "base/json.h"
#include "base/trusted_path.h"
#include "ctl/commands.h"
#include "ctl/output.h"

static const struct {
    const char *name;
    Colour colour;
} levels[] = {[LEVEL_OK] = {"ok", COLOUR_GOOD},
              [LEVEL_WARNING] = {"warning", COLOUR_WARNING},
              [LEVEL_BROKEN] = {"broken", COLOUR_BAD}};

static void finding_free(Finding *finding)
{
    g_free(finding->text);
    g_free(finding->mend);
    g_free(finding);
}

static GPtrArray *findings_new(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)finding_free);
}

void doctor_note(Doctor *doctor, Level level, const char *part, const char *mend, const char *format, ...)
{
    Finding *finding = g_new0(Finding, 1);
    va_list args;
    va_start(args, format);
    *finding = (Finding){level, part, g_strdup_vprintf(format, args), g_strdup(mend)};
    va_end(args);
    g_ptr_array_add(doctor->findings, finding);
}

static char *quote(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+=,-";
    return *word && strspn(word, plain) == strlen(word) ? g_strdup(word) : g_shell_quote(word);
}

static char *command_of(const char *format, va_list words)
{
    g_auto(GStrv) parts = g_strsplit(format, "%s", -1);
    GString *command = g_string_new(parts[0]);
    for (char **part = parts + 1; *parts && *part; part++) {
        g_autofree char *word = quote(va_arg(words, const char *));
        g_string_append_printf(command, "%s%s", word, *part);
    }
    return g_string_free(command, FALSE);
}

char *doctor_command(const char *format, ...)
{
    va_list words;
    va_start(words, format);
    char *command = command_of(format, words);
    va_end(words);
    return command;
}

/* Root's file in a folder of the account: neither may change it where the other could swap it. */
static bool account_owns(const Doctor *doctor, const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && st.st_uid == doctor->account.uid;
}

char *doctor_command_on(const Doctor *doctor, const char *path, const char *format, ...)
{
    bool is_ours = (!account_is_root() && !account_is_child()) || path_is_placed_by_root(path);
    if (!is_ours && !account_owns(doctor, path))
        return g_strdup("");
    va_list words;
    va_start(words, format);
    g_autofree char *command = command_of(format, words);
    va_end(words);
    return is_ours ? g_steal_pointer(&command) : g_strdup_printf("runuser -u %s -- %s", doctor->account.name, command);
}

/* --- the service account --- */

char *doctor_closed_folder(const char *path)
{
    g_autofree char *parent = g_path_get_dirname(path);
    char *closed = g_str_equal(parent, path) ? NULL : doctor_closed_folder(parent);
    bool is_closed = !closed && access(parent, X_OK) < 0 && errno == EACCES;
    return is_closed ? g_steal_pointer(&parent) : closed;
}

/* An ordinary user runs sessions of his own. */
static bool find_account(Doctor *doctor)
{
    ServiceAccount *account = &doctor->account;
    const char *name = doctor->settings->service_user;
    const struct passwd *entry = geteuid() == 0 ? getpwnam(name) : getpwuid(geteuid());
    if (!entry || entry->pw_uid == 0) {
        doctor_note(doctor, LEVEL_BROKEN, "account", "qwdctl edit config",
                    entry ? "service_user = %s is root itself." : "There is no account %s (service_user).", name);
        return false;
    }
    account->name = g_intern_string(entry->pw_name);
    account->uid = entry->pw_uid;
    doctor_note(doctor, LEVEL_OK, "account", "", "The service runs as %s.", account->name);
    return true;
}

/* --- all checks --- */

/* The service account runs the checks of what it reads, writes and opens: it tries, as the service would. */
static const struct {
    void (*run)(Doctor *doctor);
    bool by_account;
} checks[] = {
    {doctor_check_settings, true}, {doctor_check_accelerator, true}, {doctor_check_programs, false},
    {doctor_check_network, true},  {doctor_check_folders, true},     {doctor_check_sockets, true},
    {doctor_check_disk, true},     {doctor_check_machines, true},    {doctor_check_looks, true},
    {doctor_check_login, true},    {doctor_check_secrets, true},     {doctor_check_apache, false},
    {doctor_check_clock, false},   {doctor_check_cleaning, false},
};

static json_t *finding_value(const Finding *finding)
{
    return json_pack("{s:i, s:s, s:s, s:s}", "level", (int)finding->level, "part", finding->part, "text", finding->text,
                     "mend", finding->mend);
}

/* Runs the checks that are the account's. Returns a list of findings for each check. */
static char *run_by_account(void *data, GError **error)
{
    (void)error;
    g_autoptr(JsonValue) all = json_array();
    for (size_t i = 0; i < G_N_ELEMENTS(checks); i++) {
        g_autoptr(GPtrArray) findings = findings_new();
        Doctor doctor = *(const Doctor *)data;
        json_t *found = json_array();
        doctor.findings = findings;
        if (checks[i].by_account)
            checks[i].run(&doctor);
        for (guint j = 0; j < findings->len; j++)
            json_array_append_new(found, finding_value(findings->pdata[j]));
        json_array_append_new(all, found);
    }
    return json_dumps(all, JSON_COMPACT);
}

static void add_findings(Doctor *doctor, json_t *found)
{
    size_t i;
    json_t *value;
    json_array_foreach(found, i, value)
    {
        Level level = (Level)CLAMP(json_get_integer(value, "level", LEVEL_BROKEN), LEVEL_OK, LEVEL_BROKEN);
        const char *part = g_intern_string(json_get_text(value, "part", ""));
        doctor_note(doctor, level, part, json_get_text(value, "mend", ""), "%s", json_get_text(value, "text", ""));
    }
}

/* All checks, in their order. */
static void run_all(Doctor *doctor)
{
    g_autoptr(GError) cause = NULL;
    AccountWork work = {.run = run_by_account, .data = doctor};
    g_autofree char *text = account_run(doctor->settings->service_user, &work, &cause);
    g_autoptr(JsonValue) by_account = text ? json_loads(text, 0, NULL) : NULL;
    if (!by_account)
        doctor_note(doctor, LEVEL_BROKEN, "account", "", "%s", cause ? cause->message : "");
    for (size_t i = 0; i < G_N_ELEMENTS(checks); i++) {
        if (checks[i].by_account)
            add_findings(doctor, json_array_get(by_account, i));
        else
            checks[i].run(doctor);
    }
}

static void print_table(const GPtrArray *findings)
{
    g_autoptr(Table) table = table_new("Level", "Part", "What was found", "To mend it", NULL);
    for (guint i = 0; i < findings->len; i++) {
        const Finding *finding = findings->pdata[i];
        table_add(table, levels[finding->level].colour, levels[finding->level].name, finding->part, finding->text,
                  finding->mend);
    }
    table_print(table);
}

static void print_json(const GPtrArray *findings)
{
    json_t *list = json_array();
    for (guint i = 0; i < findings->len; i++) {
        const Finding *finding = findings->pdata[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "level", levels[finding->level].name, "part",
                                              finding->part, "text", finding->text, "mend", finding->mend));
    }
    output_json(list);
}

static guint count_broken(const GPtrArray *findings)
{
    guint count = 0;
    for (guint i = 0; i < findings->len; i++)
        count += ((const Finding *)findings->pdata[i])->level == LEVEL_BROKEN;
    return count;
}

/* All the rest goes by the settings. */
static void run_checks(Doctor *doctor, const GError *trouble)
{
    const char *file = settings_default_file();
    if (trouble)
        doctor_note(doctor, LEVEL_BROKEN, "settings",
                    g_str_has_prefix(trouble->message, file) ? "qwdctl edit config" : "",
                    "%s Nothing else was looked at.", trouble->message);
    if (!trouble && find_account(doctor))
        run_all(doctor);
}

bool command_doctor(Arguments *arguments, GError **error)
{
    Doctor doctor = {.settings = arguments->settings, .findings = findings_new()};
    run_checks(&doctor, arguments->trouble);
    g_autoptr(GPtrArray) findings = doctor.findings;
    if (command_option(arguments, "--json"))
        print_json(findings);
    else
        print_table(findings);
    guint broken = count_broken(findings);
    return !broken || qwd_error_fail(error, QWD_ERROR_INTERNAL, "%u part%s of the service %s broken.", broken,
                                     broken == 1 ? "" : "s", broken == 1 ? "is" : "are");
}
