/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What a session gets, as plain data, decided by pure functions before anything is started. */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "core/choices.h"
#include "core/host.h"
#include "core/machine.h"
#include "core/settings.h"

typedef struct {
    char *machine; /* name */
    char *title;   /* the same for people */
    char *image;   /* path of the master image */
    char *arch;
    char *firmware; /* "bios", "uefi" */
    char *disk;     /* bus */
    char *display;  /* QEMU device */
    char *accel;    /* "auto", "kvm", "tcg", "hvf" */
    char *os;
    char *network;        /* "auto", "passt", "restricted", "none" */
    char *network_denied; /* networks that it does not reach, as settings and entry say it; "" none */
    char *network_rules; /* what it may reach: "+NETWORK" and "-NETWORK", separated by spaces; what is later counts more
                          */
    gint64 cpus;
    gint64 memory_mib;
    gint64 disk_mib; /* of the empty disk beside an ISO */
    gint64 lifetime_s;
    gint64 lifetime_max_s; /* of extensions, where a group or the machine allows less; 0: as the setting says */
    gint64 sessions_max;   /* of its owner, when a group says it; 0: as the setting says */
    bool by_admin;         /* only the limits of memory and disk concern it */
    bool oneshot;          /* ends when its first viewer leaves */
    bool use_master;       /* writes to the master image */
    bool clipboard;
    bool gpu;          /* has a physical GPU, or waits for one; which one is decided when it is reserved */
    char *gpu_name;    /* for people; "" none yet */
    char *gpu_devices; /* addresses, see gpu_devices() in vm/gpu.h */
    char *gpu_group;   /* number of their IOMMU group */

    /* As the machine's. */
    char *script_method;
} Plan;

/* What somebody asks for; 0 means the default. */
typedef struct {
    gint64 cpus;
    gint64 memory_mib;
    gint64 lifetime_s;
    bool oneshot;
    bool gpu;
    bool by_admin;
    const Choices *choices; /* what the user may choose; NULL: only the host is the limit */
} PlanRequest;

/* Decides; QWD_ERROR_USAGE says what is possible when the request is out of range. */
Plan *plan_make(const Settings *settings, const Machine *machine, const PlanRequest *request, const Host *host,
                GError **error);

void plan_free(Plan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Plan, plan_free)

json_t *plan_to_json(const Plan *plan);

/* Never fails: what is absent or of another type is empty or 0. */
Plan *plan_from_json(const json_t *object);
