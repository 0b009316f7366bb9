/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "ctl/doctor.h"

#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "ctl/commands.h"
#include "ctl/output.h"

#define GROUPS_MAX 256

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

void doctor_note(Doctor *doctor, Level level, const char *part, const char *mend, const char *format, ...)
{
    Finding *finding = g_new0(Finding, 1);
    va_list args;
    va_start(args, format);
    *finding = (Finding){level, part, g_strdup_vprintf(format, args), g_strdup(mend)};
    va_end(args);
    g_ptr_array_add(doctor->findings, finding);
}

/* --- the service account --- */

static bool is_in_group(const ServiceAccount *account, gid_t group)
{
    for (int i = 0; i < account->group_count; i++) {
        if (account->groups[i] == group)
            return true;
    }
    return false;
}

bool doctor_account_may(const Doctor *doctor, const char *path, int wanted)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return false;
    int shift = st.st_uid == doctor->account.uid ? 6 : is_in_group(&doctor->account, st.st_gid) ? 3 : 0;
    return ((int)(st.st_mode >> shift) & wanted) == wanted;
}

char *doctor_closed_folder(const Doctor *doctor, const char *path)
{
    g_autofree char *parent = g_path_get_dirname(path);
    char *closed = g_str_equal(parent, path) ? NULL : doctor_closed_folder(doctor, parent);
    return closed || doctor_account_may(doctor, parent, 1) ? closed : g_steal_pointer(&parent);
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
    account->groups = g_new0(gid_t, GROUPS_MAX);
    account->group_count = GROUPS_MAX;
    if (getgrouplist(account->name, entry->pw_gid, account->groups, &account->group_count) < 0)
        account->group_count = 0;
    doctor_note(doctor, LEVEL_OK, "account", "", "The service runs as %s.", account->name);
    return true;
}

/* --- all checks --- */

static void (*const checks[])(Doctor *) = {
    doctor_check_settings, doctor_check_accelerator, doctor_check_programs, doctor_check_network,  doctor_check_folders,
    doctor_check_sockets,  doctor_check_disk,        doctor_check_machines, doctor_check_looks,    doctor_check_login,
    doctor_check_secrets,  doctor_check_apache,      doctor_check_clock,    doctor_check_cleaning,
};

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
    bool has_account = !trouble && find_account(doctor);
    for (size_t i = 0; has_account && i < G_N_ELEMENTS(checks); i++)
        checks[i](doctor);
}

bool command_doctor(Arguments *arguments, GError **error)
{
    g_autoptr(GPtrArray) findings = g_ptr_array_new_with_free_func((GDestroyNotify)finding_free);
    Doctor doctor = {.settings = arguments->settings, .findings = findings};
    run_checks(&doctor, arguments->trouble);
    g_free(doctor.account.groups);
    if (command_option(arguments, "--json"))
        print_json(findings);
    else
        print_table(findings);
    guint broken = count_broken(findings);
    return !broken || qwd_error_fail(error, QWD_ERROR_INTERNAL, "%u part%s of the service %s broken.", broken,
                                     broken == 1 ? "" : "s", broken == 1 ? "is" : "are");
}
