/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/gpu.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

#define ATTRIBUTE_MAX_BYTES 65536

/* PCI class codes, see the PCI Code and ID Assignment Specification: base class, and two kinds of bridges. */
#define CLASS_BASE_DISPLAY 0x03
#define CLASS_BASE_BRIDGE 0x06
#define CLASS_BRIDGE_PCI 0x0604
#define CLASS_BRIDGE_CARDBUS 0x0607

/* --- texts from sysfs --- */

static bool is_hex(const char *text, size_t length)
{
    size_t i = 0;
    while (i < length && g_ascii_isxdigit(text[i]))
        i++;
    return i == length;
}

bool gpu_is_address(const char *text)
{
    const char *colon = strchr(text, ':');
    size_t domain = colon ? (size_t)(colon - text) : 0;
    return domain >= 4 && domain <= 8 && is_hex(text, domain) && strlen(colon) == strlen(":01:00.0") &&
           is_hex(colon + 1, 2) && colon[3] == ':' && is_hex(colon + 4, 2) && colon[6] == '.' && colon[7] >= '0' &&
           colon[7] <= '7';
}

bool gpu_is_model(const char *text)
{
    return strlen(text) == strlen("10de:1eb8") && is_hex(text, 4) && text[4] == ':' && is_hex(text + 5, 4);
}

bool gpu_same_device(const char *a, const char *b)
{
    const char *dot = strchr(a, '.');
    return dot && strncmp(a, b, (size_t)(dot - a) + 1) == 0;
}

/* A line of text; "" when there is none. */
static char *read_attribute(const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autofree char *text = file_read(path, ATTRIBUTE_MAX_BYTES, NULL, NULL);
    char *line = g_utf8_make_valid(text ? text : "", -1);
    g_strstrip(line);
    text_flatten(line);
    return line;
}

