/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/machine.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "core/ini.h"
#include "core/saved.h"

#define NAME_MAX_CHARS 200

#define ATTRIBUTE(field, default_, allowed_, help_)                                                                    \
    {                                                                                                                  \
        .key = #field, .offset = offsetof(Machine, field), .default_text = default_, .allowed = allowed_,              \
        .help = help_                                                                                                  \
    }

static const MachineAttribute attributes[] = {
    ATTRIBUTE(description, "", "", "What the machine is, for the page."),
    ATTRIBUTE(picture, "", "", "Its picture on the page: the name of a file in dir_layout/pictures."),
    ATTRIBUTE(cost, "", "", "What it costs, for the page, in words: 2 credits an hour."),
    ATTRIBUTE(url, "", "",
              "Where the image comes from: an http:// or https:// address, or a file that the service account can read "
              "(file:// or its path), which is copied."),
    ATTRIBUTE(sha256, "", "", "The image's SHA-256; a download that differs is thrown away."),
    ATTRIBUTE(sha256_url, "", "", "A list of checksums that names the image, such as a distribution's SHA256SUMS."),
    ATTRIBUTE(arch, "", "x86_64 aarch64",
              "Processor architecture, when it is not this host's. Another one is emulated."),
    ATTRIBUTE(firmware, "", "bios uefi", "Firmware; aarch64 machines always have uefi."),
    ATTRIBUTE(disk, "virtio", "virtio sata ide scsi nvme", "Bus of the disk, for systems without virtio drivers."),
    ATTRIBUTE(display, "", "virtio-vga virtio-gpu-pci VGA qxl-vga cirrus-vga ramfb",
              "Display device, when it is not the setting qemu_video."),
    ATTRIBUTE(accel, "", "auto kvm tcg hvf", "Accelerator, when it is not the setting accel."),
    ATTRIBUTE(os, "linux", "linux windows other",
              "System; Windows gets a clock in local time and Hyper-V enlightenments."),
    ATTRIBUTE(gpu, "auto", "auto no",
              "Whether a session may ask for a physical GPU; no for systems without its driver."),
    ATTRIBUTE(network_allow, "", "", "Networks that it may reach, beside the setting network_allow."),
    ATTRIBUTE(network_deny, "", "", "Networks that it does not reach, beside the setting network_deny."),
    ATTRIBUTE(groups, "", "", "Groups whose members may use it, separated by commas; empty: everybody."),
    ATTRIBUTE(users, "", "",
              "Users who may use it, by the names they log in with, separated by commas; with groups, their members as "
              "well."),
    ATTRIBUTE(cpu, "", "",
              "Numbers of cores that may be chosen for it, the largest being the most it gets; empty: as elsewhere."),
    ATTRIBUTE(memory, "", "", "Sizes of memory that may be chosen for it, in the same way."),
    ATTRIBUTE(lifetime, "", "", "Life-times that may be chosen for it, in the same way."),
    ATTRIBUTE(
        script_method, "auto", "auto agent cloud-init customize none",
        "How boot scripts get into the machine: QEMU's guest agent, a cloud-init seed, or whichever answers first; "
        "customize: by way of its disk."),
    {0},
};

const MachineAttribute *machine_attributes(void)
{
    return attributes;
}

static char **attribute_field(Machine *machine, const MachineAttribute *attribute)
{
    return (char **)((char *)machine + attribute->offset);
}

void machine_free(Machine *machine)
{
    if (!machine)
        return;
    g_free(machine->name);
    g_free(machine->path);
    for (const MachineAttribute *attribute = attributes; attribute->key; attribute++)
        g_free(*attribute_field(machine, attribute));
    g_free(machine);
}

static Machine *machine_new(const char *name, char *path)
{
    Machine *machine = g_new0(Machine, 1);
    machine->name = g_strdup(name);
    machine->path = path;
    for (const MachineAttribute *attribute = attributes; attribute->key; attribute++)
        *attribute_field(machine, attribute) = g_strdup(attribute->default_text);
    return machine;
}

Machine *machine_from_path(const char *path)
{
    g_autofree char *name = g_path_get_basename(path);
    return machine_new(name, g_canonicalize_filename(path, NULL));
}

bool machine_name_is_valid(const char *name)
{
    static const char accepted[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-@:+ ";
    size_t length = strlen(name);
    return length > 0 && length <= NAME_MAX_CHARS && strspn(name, accepted) == length && *name != '.' && *name != '-' &&
           *name != ' ';
}

static const MachineAttribute *find_attribute(const char *key)
{
    for (const MachineAttribute *attribute = attributes; attribute->key; attribute++) {
        if (g_str_equal(attribute->key, key))
            return attribute;
    }
    return NULL;
}

static bool set_attribute(Machine *machine, const char *key, const char *value, GError **error)
{
    const MachineAttribute *attribute = find_attribute(key);
    if (!attribute)
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "[%s] has an unknown attribute \"%s\".", machine->name, key);
    g_auto(GStrv) words = g_strsplit(attribute->allowed, " ", -1);
    if (*attribute->allowed && *value && !g_strv_contains((const char *const *)words, value))
        return qwd_error_fail(error, QWD_ERROR_CONFIG, "[%s] %s = %s is not accepted. Write one of: %s.", machine->name,
                              key, value, attribute->allowed);
    char **field = attribute_field(machine, attribute);
    g_free(*field);
    *field = g_strdup(value);
    return true;
}

