/* SPDX-License-Identifier: AGPL-3.0-or-later
 * qwdctl gpu VENDOR:MODEL and gpu-unlock: a Debian server whose kernel gives cards of a model to vfio-pci at its start,
 * and whose service account may use them. */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "base/process.h"
#include "base/sysroot.h"
#include "ctl/commands.h"
#include "ctl/consent.h"
#include "ctl/hostfiles.h"
#include "vm/gpu.h"

#define FOLDER QWD_SYSCONFDIR "/gpu"
#define COMMAND_DEADLINE_MS (15 * 60 * 1000)
#define MADE_BY "# Made by `qwdctl gpu`. `qwdctl gpu-unlock` takes it away.\n"

/* --- what the files shall hold --- */

typedef struct {
    const char *root;
    const HostFiles *files;
    char **ids;    /* models for vfio-pci */
    char **before; /* modules that must wait for vfio-pci */
    char *account, *group;
} Wish;

/* The kernel's options for the IOMMU by processor; AMD's is on where the BIOS offers it. */
static const struct {
    const char *vendor, *options;
} iommu_options[] = {{"GenuineIntel", "intel_iommu=on iommu=pt"}, {"AuthenticAMD", "iommu=pt"}};

static char *boot_text(const Wish *wish)
{
    g_autofree char *path = g_strconcat(wish->root, "/proc/cpuinfo", NULL), *text = NULL;
    g_file_get_contents(path, &text, NULL, NULL);
    for (size_t i = 0; text && i < G_N_ELEMENTS(iommu_options); i++) {
        if (strstr(text, iommu_options[i].vendor))
            return g_strdup_printf(MADE_BY "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT %s\"\n",
                                   iommu_options[i].options);
    }
    return NULL;
}

static char *modprobe_text(const Wish *wish)
{
    g_autofree char *ids = g_strjoinv(",", wish->ids);
    GString *text = g_string_new(MADE_BY);
    g_string_append_printf(text, "options vfio-pci ids=%s\n", ids);
    for (char **module = wish->before; *module; module++)
        g_string_append_printf(text, "softdep %s pre: vfio-pci\n", *module);
    return g_string_free(text, FALSE);
}

/* This one belongs to the administrator, and gets lines at its end. */
static char *initramfs_text(const Wish *wish)
{
    g_autofree char *original = hostfiles_original(wish->files, "/etc/initramfs-tools/modules");
    bool needs_end = original && *original && !g_str_has_suffix(original, "\n");
    return g_strconcat(original ? original : "", needs_end ? "\n" : "", MADE_BY, "vfio\nvfio_iommu_type1\nvfio_pci\n",
                       NULL);
}

static char *udev_text(const Wish *wish)
{
    return g_strdup_printf(MADE_BY "SUBSYSTEM==\"vfio\", GROUP=\"%s\", MODE=\"0660\"\n", wish->group);
}

static char *limits_text(const Wish *wish)
{
    return g_strdup_printf(MADE_BY "%s - memlock unlimited\n", wish->account);
}

static char *unit_text(const Wish *wish)
{
    static const char *const places[] = {"/etc/systemd/system/", "/lib/systemd/system/", "/usr/lib/systemd/system/"};
    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        g_autofree char *unit = g_strconcat(wish->root, places[i], "apache2.service", NULL);
        if (g_file_test(unit, G_FILE_TEST_EXISTS))
            return g_strdup(MADE_BY "[Service]\nLimitMEMLOCK=infinity\n");
    }
    return NULL;
}

/* A text of NULL: this server has no use for the file. */
static const struct {
    const char *path;
    char *(*text)(const Wish *wish);
} host_files[] = {
    {"/etc/default/grub.d/qemu-web-desktop-gpu.cfg", boot_text},
    {"/etc/modprobe.d/qemu-web-desktop-gpu.conf", modprobe_text},
    {"/etc/initramfs-tools/modules", initramfs_text},
    {"/etc/udev/rules.d/60-qemu-web-desktop-gpu.rules", udev_text},
    {"/etc/security/limits.d/qemu-web-desktop-gpu.conf", limits_text},
    {"/etc/systemd/system/apache2.service.d/qemu-web-desktop-gpu.conf", unit_text},
};

/* --- which models, which drivers --- */

/* Drivers of the host that would take a function before vfio-pci does. */
static const struct {
    guint class; /* base class */
    const char *vendor;
    const char *modules;
} rivals[] = {
    {0x03, "10de", "nouveau nvidia"}, {0x03, "1002", "amdgpu radeon"},       {0x03, "8086", "i915 xe"},
    {0x04, "", "snd_hda_intel"},      {0x0c, "", "xhci_pci i2c_nvidia_gpu"},
};

static void add_once(GPtrArray *words, const char *word)
{
    if (!g_ptr_array_find_with_equal_func(words, word, g_str_equal, NULL))
        g_ptr_array_add(words, g_strdup(word));
}

