/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Several runs of qwd-download at once, with their progress on standard error: a bar for each on a terminal, plain
 * lines elsewhere. */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "core/settings.h"

typedef struct {
    char *name;      /* of the machine */
    json_t *request; /* see src/helpers/download.c */
    int source;      /* the file to copy, or -1 */
    GError *error;   /* how it went: NULL when well */
} Transfer;

/* Takes the request; `name` is put into it. The source stays the caller's. */
Transfer *transfer_new(const char *name, json_t *request, int source);
void transfer_free(Transfer *transfer);

/* Runs all of them (Transfer *), three at a time. False when one has failed: with one it is its error, with several
 * they are told on standard error and counted. */
bool transfers_run(const Settings *settings, GPtrArray *transfers, GError **error);
