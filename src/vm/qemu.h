/* SPDX-License-Identifier: AGPL-3.0-or-later
 * QEMU's command line, from a plan: pure, pinned by golden files (tests/fixtures/argv). Text of users does
 * not occur in it. Options that take JSON get JSON; the others have their commas doubled. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "vm/accelerator.h"
#include "vm/network.h"

/* A folder of the host, open as QEMU_FD_FOLDERS and the numbers that follow. */
typedef struct {
    const char *name; /* its mount tag is host_NAME */
    bool writable;
    bool is_mapped; /* guests have written to it before: their owners and links stand beside the files */
} QemuFolder;

typedef struct {
    const char *id; /* of the session: QEMU's -name, and its MAC address */
    const char *program;
    const char *arch, *disk, *display, *os;
    gint64 cpus, memory_mib;
    bool clipboard;
    const Accelerator *accelerator;
    NetworkMode network;
    const char *const *gpu_devices; /* gpu_devices() in words; NULL or empty: none */

    const char *disk_path;                     /* the writable disk, */
    const char *disk_format;                   /* with its format */
    bool disk_is_master;                       /* changes must reach it: no shortcut when the guest flushes */
    const char *cdrom_path;                    /* an ISO, or NULL */
    const char *firmware_code, *firmware_vars; /* flash of a UEFI machine, else NULL */
    const char *run_folder;                    /* of the sockets vnc, agent and serial */
    const char *const *extra;                  /* the service's own options (qemu_exec_options), or NULL */
    const char *script_port;                   /* name of the port behind QEMU_FD_SCRIPT; NULL: there is none */
    const char *seed_path;                     /* a cloud-init seed, or NULL */
    const QemuFolder *folders;
    size_t folder_count;
    const char *const *more_options; /* those of boot scripts, or NULL */
} QemuSpec;

/* Numbers of the descriptors QEMU inherits. */
enum { QEMU_FD_QMP = 3, QEMU_FD_NETWORK = 4, QEMU_FD_SERIAL_LOG = 5, QEMU_FD_SCRIPT = 6, QEMU_FD_FOLDERS = 10 };

/* NULL-terminated; free with g_strfreev. */
char **qemu_argv(const QemuSpec *spec);

/* The program for an architecture: "qemu-system-x86_64". Static storage; NULL for an unknown one. */
const char *qemu_program(const char *arch);

/* Where the distribution keeps a UEFI firmware for an architecture. QWD_ERROR_UNAVAILABLE names the package. */
bool qemu_find_uefi(const char *arch, const char **code, const char **vars, GError **error);

/* QEMU's last words in plain terms, for the user of a session whose machine has ended by itself. Free with g_free. */
char *qemu_explain(const char *stderr_text);

/* `text` as the value of a "key=value,..." option: commas doubled. Free with g_free. */
char *qemu_option_value(const char *text);