static void add_rivals(GPtrArray *modules, const PciFunction *function)
{
    for (size_t i = 0; i < G_N_ELEMENTS(rivals); i++) {
        if (rivals[i].class != function->class >> 16 || !g_str_has_prefix(function->model, rivals[i].vendor))
            continue;
        g_auto(GStrv) words = g_strsplit(rivals[i].modules, " ", -1);
        for (char **word = words; *word; word++)
            add_once(modules, *word);
    }
}

static bool is_wanted(const char *name, const json_t *models)
{
    size_t i;
    json_t *model;
    json_array_foreach((json_t *)models, i, model)
    {
        if (g_strcmp0(name, json_string_value(model)) == 0)
            return true;
    }
    return false;
}

/* Whether a function belongs to a card of one of the models. */
static bool goes_along(const PciFunction *function, const GPtrArray *functions, const json_t *models)
{
    for (guint i = 0; i < functions->len && !pci_is_bridge(function); i++) {
        const PciFunction *other = functions->pdata[i];
        if (gpu_same_device(other->address, function->address) && is_wanted(other->model, models))
            return true;
    }
    return false;
}

static char **take_words(GPtrArray *words)
{
    g_ptr_array_add(words, NULL);
    return (char **)g_ptr_array_free(words, FALSE);
}

static void choose_models(Wish *wish, const GPtrArray *functions, const json_t *models)
{
    GPtrArray *ids = g_ptr_array_new(), *modules = g_ptr_array_new();
    size_t n;
    json_t *model;
    json_array_foreach((json_t *)models, n, model) add_once(ids, json_string_value(model));
    for (guint i = 0; i < functions->len; i++) {
        const PciFunction *function = functions->pdata[i];
        if (!goes_along(function, functions, models))
            continue;
        add_once(ids, function->model);
        add_rivals(modules, function);
    }
    wish->ids = take_words(ids);
    wish->before = take_words(modules);
}

/* --- what the administrator should know first --- */

static void warn_of_neighbours(const Gpu *gpu)
{
    for (guint i = 0; i < gpu->members->len; i++) {
        const PciFunction *member = gpu->members->pdata[i];
        if (!gpu_same_device(member->address, gpu->self.address) && !pci_has_vfio_driver(member))
            printf(
                "Note: %s is in one IOMMU group with %s %s (driver %s). Sessions get a group whole or not at all: move "
                "one of the two cards to another slot.\n",
                gpu->self.address, member->address, member->name, *member->driver ? member->driver : "none");
    }
}

static void warn(const GPtrArray *gpus, const char *model)
{
    for (guint i = 0; i < gpus->len; i++) {
        const Gpu *gpu = gpus->pdata[i];
        if (gpu->is_mediated || !g_str_equal(gpu->self.model, model))
            continue;
        printf("For sessions: %s  %s  %s\n", gpu->self.address, gpu->self.model, gpu->self.name);
        if (gpu->is_boot_display)
            printf("Note: %s shows this server's own console, which stays dark from then on.\n", gpu->self.address);
        if (!*gpu->group)
            printf("Note: the IOMMU is off now. The BIOS must have it on as well (VT-d, AMD-Vi).\n");
        warn_of_neighbours(gpu);
    }
}

/* Binding goes by model: others of a companion's model are bound as well. */
static void warn_of_twins(const GPtrArray *functions, const Wish *wish, const json_t *models)
{
    for (guint i = 0; i < functions->len; i++) {
        const PciFunction *function = functions->pdata[i];
        if (g_strv_contains((const char *const *)wish->ids, function->model) &&
            !goes_along(function, functions, models))
            printf("Note: %s %s has the model %s as well: the server cannot use it any more.\n", function->address,
                   function->name, function->model);
    }
}

/* --- asking and doing --- */

static bool agree(const Arguments *arguments, GError **error)
{
    return consent_ask(&(Consent){.question = "Make these changes?",
                                  .refusal = "Nothing was changed. To make these changes, add --yes to the command.",
                                  .given = command_option(arguments, "--yes")},
                       error);
}

static const char *const host_commands[][5] = {{"/usr/sbin/update-initramfs", "-u", "-k", "all", NULL},
                                               {"/usr/sbin/update-grub", NULL}};

static void print_host_commands(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(host_commands); i++) {
        g_autofree char *line = g_strjoinv(" ", (char **)host_commands[i]);
        printf("%s %s\n", i == 0 ? "And then:" : "         ", line);
    }
}

/* What reads the files at the next start. A server without one of them has another boot loader. */
static bool run_host_commands(GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(host_commands); i++) {
        const char *argv[G_N_ELEMENTS(host_commands[0])];
        memcpy(argv, host_commands[i], sizeof argv);
        g_autofree char *program = sysroot_path(argv[0]);
        argv[0] = program;
        if (access(program, X_OK) < 0) {
            printf("There is no %s here: do what it does in your system's own way, see GPU.md.\n", host_commands[i][0]);
            continue;
        }
        g_auto(ProcessResult) result = {0};
        printf("Running %s ...\n", host_commands[i][0]);
        fflush(stdout);
        if (!process_run_checked(argv, COMMAND_DEADLINE_MS, &result, error)) {
            g_prefix_error(error, "The files are written, and then: ");
            return false;
        }
    }
    return true;
}

