/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What the server has: accelerator, programs, network, Apache, clock. */
#include <string.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "base/sysroot.h"
#include "core/host.h"
#include "ctl/doctor.h"
#include "vm/accelerator.h"
#include "vm/network.h"
#include "vm/qemu.h"

static bool is_program(const char *name)
{
    g_autofree char *path = g_find_program_in_path(name);
    return path != NULL;
}

/* --- accelerator --- */

static void check_kvm_device(Doctor *doctor)
{
    const char *part = "accelerator", *user = doctor->account.name;
    g_autofree char *mend = g_strdup_printf("adduser %s kvm", user);
    if (access("/dev/kvm", F_OK) < 0)
        doctor_note(doctor, LEVEL_WARNING, part, "modprobe kvm_intel || modprobe kvm_amd",
                    "There is no /dev/kvm: machines are emulated, which is slow.");
    else if (access("/dev/kvm", R_OK | W_OK) < 0)
        doctor_note(doctor, LEVEL_WARNING, part, mend, "%s may not use /dev/kvm: machines are emulated, which is slow.",
                    user);
    else
        doctor_note(doctor, LEVEL_OK, part, "", "%s may use /dev/kvm.", user);
}

static const char *qemu_of(const Settings *settings, const char *arch)
{
    const char *found = qemu_program(arch);
    return *settings->qemu_exec ? settings->qemu_exec : found ? found : "qemu-system-x86_64";
}

/* helpers/confine.c */
static void check_confinement(Doctor *doctor)
{
    if (!doctor->settings->qemu_confine)
        doctor_note(doctor, LEVEL_WARNING, "QEMU", "qwdctl edit config",
                    "qemu_confine = no: a guest that breaks out of QEMU has all sessions.");
    else if (sandbox_version() < 1)
        doctor_note(
            doctor, LEVEL_WARNING, "QEMU", "",
            "This kernel has no Landlock: a guest that breaks out of QEMU can read and change the files of all "
            "sessions. Debian's kernels have it; look whether lsm= on the kernel's command line leaves it out.");
    else
        doctor_note(doctor, LEVEL_OK, "QEMU", "", "A guest that breaks out of QEMU has its own session alone.");
}

void doctor_check_accelerator(Doctor *doctor)
{
    const Settings *settings = doctor->settings;
    g_auto(Accelerator) accelerator = {0};
    if (!g_str_equal(settings->accel, "tcg"))
        check_kvm_device(doctor);
    if (!accelerator_recall_own(settings, &accelerator))
        doctor_note(doctor, LEVEL_OK, "accelerator", "", "Not tried yet: the first session finds out.");
    else
        doctor_note(doctor, g_str_equal(accelerator.name, "tcg") ? LEVEL_WARNING : LEVEL_OK, "accelerator", "", "%s",
                    accelerator.note);
}

/* --- programs --- */

static void check_program(Doctor *doctor, const char *name, const char *part, const char *package)
{
    g_autofree char *mend = g_strdup_printf("apt install %s", package);
    if (is_program(name))
        doctor_note(doctor, LEVEL_OK, part, "", "%s is there.", name);
    else
        doctor_note(doctor, LEVEL_BROKEN, part, mend, "%s is not there.", name);
}

void doctor_check_programs(Doctor *doctor)
{
    const Settings *settings = doctor->settings;
    g_auto(Host) host = {0};
    host_read(&host);
    bool is_arm = g_str_equal(host.arch, "aarch64");
    g_autofree char *page = g_build_filename(settings->dir_novnc, "vnc.html", NULL);
    g_autofree char *session = g_build_filename(settings->dir_lib, "qwd-session", NULL);
    check_program(doctor, qemu_of(settings, host.arch), "QEMU", is_arm ? "qemu-system-arm" : "qemu-system-x86");
    check_program(doctor, "qemu-img", "QEMU", "qemu-utils");
    check_confinement(doctor);
    check_program(doctor, settings->dir_websockify, "display", "websockify");
    check_program(doctor, session, "service", "--reinstall qemu-web-desktop");
    if (access(page, R_OK) == 0)
        doctor_note(doctor, LEVEL_OK, "display", "", "noVNC is in %s.", settings->dir_novnc);
    else
        doctor_note(doctor, LEVEL_BROKEN, "display", "apt install novnc", "noVNC is not in %s (dir_novnc).",
                    settings->dir_novnc);
}

/* --- network --- */

