/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Events that GLib without GIO lacks: a file that was replaced, a time of day that has come. */
#pragma once

#include <glib.h>

typedef void (*EventCallback)(void *data);

/* Calls back from the main context whenever a file in `folder` was renamed into place or removed, or the folder goes.
 * Returns the id for g_source_remove, 0 on error. */
guint watch_folder(const char *folder, EventCallback callback, void *data, GError **error);

/* Calls back once, when the wall clock has reached `unix_s`, also when the clock was set meanwhile. Returns the
 * id for g_source_remove, 0 on error. */
guint alarm_at(gint64 unix_s, EventCallback callback, void *data, GError **error);
