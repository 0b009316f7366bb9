/* SPDX-License-Identifier: AGPL-3.0-or-later
 * A picture of a session's screen, in the folder of its sockets: a face asks for one with a file, the supervisor has
 * QEMU draw it, puts it in place of the last one, and takes the file away. Nobody asks: nothing is drawn. */
#pragma once

#include "core/settings.h"

#define PICTURE_FILE "picture.png"
#define PICTURE_PART "picture.part"     /* while QEMU draws */
#define PICTURE_WANTED "picture.wanted" /* as long as somebody waits for one */
#define PICTURE_MAX_BYTES (8 * 1024 * 1024)

/* Whether this is the beginning of a PNG file (RFC 2083, section 3.1). */
bool picture_is_png(const char *data, size_t length);

/* The picture that there is, PNG, g_free; its age in seconds. QWD_ERROR_NOT_FOUND when there is none, or no proper one.
 */
char *picture_load(const Settings *settings, const char *id, size_t *length, gint64 *age_s, GError **error);

/* Asks for a picture, and waits for it, or for the news that there will be none, up to `patience_ms`. Who has been
 * asked already, and has not answered for a while, is not waited for. */
void picture_ask(const Settings *settings, const char *id, int patience_ms);