static Machine *read_section(GKeyFile *file, const char *section, const char *folder, GError **error)
{
    if (!machine_name_is_valid(section)) {
        qwd_error_fail(error, QWD_ERROR_CONFIG, "[%s] is not the name of a file in %s.", section, folder);
        return NULL;
    }
    g_autoptr(Machine) machine = machine_new(section, g_build_filename(folder, section, NULL));
    g_auto(GStrv) keys = g_key_file_get_keys(file, section, NULL, NULL);
    for (char **key = keys; key && *key; key++) {
        g_autofree char *value = g_key_file_get_value(file, section, *key, NULL);
        if (!set_attribute(machine, *key, g_strstrip(value), error))
            return NULL;
    }
    return g_steal_pointer(&machine);
}

static void put(GPtrArray *machines, Machine *machine)
{
    for (guint i = 0; i < machines->len; i++) {
        Machine *other = machines->pdata[i];
        if (g_str_equal(other->name, machine->name)) {
            machine_free(other);
            machines->pdata[i] = machine;
            return;
        }
    }
    g_ptr_array_add(machines, machine);
}

static bool read_text_into(GPtrArray *machines, GKeyFile *file, const char *path, const char *folder, GError **error)
{
    g_auto(GStrv) sections = g_key_file_get_groups(file, NULL);
    for (char **section = sections; *section; section++) {
        Machine *machine = read_section(file, *section, folder, error);
        if (!machine) {
            g_prefix_error(error, "%s: ", path);
            return false;
        }
        put(machines, machine);
    }
    return true;
}

static bool read_file_into(GPtrArray *machines, const char *path, const char *folder, GError **error)
{
    g_autoptr(GKeyFile) file = ini_read(path, error);
    return file && read_text_into(machines, file, path, folder, error);
}

static bool accepts(const char *text, size_t length, const char *path, const char *folder, GError **error)
{
    g_autoptr(GPtrArray) machines = g_ptr_array_new_with_free_func((GDestroyNotify)machine_free);
    g_autoptr(GKeyFile) file = ini_parse(text, length, path, error);
    return file && read_text_into(machines, file, path, folder, error);
}

/* GKeyFile does not tell where the trouble is: it is the first line with which the text is not accepted any more. */
static int find_bad_line(const char *text, size_t length, const char *folder)
{
    int line = 1;
    for (const char *end = text; (end = memchr(end, '\n', length - (size_t)(end - text))); line++) {
        end++;
        if (!accepts(text, (size_t)(end - text), "", folder, NULL))
            break;
    }
    return line;
}

bool machines_check_text(const char *text, size_t length, const char *path, const char *folder, GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (accepts(text, length, path, folder, &cause))
        return true;
    const char *message = cause->message;
    if (g_str_has_prefix(message, path))
        message += strlen(path) + 1;
    return qwd_error_fail(error, QWD_ERROR_CONFIG, "%s, line %d:%s%s", path, find_bad_line(text, length, folder),
                          *message == ' ' ? "" : " ", message);
}

/* A broken one of these concerns itself alone, and none takes the place of an administrator's entry. */
static void add_saved(GPtrArray *machines, const Settings *settings)
{
    g_autoptr(GPtrArray) files = saved_load(settings);
    for (guint i = 0; i < files->len; i++) {
        const SavedFile *file = files->pdata[i];
        g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func((GDestroyNotify)machine_free);
        g_autoptr(GKeyFile) entries = ini_parse(file->text, strlen(file->text), file->path, NULL);
        if (!entries || !read_text_into(found, entries, file->path, settings->dir_machines, NULL) || found->len != 1)
            continue;
        const Machine *machine = found->pdata[0];
        g_autofree char *path = saved_path(settings, machine->name);
        if (g_str_equal(path, file->path) && !machines_find(machines, machine->name, NULL))
            g_ptr_array_add(machines, g_ptr_array_steal_index(found, 0));
    }
}

GPtrArray *machines_load(const Settings *settings, GError **error)
{
    g_autoptr(GPtrArray) machines = g_ptr_array_new_with_free_func((GDestroyNotify)machine_free);
    g_autoptr(GError) cause = NULL;
    if (!read_file_into(machines, settings->file_machines, settings->dir_machines, &cause) &&
        !g_error_matches(cause, QWD_ERROR, QWD_ERROR_NOT_FOUND)) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return NULL;
    }
    g_auto(GStrv) more = files_beside(settings->file_machines, ".ini");
    for (char **path = more; *path; path++) {
        if (!read_file_into(machines, *path, settings->dir_machines, error))
            return NULL;
    }
    add_saved(machines, settings);
    return g_steal_pointer(&machines);
}

const Machine *machines_find(const GPtrArray *machines, const char *name, GError **error)
{
    for (guint i = 0; i < machines->len; i++) {
        const Machine *machine = machines->pdata[i];
        if (g_str_equal(machine->name, name))
            return machine;
    }
    machine_not_found(name, error);
    return NULL;
}

bool machine_not_found(const char *name, GError **error)
{
    return qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "There is no machine \"%s\" here. Choose one from the list.",
                          name);
}

bool machine_is_present(const Machine *machine)
{
    return g_file_test(machine->path, G_FILE_TEST_IS_REGULAR);
}
