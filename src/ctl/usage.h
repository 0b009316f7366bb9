/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Which images are needed: by sessions that run, and by other images. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "core/settings.h"

/* The real paths of all files that sessions and enabled or disabled machines need, each with words for whom it is
 * needed (char * -> char *). NULL on error. */
GHashTable *usage_load(const Settings *settings, GError **error);

/* QWD_ERROR_CONFLICT when a session runs on this image. */
bool usage_refuse(const Settings *settings, const char *path, GError **error);

/* The real path, or the path itself when there is none. Free with g_free. */
char *usage_real_path(const char *path);
