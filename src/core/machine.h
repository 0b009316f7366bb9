/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The machines on offer: machines.conf and config.d/ (*.ini), a section for each image file. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "core/settings.h"

typedef struct {
    char *name; /* the image's file name, and the machine's name everywhere */
    char *path; /* of the image, in dir_machines */
    char *description;
    char *picture;                      /* name of a file in dir_layout/pictures; "" none */
    char *cost;                         /* in words; "" not said */
    char *url;                          /* where it comes from; "" unknown */
    char *sha256, *sha256_url;          /* of what comes from there; "" unknown */
    char *arch;                         /* "x86_64", "aarch64"; "" this host's */
    char *firmware;                     /* "bios", "uefi"; "" what the architecture has */
    char *disk;                         /* bus: "virtio", "sata", "ide", "scsi", "nvme" */
    char *display;                      /* QEMU device; "" the setting's */
    char *accel;                        /* "auto", "kvm", "tcg", "hvf"; "" the setting's */
    char *os;                           /* "linux", "windows", "other" */
    char *gpu;                          /* "auto", "no": never with a physical GPU */
    char *network_allow, *network_deny; /* networks: base/cidr.h */
    char *groups;                       /* who may use it: names separated by commas; "" everybody */
    char *users;                   /* users who may use it, in the same way; with groups, members of those as well */
    char *cpu, *memory, *lifetime; /* what may be chosen: lists, "" as elsewhere (core/choices.h) */

    /* How boot scripts get into it: "auto", "agent", "cloud-init", "none". */
    char *script_method;
} Machine;

void machine_free(Machine *machine);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Machine, machine_free)

/* An attribute of a section, for the parser, the documents and `qwdctl`. */
typedef struct {
    const char *key;
    size_t offset;
    const char *default_text;
    const char *allowed; /* words separated by spaces; "" any text */
    const char *help;
} MachineAttribute;

/* All attributes; the end is a row without a key. Static storage. */
const MachineAttribute *machine_attributes(void);

/* Whether a text can be the name of a machine: a plain file name without path, not hidden. */
bool machine_name_is_valid(const char *name);

/* All machines in the order of the files, those that users have saved at the end (core/saved.h), as a GPtrArray of
 * Machine *. A machine listed again later replaces the earlier entry. An absent machines.conf is an empty list.
 * QWD_ERROR_CONFIG names file and entry. */
GPtrArray *machines_load(const Settings *settings, GError **error);

/* Whether a text could be a file of machines; `folder` is dir_machines, for messages. QWD_ERROR_CONFIG names `path` and
 * the line. */
bool machines_check_text(const char *text, size_t length, const char *path, const char *folder, GError **error);

/* The machine of that name; QWD_ERROR_NOT_FOUND otherwise. Borrowed from the list. */
const Machine *machines_find(const GPtrArray *machines, const char *name, GError **error);

/* QWD_ERROR_NOT_FOUND for a machine that is not on offer; returns false. */
bool machine_not_found(const char *name, GError **error);

/* Whether the image is there to be started. */
bool machine_is_present(const Machine *machine);

/* A machine that is not in the list: the image at `path` with all attributes at their defaults. */
Machine *machine_from_path(const char *path);