/* "pending" holds until the commands have succeeded. Nothing to do is fine. */
static bool change(const Arguments *arguments, HostFiles *files, GPtrArray *list, GError **error)
{
    hostfiles_drop_unchanged(list);
    if (!command_option(arguments, "--force") && !hostfiles_check(files, list, error))
        return false;
    hostfiles_print(list);
    print_host_commands();
    if (!agree(arguments, error))
        return false;
    json_object_set_new(files->record, "pending", json_true());
    return hostfiles_write(files, list, error) && run_host_commands(error);
}

static bool check_root(GError **error)
{
    g_autofree char *etc = sysroot_path("/etc");
    return access(etc, W_OK) == 0 ||
           qwd_error_fail(error, QWD_ERROR_DENIED, "This changes the server's configuration: run it as root.");
}

static bool find_account(Wish *wish, const char *name, GError **error)
{
    const struct passwd *account = getpwnam(name);
    const struct group *group = account ? getgrgid(account->pw_gid) : NULL;
    if (!group)
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "There is no account %s here. See the setting service_user.",
                              name);
    wish->account = g_strdup(name);
    wish->group = g_strdup(group->gr_name);
    return true;
}

static void wish_clear(Wish *wish)
{
    g_strfreev(wish->ids);
    g_strfreev(wish->before);
    g_free(wish->account);
    g_free(wish->group);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Wish, wish_clear)

/* The models prepared before, and this one. */
static json_t *add_model(const HostFiles *files, const char *model)
{
    json_t *models = json_object_get(files->record, "models");
    json_t *all = models ? json_copy(models) : json_array();
    if (!is_wanted(model, all))
        json_array_append_new(all, json_string(model));
    return all;
}

static GPtrArray *make_list(const Wish *wish)
{
    GPtrArray *list = hostfile_list_new();
    for (size_t i = 0; i < G_N_ELEMENTS(host_files); i++) {
        char *text = host_files[i].text(wish);
        if (text)
            hostfile_list_add(list, host_files[i].path, text);
    }
    return list;
}

static bool prepare(const Arguments *arguments, HostFiles *files, const char *model, GError **error)
{
    g_autoptr(JsonValue) models = add_model(files, model);
    g_autoptr(GPtrArray) functions = pci_functions_read(sysroot());
    g_auto(Wish) wish = {.root = sysroot(), .files = files};
    if (!find_account(&wish, arguments->settings->service_user, error))
        return false;
    choose_models(&wish, functions, models);
    pci_names_find(sysroot(), functions);
    warn_of_twins(functions, &wish, models);
    g_autoptr(GPtrArray) list = make_list(&wish), rest = make_list(&wish);
    hostfiles_drop_unchanged(rest);
    if (!rest->len && !json_get_bool(files->record, "pending", false)) {
        printf("This server is prepared already: nothing to change.\n");
        return true;
    }
    json_object_set(files->record, "models", models);
    if (!change(arguments, files, list, error))
        return false;
    json_object_del(files->record, "pending");
    printf("Restart the server now. Then `qwdctl gpu` shows the card as free.\n");
    return hostfiles_save(files, error);
}

bool gpu_prepare(const Arguments *arguments, const char *word, GError **error)
{
    g_autofree char *model = g_ascii_strdown(word, -1);
    if (!gpu_is_model(model))
        return qwd_error_fail(error, QWD_ERROR_USAGE,
                              "%s is not VENDOR:MODEL, such as 10de:1eb8. `qwdctl gpu` lists them.", word);
    g_autoptr(GPtrArray) gpus = check_root(error) ? gpus_read(sysroot(), NULL, error) : NULL;
    bool found = false;
    for (guint i = 0; gpus && i < gpus->len; i++) {
        const Gpu *gpu = gpus->pdata[i];
        found = found || (!gpu->is_mediated && g_str_equal(gpu->self.model, model));
    }
    if (!gpus)
        return false;
    if (!found)
        return qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "This server has no GPU of the model %s. See: qwdctl gpu",
                              model);
    gpus_find_names(gpus, sysroot());
    warn(gpus, model);
    g_auto(HostFiles) files = {0};
    return hostfiles_open(&files, FOLDER, error) && prepare(arguments, &files, model, error);
}

bool command_gpu_unlock(Arguments *arguments, GError **error)
{
    g_auto(HostFiles) files = {0};
    if (!check_root(error) || !hostfiles_open(&files, FOLDER, error))
        return false;
    g_autoptr(GPtrArray) list = hostfiles_originals(&files, error);
    if (!list)
        return false;
    if (!list->len) {
        printf("This server is not prepared for GPUs: nothing to undo.\n");
        return true;
    }
    if (!change(arguments, &files, list, error) || !hostfiles_forget(&files, error))
        return false;
    printf("Restart the server now. The cards are its own again then.\n");
    return true;
}