/* The last part of what a symbolic link points to, which is not followed; "" when there is none. */
static char *read_link_name(const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autofree char *target = g_file_read_link(path, NULL);
    g_autofree char *last = g_path_get_basename(target ? target : "");
    char *text = g_utf8_make_valid(target ? last : "", -1);
    text_flatten(text);
    return text;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a folder, sorted; NULL when it cannot be read. */
static GPtrArray *read_names(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    if (!dir)
        return NULL;
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    for (const char *name; (name = g_dir_read_name(dir));)
        g_ptr_array_add(names, g_strdup(name));
    g_ptr_array_sort(names, compare_names);
    return names;
}

/* --- functions --- */

static void function_clear(PciFunction *function)
{
    g_free(function->address);
    g_free(function->model);
    g_free(function->driver);
    g_free(function->name);
}

static void function_free(void *data)
{
    function_clear(data);
    g_free(data);
}

static char *function_folder(const char *root, const char *address)
{
    return g_strconcat(root, "/sys/bus/pci/devices/", address, NULL);
}

static bool read_model(const char *folder, char **model)
{
    g_autofree char *vendor = read_attribute(folder, "vendor"), *device = read_attribute(folder, "device");
    bool good = g_str_has_prefix(vendor, "0x") && g_str_has_prefix(device, "0x");
    g_autofree char *both = good ? g_strconcat(vendor + 2, ":", device + 2, NULL) : NULL;
    if (!both || !gpu_is_model(both))
        return false;
    *model = g_ascii_strdown(both, -1);
    return true;
}

/* False when the kernel does not tell what it is. */
static bool read_function(const char *root, const char *address, PciFunction *function)
{
    g_autofree char *folder = function_folder(root, address), *class = read_attribute(folder, "class");
    if (!g_str_has_prefix(class, "0x") || strlen(class) != strlen("0x030000") || !is_hex(class + 2, 6) ||
        !read_model(folder, &function->model))
        return false;
    function->class = (guint)g_ascii_strtoull(class + 2, NULL, 16);
    function->address = g_strdup(address);
    function->driver = read_link_name(folder, "driver");
    function->name = g_strdup("");
    return true;
}

static bool is_display(const PciFunction *function)
{
    return function->class >> 16 == CLASS_BASE_DISPLAY;
}

bool pci_is_bridge(const PciFunction *function)
{
    return function->class >> 16 == CLASS_BASE_BRIDGE;
}

/* Variants for certain devices are called "nvgrace-gpu-vfio-pci", "mlx5_vfio_pci". */
bool pci_has_vfio_driver(const PciFunction *function)
{
    return g_str_has_suffix(function->driver, "vfio-pci") || g_str_has_suffix(function->driver, "vfio_pci");
}

/* Whether a function keeps the group from being used: the kernel lets bridges between buses stay as they are. */
static bool is_in_the_way(const PciFunction *function)
{
    guint kind = function->class >> 8;
    if (kind == CLASS_BRIDGE_PCI || kind == CLASS_BRIDGE_CARDBUS)
        return false;
    return pci_is_bridge(function) ? *function->driver && !pci_has_vfio_driver(function)
                                   : !pci_has_vfio_driver(function);
}

/* --- what keeps a GPU from sessions --- */

static char *uses_text(const PciFunction *function)
{
    return *function->driver ? g_strdup_printf("the host uses it with the driver %s", function->driver)
                             : g_strdup("it has no driver, and needs vfio-pci");
}

static char *group_obstacle(const PciFunction *function)
{
    g_autofree char *use = uses_text(function);
    return g_strdup_printf("%s is in the same IOMMU group: %s.", function->address, use);
}

/* Reads the group's functions into gpu->members; NULL, or what is wrong with them. */
static char *read_group(const char *root, Gpu *gpu)
{
    g_autofree char *folder = g_strconcat(root, "/sys/kernel/iommu_groups/", gpu->group, "/devices", NULL);
    g_autoptr(GPtrArray) names = read_names(folder);
    g_autofree char *obstacle = NULL;
    bool has_self = false;
    for (guint i = 0; names && i < names->len; i++) {
        g_autofree PciFunction *member = g_new0(PciFunction, 1);
        if (!gpu_is_address(names->pdata[i]) || !read_function(root, names->pdata[i], member))
            return g_strdup("What else is in its IOMMU group cannot be read.");
        bool is_self = g_str_equal(member->address, gpu->self.address);
        has_self = has_self || is_self;
        if (!obstacle && !is_self && is_in_the_way(member))
            obstacle = group_obstacle(member);
        bool goes_along = !pci_is_bridge(member);
        if (!goes_along)
            function_clear(member);
        else
            g_ptr_array_add(gpu->members, g_steal_pointer(&member));
    }
    return has_self ? g_steal_pointer(&obstacle) : g_strdup("What is in its IOMMU group cannot be read.");
}

static bool is_listed(const Gpu *gpu, char *const *blacklist)
{
    for (char *const *entry = blacklist; entry && *entry; entry++) {
        g_autofree char *full = g_strconcat("0000:", *entry, NULL);
        if (g_ascii_strcasecmp(*entry, gpu->self.model) == 0 || g_ascii_strcasecmp(*entry, gpu->self.address) == 0 ||
            g_ascii_strcasecmp(full, gpu->self.address) == 0)
            return true;
    }
    return false;
}

bool gpu_check_blacklist(char *const *blacklist, GError **error)
{
    for (char *const *entry = blacklist; entry && *entry; entry++) {
        g_autofree char *full = g_strconcat("0000:", *entry, NULL);
        if (!gpu_is_model(*entry) && !gpu_is_address(*entry) && !gpu_is_address(full) &&
            !g_uuid_string_is_valid(*entry))
            return qwd_error_fail(error, QWD_ERROR_CONFIG,
                                  "gpu_blacklist: \"%s\" is neither VENDOR:MODEL (10de:1eb8) nor an address (01:00.0).",
                                  *entry);
    }
    return true;
}

static char *own_obstacle(const char *root, const Gpu *gpu)
{
    g_autofree char *folder = function_folder(root, gpu->self.address);
    g_autofree char *parts = gpu->is_mediated ? g_strdup("") : read_attribute(folder, "sriov_numvfs");
    if (g_ascii_strtoll(parts, NULL, 10) > 0)
        return g_strdup("Its virtual functions are given instead.");
    if (!*gpu->group)
        return g_strdup("It is in no IOMMU group: the IOMMU is off in the BIOS or in the kernel.");
    if (gpu->is_mediated ? *gpu->self.driver != '\0' : pci_has_vfio_driver(&gpu->self))
        return NULL;
    g_autofree char *use = uses_text(&gpu->self);
    *use = g_ascii_toupper(*use);
    return g_strconcat(use, ".", NULL);
}

/* What the group holds is read in any case: the list of GPUs shows it. */
static void find_obstacle(const char *root, char *const *blacklist, Gpu *gpu)
{
    g_autofree char *group = *gpu->group && !gpu->is_mediated ? read_group(root, gpu) : NULL;
    if (is_listed(gpu, blacklist))
        gpu->obstacle = g_strdup("The setting gpu_blacklist keeps it from sessions.");
    else
        gpu->obstacle = own_obstacle(root, gpu);
    if (!gpu->obstacle)
        gpu->obstacle = g_steal_pointer(&group);
}

/* --- GPUs --- */

void gpu_free(Gpu *gpu)
{
    if (!gpu)
        return;
    function_clear(&gpu->self);
    g_free(gpu->group);
    g_free(gpu->parent);
    g_free(gpu->type);
    g_free(gpu->obstacle);
    g_ptr_array_unref(gpu->members);
    g_free(gpu);
}

static Gpu *gpu_new(void)
{
    Gpu *gpu = g_new0(Gpu, 1);
    gpu->members = g_ptr_array_new_with_free_func(function_free);
    return gpu;
}

static char *read_group_number(const char *folder)
{
    char *group = read_link_name(folder, "iommu_group");
    if (strspn(group, "0123456789") != strlen(group))
        *group = '\0';
    return group;
}

/* NULL when the function is no display controller. */
static Gpu *read_card(const char *root, const char *address)
{
    g_autoptr(Gpu) gpu = gpu_new();
    if (!gpu_is_address(address) || !read_function(root, address, &gpu->self) || !is_display(&gpu->self))
        return NULL;
    g_autofree char *folder = function_folder(root, address), *boot = read_attribute(folder, "boot_vga");
    gpu->is_boot_display = g_str_equal(boot, "1");
    gpu->parent = read_link_name(folder, "physfn");
    gpu->is_virtual = *gpu->parent != '\0';
    gpu->group = read_group_number(folder);
    gpu->type = g_strdup("");
    return g_steal_pointer(&gpu);
}

/* A mediated device stands in the folder of its card. NULL when that is no display controller. */
static Gpu *read_mediated(const char *root, const char *uuid)
{
    g_autoptr(Gpu) gpu = gpu_new();
    g_autofree char *folder = g_strconcat(root, "/sys/bus/mdev/devices/", uuid, NULL);
    g_autofree char *target = g_uuid_string_is_valid(uuid) ? g_file_read_link(folder, NULL) : NULL;
    g_autofree char *above = g_path_get_dirname(target ? target : "");
    gpu->parent = g_path_get_basename(above);
    if (!target || !gpu_is_address(gpu->parent) || !read_function(root, gpu->parent, &gpu->self) ||
        !is_display(&gpu->self))
        return NULL;
    gpu->is_mediated = true;
    g_free(gpu->self.address);
    g_free(gpu->self.driver);
    gpu->self.address = g_strdup(uuid);
    gpu->self.driver = read_link_name(folder, "driver");
    gpu->group = read_group_number(folder);
    gpu->type = read_attribute(folder, "mdev_type/name");
    if (!*gpu->type) {
        g_free(gpu->type);
        gpu->type = read_link_name(folder, "mdev_type");
    }
    return g_steal_pointer(&gpu);
}

static void add_all(GPtrArray *gpus, const char *root, const char *folder, Gpu *(*read)(const char *, const char *))
{
    g_autofree char *path = g_strconcat(root, folder, NULL);
    g_autoptr(GPtrArray) names = read_names(path);
    for (guint i = 0; names && i < names->len; i++) {
        Gpu *gpu = read(root, names->pdata[i]);
        if (gpu)
            g_ptr_array_add(gpus, gpu);
    }
}

/* A card that is divided is not given as well. */
static void set_divided(const GPtrArray *gpus)
{
    for (guint i = 0; i < gpus->len; i++) {
        const Gpu *part = gpus->pdata[i];
        for (guint j = 0; part->is_mediated && j < gpus->len; j++) {
            Gpu *card = gpus->pdata[j];
            if (!g_str_equal(card->self.address, part->parent))
                continue;
            g_free(card->obstacle);
            card->obstacle = g_strdup("Its mediated devices are given instead.");
        }
    }
}

GPtrArray *gpus_read(const char *root, char *const *blacklist, GError **error)
{
    if (!gpu_check_blacklist(blacklist, error))
        return NULL;
    GPtrArray *gpus = g_ptr_array_new_with_free_func((GDestroyNotify)gpu_free);
    add_all(gpus, root, "/sys/bus/pci/devices", read_card);
    add_all(gpus, root, "/sys/bus/mdev/devices", read_mediated);
    for (guint i = 0; i < gpus->len; i++)
        find_obstacle(root, blacklist, gpus->pdata[i]);
    set_divided(gpus);
    return gpus;
}

GPtrArray *pci_functions_read(const char *root)
{
    g_autofree char *folder = g_strconcat(root, "/sys/bus/pci/devices", NULL);
    g_autoptr(GPtrArray) names = read_names(folder);
    GPtrArray *functions = g_ptr_array_new_with_free_func(function_free);
    for (guint i = 0; names && i < names->len; i++) {
        g_autofree PciFunction *function = g_new0(PciFunction, 1);
        if (gpu_is_address(names->pdata[i]) && read_function(root, names->pdata[i], function))
            g_ptr_array_add(functions, g_steal_pointer(&function));
    }
    return functions;
}

static void profile_free(void *data)
{
    GpuProfile *profile = data;
    g_free(profile->id);
    g_free(profile->name);
    g_free(profile);
}

static GpuProfile *read_profile(const char *above, const char *id)
{
    g_autofree char *folder = g_build_filename(above, id, NULL);
    g_autofree char *available = read_attribute(folder, "available_instances");
    GpuProfile *profile = g_new0(GpuProfile, 1);
    profile->id = g_utf8_make_valid(id, -1);
    text_flatten(profile->id);
    profile->name = read_attribute(folder, "name");
    profile->available = g_ascii_strtoll(available, NULL, 10);
    return profile;
}

GPtrArray *gpu_profiles_read(const char *root, const Gpu *gpu)
{
    GPtrArray *profiles = g_ptr_array_new_with_free_func(profile_free);
    if (gpu->is_mediated)
        return profiles;
    g_autofree char *card = function_folder(root, gpu->self.address);
    g_autofree char *folder = g_build_filename(card, "mdev_supported_types", NULL);
    g_autoptr(GPtrArray) names = read_names(folder);
    for (guint i = 0; names && i < names->len; i++)
        g_ptr_array_add(profiles, read_profile(folder, names->pdata[i]));
    return profiles;
}

/* --- giving --- */

static bool plan_has(const Plan *plan, const Gpu *gpu)
{
    if (*gpu->group && g_strcmp0(plan->gpu_group, gpu->group) == 0)
        return true;
    g_autofree char *devices = gpu_devices(gpu);
    g_auto(GStrv) wanted = g_strsplit(devices, " ", -1), taken = g_strsplit(plan->gpu_devices, " ", -1);
    for (char **word = wanted; *word; word++) {
        if (**word && g_strv_contains((const char *const *)taken, *word))
            return true;
    }
    return false;
}

const SessionRecord *gpu_holder(const Gpu *gpu, const GPtrArray *sessions)
{
    for (guint i = 0; i < sessions->len; i++) {
        const SessionRecord *session = sessions->pdata[i];
        const Plan *plan = session->plan;
        if (session_state_is_alive(session->state) && plan->gpu_devices && *plan->gpu_devices && plan_has(plan, gpu))
            return session;
    }
    return NULL;
}

static void add_members(GString *text, const Gpu *gpu, bool of_same_device)
{
    for (guint i = 0; i < gpu->members->len; i++) {
        const PciFunction *member = gpu->members->pdata[i];
        bool is_self = g_str_equal(member->address, gpu->self.address);
        if (!is_self && gpu_same_device(gpu->self.address, member->address) == of_same_device)
            g_string_append_printf(text, " %s", member->address);
    }
}

char *gpu_devices(const Gpu *gpu)
{
    GString *text = g_string_new(gpu->self.address);
    add_members(text, gpu, true);
    add_members(text, gpu, false);
    return g_string_free(text, FALSE);
}
