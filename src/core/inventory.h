/* SPDX-License-Identifier: AGPL-3.0-or-later
 * What there is of machines: entries in machines.conf and config.d/ (*.ini), enabled or disabled, and files in
 * dir_machines. */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "core/settings.h"

typedef enum {
    ENTRY_NONE,     /* a file that no entry names */
    ENTRY_DISABLED, /* commented out */
    ENTRY_ENABLED,
} EntryState;

typedef struct {
    char *name;
    char *path; /* where its image is, or would be */
    char *description, *url;
    char *sha256, *sha256_url;
    EntryState entry;
    bool has_file;
    gint64 size_bytes; /* that the file takes on the disk */
} InventoryItem;

/* All of them: the enabled ones in the order of the page, then the disabled ones, then files alone
 * (InventoryItem *). */
GPtrArray *inventory_load(const Settings *settings, GError **error);

/* The item of that name, NULL when there is none. Borrowed. */
const InventoryItem *inventory_find(const GPtrArray *inventory, const char *name);

/* "enabled", "disabled", "orphan" (a file without an entry), "missing" (an entry without its file). Static storage. */
const char *inventory_state_name(const InventoryItem *item);

json_t *inventory_to_json(const GPtrArray *inventory);
