/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "vm/qemu.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/process.h"
#include "vm/gpu.h"

typedef GPtrArray Argv;

/* --- appending --- */

static void add(Argv *argv, const char *option, const char *value)
{
    g_ptr_array_add(argv, g_strdup(option));
    if (value)
        g_ptr_array_add(argv, g_strdup(value));
}

static void add_format(Argv *argv, const char *option, const char *format, ...) G_GNUC_PRINTF(3, 4);

static void add_format(Argv *argv, const char *option, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *value = g_strdup_vprintf(format, args);
    va_end(args);
    add(argv, option, value);
}

/* Takes the object. */
static void add_json(Argv *argv, const char *option, json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);
    add(argv, option, text);
    free(text);
    json_decref(object);
}

char *qemu_option_value(const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    return g_strjoinv(",,", parts);
}

/* --- machine --- */

typedef struct {
    const char *arch, *program, *machine;
    const char *ide_machine; /* the machine type with an IDE controller; NULL: there is none */
    const char *code[2];     /* UEFI firmware, the places to look */
    const char *vars[2];
    const char *package;
} Architecture;

static const Architecture architectures[] = {
    {"x86_64",
     "qemu-system-x86_64",
     "q35,vmport=off",
     "pc,vmport=off",
     {"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE.fd"},
     {"/usr/share/OVMF/OVMF_VARS_4M.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
     "ovmf"},
    {"aarch64",
     "qemu-system-aarch64",
     "virt,gic-version=max",
     NULL,
     {"/usr/share/AAVMF/AAVMF_CODE.fd", NULL},
     {"/usr/share/AAVMF/AAVMF_VARS.fd", NULL},
     "qemu-efi-aarch64"},
};

static const Architecture *architecture(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(architectures); i++) {
        if (g_str_equal(architectures[i].arch, name))
            return &architectures[i];
    }
    return NULL;
}

const char *qemu_program(const char *arch)
{
    const Architecture *found = architecture(arch);
    return found ? found->program : NULL;
}

bool qemu_find_uefi(const char *arch, const char **code, const char **vars, GError **error)
{
    const Architecture *found = architecture(arch);
    for (size_t i = 0; found && i < G_N_ELEMENTS(found->code); i++) {
        if (found->code[i] && access(found->code[i], R_OK) == 0 && access(found->vars[i], R_OK) == 0) {
            *code = found->code[i];
            *vars = found->vars[i];
            return true;
        }
    }
    return qwd_error_fail(error, QWD_ERROR_UNAVAILABLE,
                          "This machine needs UEFI firmware, which is not installed. Its package is %s.",
                          found ? found->package : "unknown");
}

static bool is_arm(const QemuSpec *spec)
{
    return g_str_equal(spec->arch, "aarch64");
}

static bool is_ide(const QemuSpec *spec)
{
    return g_str_equal(spec->disk, "ide") && !is_arm(spec);
}

/* Windows slows down under KVM without these; see QEMU's docs/system/i386/hyperv. */
static const char *windows_cpu_flags(const QemuSpec *spec)
{
    bool wanted = g_str_equal(spec->os, "windows") && g_str_equal(spec->accelerator->name, "kvm") && !is_arm(spec);
    return wanted ? ",hv_relaxed,hv_vapic,hv_time,hv_spinlocks=0x1fff" : "";
}

static void add_machine(Argv *argv, const QemuSpec *spec)
{
    const Architecture *arch = architecture(spec->arch);
    bool emulated = g_str_equal(spec->accelerator->name, "tcg");
    add_format(argv, "-name", "qwd-%s,debug-threads=on", spec->id);
    add(argv, "-nodefaults", NULL);
    add(argv, "-no-user-config", NULL);
    add(argv, "-machine", is_ide(spec) ? arch->ide_machine : arch->machine);
    add_format(argv, "-accel", "%s%s", spec->accelerator->name, emulated ? ",thread=multi,tb-size=128" : "");
    add_format(argv, "-cpu", "%s%s", spec->accelerator->cpu, windows_cpu_flags(spec));
    add_format(argv, "-smp", "cpus=%d", (int)spec->cpus);
    add_format(argv, "-m", "size=%" G_GINT64_FORMAT "M", spec->memory_mib);
    add_format(argv, "-rtc", "base=%s", g_str_equal(spec->os, "windows") ? "localtime" : "utc");
    add(argv, "-display", "none");
    add(argv, "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    if (!is_arm(spec)) { /* a guest that suspends could not be woken */
        const char *power = is_ide(spec) ? "PIIX4_PM" : "ICH9-LPC";
        add_format(argv, "-global", "%s.disable_s3=1", power);
        add_format(argv, "-global", "%s.disable_s4=1", power);
    }
}

