/* SPDX-License-Identifier: AGPL-3.0-or-later
 * The machines that a user has saved (core/saved.h): which they are, and giving them up. */
#pragma once

#include "app/app.h"

/* The user's own ones (Machine *); empty for who is not logged in. Free with g_ptr_array_unref. */
GPtrArray *app_saved_list(const Settings *settings, const Identity *who);

/* Removes one for good. QWD_ERROR_NOT_FOUND when it is not the user's, QWD_ERROR_CONFLICT while a session, or the disk
 * of an ended one that is kept, or another machine stands on it. */
bool app_saved_remove(const Settings *settings, const Identity *who, const char *name, GError **error);
