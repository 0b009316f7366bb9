/* SPDX-License-Identifier: AGPL-3.0-or-later
 * How an administrator has changed the looks: settings layout_*, and the folder dir_layout. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "core/settings.h"

/* From now on all pages of this process have the administrator's looks (web/template.h). */
void layout_use(const Settings *settings);

/* The same for mails, whose templates are in the folder "mail" of dir_layout. */
void layout_use_mail(const Settings *settings);

/* Loads the texts of a language, with the administrator's over ours. As catalogue_use: English where that fails. */
bool layout_use_language(const Settings *settings, const char *language, GError **error);

/* The URL path of a picture in dir_layout/pictures; NULL when `name` is no plain name or there is no such file. Free
 * with g_free. */
char *layout_picture(const Settings *settings, const char *name);

/* What is wrong with the files of dir_layout by themselves: texts such as "FILE:LINE: ...". Free with
 * g_ptr_array_unref. */
GPtrArray *layout_check(const Settings *settings);