static void add_flash(Argv *argv, const char *node, const char *path, bool read_only)
{
    add_json(argv, "-blockdev",
             json_pack("{s:s, s:s, s:b, s:{s:s, s:s}}", "driver", "raw", "node-name", node, "read-only", (int)read_only,
                       "file", "driver", "file", "filename", path));
}

static void add_firmware(Argv *argv, const QemuSpec *spec)
{
    if (!spec->firmware_code)
        return;
    add_flash(argv, "firmware-code", spec->firmware_code, true);
    add_flash(argv, "firmware-vars", spec->firmware_vars, false);
    add(argv, "-machine", "pflash0=firmware-code,pflash1=firmware-vars");
}

/* --- disks --- */

typedef struct {
    const char *bus;
    const char *controller; /* device to add first; NULL: the machine has one */
    const char *device;
    const char *bus_name; /* NULL: QEMU's choice */
    const char *serial;
} DiskBus;

static const DiskBus disk_buses[] = {
    {"virtio", NULL, "virtio-blk-pci", NULL, NULL},
    {"sata", NULL, "ide-hd", "ide.1", NULL},
    {"ide", NULL, "ide-hd", "ide.1", NULL},
    {"scsi", "virtio-scsi-pci", "scsi-hd", NULL, NULL},
    {"nvme", NULL, "nvme", NULL, "qwd"},
};

/* aarch64's machine has neither SATA nor IDE: its disks are virtio then. */
static const DiskBus *disk_bus(const QemuSpec *spec)
{
    bool has_ide = !is_arm(spec);
    for (size_t i = 0; i < G_N_ELEMENTS(disk_buses); i++) {
        bool usable = has_ide || !g_str_equal(disk_buses[i].device, "ide-hd");
        if (g_str_equal(disk_buses[i].bus, spec->disk) && usable)
            return &disk_buses[i];
    }
    return &disk_buses[0];
}

static void set_optional(json_t *object, const char *key, const char *value)
{
    if (value)
        json_object_set_new(object, key, json_string(value));
}

static void add_disk(Argv *argv, const QemuSpec *spec)
{
    const DiskBus *bus = disk_bus(spec);
    json_t *file = json_pack("{s:s, s:s}", "driver", "file", "filename", spec->disk_path);
    /* What a guest flushes need not reach the disk at once when the session cannot outlive this host's boot. */
    add_json(argv, "-blockdev",
             json_pack("{s:s, s:s, s:s, s:{s:b}, s:o}", "driver", spec->disk_format, "node-name", "disk0", "discard",
                       "unmap", "cache", "no-flush", (int)!spec->disk_is_master, "file", file));
    if (bus->controller)
        add_json(argv, "-device", json_pack("{s:s, s:s}", "driver", bus->controller, "id", "scsi0"));
    json_t *device = json_pack("{s:s, s:s, s:s, s:i}", "driver", bus->device, "id", "disk", "drive", "disk0",
                               "bootindex", spec->cdrom_path ? 2 : 1);
    set_optional(device, "bus", bus->bus_name);
    set_optional(device, "serial", bus->serial);
    add_json(argv, "-device", device);
}

static void add_cdrom(Argv *argv, const QemuSpec *spec)
{
    if (!spec->cdrom_path)
        return;
    json_t *file = json_pack("{s:s, s:s}", "driver", "file", "filename", spec->cdrom_path);
    add_json(argv, "-blockdev",
             json_pack("{s:s, s:s, s:b, s:o}", "driver", "raw", "node-name", "cd0", "read-only", 1, "file", file));
    bool scsi = is_arm(spec);
    if (scsi)
        add_json(argv, "-device", json_pack("{s:s, s:s}", "driver", "virtio-scsi-pci", "id", "scsi1"));
    json_t *device = json_pack("{s:s, s:s, s:s, s:i}", "driver", scsi ? "scsi-cd" : "ide-cd", "id", "cd", "drive",
                               "cd0", "bootindex", 1);
    set_optional(device, "bus", scsi ? "scsi1.0" : "ide.0");
    add_json(argv, "-device", device);
}