static void note_reach(Doctor *doctor)
{
    const Settings *settings = doctor->settings;
    doctor_note(doctor, LEVEL_OK, "network", "", "Machines reach other hosts but these networks: %s%s%s.",
                *settings->network_deny ? settings->network_deny : "none",
                *settings->network_allow ? "; although allowed: " : "", settings->network_allow);
}

static void note_names(Doctor *doctor)
{
    g_auto(NameServers) servers = {0};
    name_servers_find(doctor->settings->network_dns, &servers);
    if (servers.forward)
        doctor_note(doctor, LEVEL_OK, "network", "", "Machines ask this server's own resolver for names.");
    else if (!servers.addresses->len)
        doctor_note(doctor, LEVEL_WARNING, "network", "qwdctl edit config",
                    "Machines find no names: this server has no name server that they could reach. Set network_dns.");
}

/* As sessions do, so that whatever forbids it is found here. */
static void try_passt(Doctor *doctor, bool is_needed)
{
    g_auto(Network) network = {0};
    g_autoptr(GError) cause = NULL;
    g_autofree char *filter = g_build_filename(doctor->settings->dir_lib, "qwd-net-filter", NULL);
    NetworkOptions options = {.wish = "passt", .filter = filter, .rules = "", .name_servers = ""};
    if (!network_open(&options, &network, &cause)) {
        doctor_note(doctor, is_needed ? LEVEL_BROKEN : LEVEL_WARNING, "network", "", "Machines %s: %s",
                    is_needed ? "do not start" : "have no network", cause->message);
        return;
    }
    doctor_note(doctor, LEVEL_OK, "network", "", "passt starts.");
    note_reach(doctor);
    note_names(doctor);
}

void doctor_check_network(Doctor *doctor)
{
    const char *wish = doctor->settings->network;
    bool wants_passt = g_str_equal(wish, "passt"), may_passt = wants_passt || g_str_equal(wish, "auto");
    if (!may_passt)
        doctor_note(doctor, LEVEL_OK, "network", "", "network = %s: machines reach nothing.", wish);
    else if (is_program("passt"))
        try_passt(doctor, wants_passt);
    else
        doctor_note(doctor, wants_passt ? LEVEL_BROKEN : LEVEL_WARNING, "network", "apt install passt",
                    "passt is not there: machines %s.", wants_passt ? "do not start" : "have no network");
}

/* --- Apache --- */

static const char *apache_folder(void)
{
    const char *folder = g_getenv("APACHE_CONFDIR");
    return folder && *folder ? folder : "/etc/apache2";
}

static bool is_enabled(const char *kind, const char *name)
{
    g_autofree char *path = g_strdup_printf("%s/%s-enabled/%s", apache_folder(), kind, name);
    return access(path, F_OK) == 0;
}

static char *missing_modules(void)
{
    static const char *const modules[] = {"alias", "proxy", "proxy_http", "proxy_wstunnel", "headers", "setenvif"};
    GString *missing = g_string_new(NULL);
    if (!is_enabled("mods", "cgid.load") && !is_enabled("mods", "cgi.load"))
        g_string_append(missing, is_enabled("mods", "mpm_prefork.load") ? " cgi" : " cgid");
    for (size_t i = 0; i < G_N_ELEMENTS(modules); i++) {
        g_autofree char *file = g_strconcat(modules[i], ".load", NULL);
        if (!is_enabled("mods", file))
            g_string_append_printf(missing, " %s", modules[i]);
    }
    return g_string_free(missing, FALSE);
}

static bool has_line(const char *path, const char *line)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = g_file_get_contents(path, &text, NULL, NULL) ? g_strsplit(text, "\n", -1) : NULL;
    return lines && g_strv_contains((const char *const *)lines, line);
}

/* The first file of a folder with a log that shows addresses as they come; NULL when there is none. Free with g_free.
 */
static char *find_log(const char *folder)
{
    g_autofree char *path = g_strdup_printf("%s/%s-enabled", apache_folder(), folder);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    g_autoptr(GRegex) regex = g_regex_new("^\\s*(CustomLog|GlobalLog|TransferLog)\\s(?!.*env=)",
                                          G_REGEX_CASELESS | G_REGEX_MULTILINE, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *file = g_build_filename(path, name, NULL), *text = NULL;
        if (g_str_has_suffix(name, ".conf") && g_file_get_contents(file, &text, NULL, NULL) &&
            g_regex_match(regex, text, 0, NULL))
            return g_steal_pointer(&file);
    }
    return NULL;
}

