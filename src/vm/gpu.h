/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The GPUs of this host, as the kernel describes them in sysfs: display controllers (SR-IOV virtual functions among
 * them) and mediated devices. The kernel isolates devices by IOMMU group, so a group is given whole, to one session. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "core/session.h"

/* A function of a PCI device, or a mediated device. */
typedef struct {
    char *address; /* "0000:01:00.0"; the UUID of a mediated device */
    char *model;   /* "10de:1eb8" as VENDOR:MODEL; a mediated device has its parent's */
    char *driver;  /* "" none */
    char *name;    /* for people; "" before gpus_find_names */
    guint class;   /* PCI class code, three bytes */
} PciFunction;

typedef struct {
    PciFunction self;
    bool is_mediated;
    bool is_virtual;      /* SR-IOV */
    bool is_boot_display; /* shows the host's own console */
    char *group;          /* number of its IOMMU group; "" none */
    char *parent;         /* address of the card that a mediated or virtual one is a part of; "" none */
    char *type;           /* of a mediated device: its profile */
    GPtrArray *members;   /* PciFunction *: all of the group but its bridges, itself among them, sorted */
    char *obstacle;       /* why no session can have it; NULL: nothing */
} Gpu;

void gpu_free(Gpu *gpu);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Gpu, gpu_free)

/* All GPUs (Gpu *), those that cannot be given among them, sorted by address. `root` is what goes before /sys.
 * `blacklist` names models and addresses that stay with the host; QWD_ERROR_CONFIG when an entry is neither. */
GPtrArray *gpus_read(const char *root, char *const *blacklist, GError **error);

/* Whether each entry of gpu_blacklist is a model or an address. QWD_ERROR_CONFIG. */
bool gpu_check_blacklist(char *const *blacklist, GError **error);

/* Gives names to GPUs and the members of their groups, from pci.ids where that is installed, else the models. */
void gpus_find_names(const GPtrArray *gpus, const char *root);

/* The living session that has this GPU or a part of its group; NULL: it is free. Borrowed. */
const SessionRecord *gpu_holder(const Gpu *gpu, const GPtrArray *sessions);

/* What goes to the session, the GPU itself first, functions of one device beside each other: addresses separated by
 * spaces. Free with g_free. */
char *gpu_devices(const Gpu *gpu);

/* Whether a text has the form of a PCI address as sysfs writes it, or of VENDOR:MODEL. */
bool gpu_is_address(const char *text);
bool gpu_is_model(const char *text);

/* Whether two addresses are functions of one device. */
bool gpu_same_device(const char *a, const char *b);

/* Every PCI function of this host (PciFunction *), sorted by address. */
GPtrArray *pci_functions_read(const char *root);

/* The names of pci.ids for models (PciFunction *, of which `name` is set). */
void pci_names_find(const char *root, const GPtrArray *functions);

/* Whether it is a bridge, which stays with the host. */
bool pci_is_bridge(const PciFunction *function);

/* Whether it is bound to vfio-pci, or to one of the variants of that driver. */
bool pci_has_vfio_driver(const PciFunction *function);

/* A profile of mediated devices that a card offers. */
typedef struct {
    char *id;   /* "nvidia-63", the name of its folder */
    char *name; /* for people; "" none */
    gint64 available;
} GpuProfile;

/* Those of a card (GpuProfile *), sorted; empty for most cards. */
GPtrArray *gpu_profiles_read(const char *root, const Gpu *gpu);

/* Whether this process may open the devices of vfio for the group; QWD_ERROR_UNAVAILABLE names the one it may not. */
bool gpu_check_devices(const char *root, const char *group, GError **error);

/* Makes sure that QEMU, started by this process, can use the IOMMU group: the devices of vfio can be opened, and the
 * memory of the machine can be locked (the limit is raised as far as it may be). QWD_ERROR_UNAVAILABLE says what is
 * missing. */
bool gpu_check_access(const char *root, const char *group, gint64 memory_mib, GError **error);