/* On the bus that the machine's system has a driver for; on IDE, CD and disk are the first two. */
static void add_seed(Argv *argv, const QemuSpec *spec)
{
    if (!spec->seed_path)
        return;
    bool ide = g_str_equal(disk_bus(spec)->device, "ide-hd");
    json_t *file = json_pack("{s:s, s:s}", "driver", "file", "filename", spec->seed_path);
    add_json(argv, "-blockdev",
             json_pack("{s:s, s:s, s:b, s:o}", "driver", "raw", "node-name", "seed0", "read-only", 1, "file", file));
    json_t *device =
        json_pack("{s:s, s:s, s:s}", "driver", ide ? "ide-cd" : "virtio-blk-pci", "id", "seed", "drive", "seed0");
    set_optional(device, "bus", !ide ? NULL : is_ide(spec) ? "ide.0" : "ide.2");
    if (is_ide(spec))
        json_object_set_new(device, "unit", json_integer(1));
    add_json(argv, "-device", device);
}

/* --- other devices --- */

static void add_input_and_display(Argv *argv, const QemuSpec *spec)
{
    g_autofree char *folder = qemu_option_value(spec->run_folder);
    add_json(argv, "-device", json_pack("{s:s, s:s}", "driver", spec->display, "id", "video"));
    add_json(argv, "-device", json_pack("{s:s, s:s}", "driver", "qemu-xhci", "id", "usb"));
    add_json(argv, "-device", json_pack("{s:s, s:s}", "driver", "usb-tablet", "bus", "usb.0"));
    add_json(argv, "-device", json_pack("{s:s, s:s}", "driver", "usb-kbd", "bus", "usb.0"));
    add_format(argv, "-vnc", "unix:%s/vnc,share=force-shared,lossy=on", folder);
}

static void add_port(Argv *argv, const char *chardev, const char *name)
{
    add_json(argv, "-device",
             json_pack("{s:s, s:s, s:s}", "driver", "virtserialport", "chardev", chardev, "name", name));
}

/* Channels into the guest: its agent, the clipboard (SPICE agent protocol), a serial console. */
static void add_channels(Argv *argv, const QemuSpec *spec)
{
    g_autofree char *folder = qemu_option_value(spec->run_folder);
    add_json(argv, "-device", json_pack("{s:s, s:s}", "driver", "virtio-serial-pci", "id", "channels"));
    add_format(argv, "-chardev", "socket,id=agent,path=%s/agent,server=on,wait=off", folder);
    add_port(argv, "agent", "org.qemu.guest_agent.0");
    if (spec->clipboard) {
        add(argv, "-chardev", "qemu-vdagent,id=clipboard,name=vdagent,clipboard=on,mouse=off");
        add_port(argv, "clipboard", "com.redhat.spice.0");
    }
    if (spec->script_port) {
        add_format(argv, "-chardev", "socket,id=script,fd=%d", QEMU_FD_SCRIPT);
        add_port(argv, "script", spec->script_port);
    }
    add_format(argv, "-add-fd", "fd=%d,set=1", QEMU_FD_SERIAL_LOG);
    add_format(argv, "-chardev", "socket,id=serial,path=%s/serial,server=on,wait=off,logfile=/dev/fdset/1,logappend=on",
               folder);
    add(argv, "-serial", "chardev:serial");
    add_format(argv, "-chardev", "socket,id=monitor,fd=%d", QEMU_FD_QMP);
    add(argv, "-mon", "chardev=monitor,mode=control");
}

/* A locally administered address out of QEMU's range, the same for the whole life of a session. */
static char *mac_address(const char *id)
{
    return g_strdup_printf("52:54:00:%.2s:%.2s:%.2s", id, id + 2, id + 4);
}

static void add_network(Argv *argv, const QemuSpec *spec)
{
    if (spec->network == NETWORK_NONE)
        return;
    if (spec->network == NETWORK_PASST)
        add_format(argv, "-netdev", "stream,id=net0,server=off,addr.type=fd,addr.str=%d", QEMU_FD_NETWORK);
    else
        add(argv, "-netdev", "user,id=net0,restrict=on");
    g_autofree char *mac = mac_address(spec->id);
    add_json(
        argv, "-device",
        json_pack("{s:s, s:s, s:s, s:s}", "driver", "virtio-net-pci", "netdev", "net0", "mac", mac, "romfile", ""));
}