/* The token of a display is a key to it. */
static void check_apache_logs(Doctor *doctor)
{
    const char *part = "Apache";
    char *of_sites = find_log("sites");
    g_autofree char *file = of_sites ? of_sites : find_log("conf");
    if (!is_enabled("mods", "rewrite.load"))
        doctor_note(doctor, LEVEL_WARNING, part, "a2enmod rewrite && systemctl restart apache2",
                    "Without mod_rewrite the tokens of displays are in addresses, which logs show.");
    else if (file)
        doctor_note(doctor, LEVEL_OK, part, "",
                    "The logs of %s show whole addresses. The viewer has no token in its own; noVNC's page has.", file);
    else
        doctor_note(doctor, LEVEL_OK, part, "", "No log shows the token of a display.");
}

/* Whether a drop-in of Apache's unit leaves alone what its CGI programs have started. */
static bool spares_sessions(void)
{
    static const char *const folders[] = {"/etc/systemd/system", "/usr/local/lib/systemd/system",
                                          "/lib/systemd/system"};
    bool spares = false;
    for (size_t i = 0; i < G_N_ELEMENTS(folders); i++) {
        g_autofree char *below = g_strconcat(folders[i], "/apache2.service.d", NULL);
        g_autofree char *folder = sysroot_path(below);
        g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
        for (const char *name; dir && (name = g_dir_read_name(dir));) {
            g_autofree char *path = g_build_filename(folder, name, NULL);
            spares = spares || has_line(path, "KillMode=process");
        }
    }
    return spares;
}

static void check_apache_unit(Doctor *doctor)
{
    g_autofree char *systemd = sysroot_path("/run/systemd/system");
    if (access(systemd, F_OK) < 0)
        return;
    if (spares_sessions())
        doctor_note(doctor, LEVEL_OK, "Apache", "", "A restart of it ends no session.");
    else
        doctor_note(doctor, LEVEL_WARNING, "Apache", "systemctl edit apache2",
                    "A restart of it ends all sessions: [Service] of its unit needs KillMode=process.");
}

void doctor_check_apache(Doctor *doctor)
{
    const char *part = "Apache";
    if (access(apache_folder(), F_OK) < 0) {
        doctor_note(doctor, LEVEL_OK, part, "", "It is not installed; qwd-server can serve the pages.");
        return;
    }
    if (!is_enabled("conf", "qemu-web-desktop.conf")) {
        doctor_note(doctor, LEVEL_WARNING, part, "a2enconf qemu-web-desktop && systemctl reload apache2",
                    "It does not serve the pages.");
        return;
    }
    check_apache_unit(doctor);
    check_apache_logs(doctor);
    g_autofree char *missing = missing_modules();
    g_autofree char *mend = g_strdup_printf("a2enmod%s && systemctl restart apache2", missing);
    if (*missing)
        doctor_note(doctor, LEVEL_BROKEN, part, mend, "Modules are not enabled:%s.", missing);
    else
        doctor_note(doctor, LEVEL_OK, part, "", "Its modules and its configuration are enabled.");
}

/* --- clock --- */

/* One-time codes, certificates and life-times of links depend on it. */
void doctor_check_clock(Doctor *doctor)
{
    struct timex state = {.modes = 0};
    int result = adjtimex(&state);
    if (result == TIME_ERROR || (state.status & STA_UNSYNC))
        doctor_note(doctor, LEVEL_WARNING, "clock", "apt install systemd-timesyncd && timedatectl set-ntp true",
                    "It is not synchronised.");
    else
        doctor_note(doctor, LEVEL_OK, "clock", "", "It is synchronised.");
}

/* --- cleaning --- */

void doctor_check_cleaning(Doctor *doctor)
{
    static const char timer[] = "/etc/systemd/system/timers.target.wants/qemu-web-desktop-clean.timer";
    bool has_systemd = access("/run/systemd/system", F_OK) == 0;
    bool is_called = access(timer, F_OK) == 0 ||
                     (!has_systemd && access("/etc/cron.d/qemu-web-desktop", F_OK) == 0 && is_program("cron"));
    if (is_called)
        doctor_note(doctor, LEVEL_OK, "cleaning", "", "qwdctl clean is called regularly.");
    else
        doctor_note(doctor, LEVEL_WARNING, "cleaning",
                    has_systemd ? "systemctl enable --now qemu-web-desktop-clean.timer" : "apt install cron",
                    "Nobody calls qwdctl clean: what killed sessions leave stays.");
}
