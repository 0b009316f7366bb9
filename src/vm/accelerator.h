/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Which accelerator to use. That /dev/kvm exists and opens says little: under some hosts it is there and
 * slower than emulation, or QEMU aborts with the usual processor model. So we try: the firmware has to reach
 * its end in time. What was found is kept until QEMU, kernel or processor change. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "core/settings.h"

typedef struct {
    char *name; /* "kvm", "tcg", "hvf" */
    char *cpu;  /* QEMU processor model */
    char *note; /* what was tried and found, for the administrator */
} Accelerator;

void accelerator_clear(Accelerator *accelerator);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Accelerator, accelerator_clear)

typedef struct {
    const char *wish; /* "auto", "kvm", "tcg", "hvf" */
    const char *guest_arch;
    const char *host_arch;
    const char *qemu;         /* program */
    const char *cache_folder; /* where to keep what was found */
} AcceleratorQuery;

/* Decides; may try for some seconds when nothing is known yet. QWD_ERROR_UNAVAILABLE when the wish cannot be
 * met, QWD_ERROR_CANCELLED when waits were given up. */
bool accelerator_choose(const AcceleratorQuery *query, Accelerator *accelerator, GError **error);

/* What is known already, without trying: false when nothing is. */
bool accelerator_recall(const AcceleratorQuery *query, Accelerator *accelerator);

/* The same for machines of this host's own kind; `note` says so when nothing is known yet. */
bool accelerator_recall_own(const Settings *settings, Accelerator *accelerator);