/* What a guest writes belongs to the service on the host; its owners, modes and links are kept beside it, where they
 * mean nothing to the host. */
static void add_folders(Argv *argv, const QemuSpec *spec)
{
    for (size_t i = 0; i < spec->folder_count; i++) {
        const QemuFolder *folder = &spec->folders[i];
        g_autofree char *id = g_strdup_printf("folder%zu", i), *tag = g_strconcat("host_", folder->name, NULL);
        bool is_mapped = folder->writable || folder->is_mapped;
        add_format(argv, "-fsdev", "local,id=%s,path=/proc/self/fd/%zu,multidevs=remap,security_model=%s%s", id,
                   QEMU_FD_FOLDERS + i, is_mapped ? "mapped-xattr" : "none", folder->writable ? "" : ",readonly=on");
        add_json(argv, "-device",
                 json_pack("{s:s, s:s, s:s}", "driver", "virtio-9p-pci", "fsdev", id, "mount_tag", tag));
    }
}

static void add_helpers(Argv *argv, const QemuSpec *spec)
{
    add_json(argv, "-device",
             json_pack("{s:s, s:s, s:b}", "driver", "virtio-balloon-pci", "id", "balloon", "free-page-reporting", 1));
    add_json(argv, "-object",
             json_pack("{s:s, s:s, s:s}", "qom-type", "rng-random", "id", "rng", "filename", "/dev/urandom"));
    add_json(argv, "-device", json_pack("{s:s, s:s}", "driver", "virtio-rng-pci", "rng", "rng"));
    if (!is_arm(spec)) /* whose QEMU 7.2 has no such device */
        add_json(argv, "-device", json_pack("{s:s, s:s}", "driver", "vmgenid", "guid", "auto"));
}

/* --- a physical GPU --- */

static void add_port_for_gpu(Argv *argv, const char *id, int chassis)
{
    add_json(
        argv, "-device",
        json_pack("{s:s, s:s, s:s, s:i}", "driver", "pcie-root-port", "id", id, "bus", "pcie.0", "chassis", chassis));
}

/* Takes the device and its address in the guest. */
static void add_vfio(Argv *argv, const char *device, const char *port, char *address, bool has_more)
{
    bool is_mediated = !gpu_is_address(device);
    g_autofree char *place = is_mediated ? g_strconcat("/sys/bus/mdev/devices/", device, NULL) : g_strdup(device);
    json_t *object = json_pack("{s:s, s:s, s:s, s:s}", "driver", "vfio-pci", is_mediated ? "sysfsdev" : "host", place,
                               "bus", port, "addr", address);
    if (has_more)
        json_object_set_new(object, "multifunction", json_true());
    add_json(argv, "-device", object);
    g_free(address);
}

/* Each device gets a PCI Express port of its own, with its functions beside each other as on the host: drivers of
 * sound cards look for their GPU there. The emulated display stays the first one, for VNC. */
static void add_gpu(Argv *argv, const QemuSpec *spec)
{
    int slot = 0, function = 0;
    g_autofree char *port = NULL;
    for (const char *const *device = spec->gpu_devices; device && *device; device++) {
        bool joins = function > 0 && gpu_same_device(device[-1], device[0]);
        function = joins ? function + 1 : 1;
        if (!joins) {
            g_free(port);
            port = g_strdup_printf("gpu%d", slot++);
            add_port_for_gpu(argv, port, slot);
        }
        bool has_more = !joins && device[1] && gpu_same_device(device[0], device[1]);
        add_vfio(argv, *device, port, g_strdup_printf("0.%d", function - 1), has_more);
    }
}

char **qemu_argv(const QemuSpec *spec)
{
    Argv *argv = g_ptr_array_new();
    add(argv, spec->program, NULL);
    add_machine(argv, spec);
    add_firmware(argv, spec);
    add_disk(argv, spec);
    add_cdrom(argv, spec);
    add_seed(argv, spec);
    add_input_and_display(argv, spec);
    add_channels(argv, spec);
    add_network(argv, spec);
    add_helpers(argv, spec);
    add_gpu(argv, spec);
    add_folders(argv, spec);
    for (const char *const *word = spec->extra; word && *word; word++)
        add(argv, *word, NULL);
    for (const char *const *word = spec->more_options; word && *word; word++)
        add(argv, *word, NULL);
    g_ptr_array_add(argv, NULL);
    return (char **)g_ptr_array_free(argv, FALSE);
}
