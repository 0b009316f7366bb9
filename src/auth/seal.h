/* SPDX-License-Identifier: AGPL-3.0-or-later
 * JSON objects that leave the service and come back unchanged: signed with a key that is made at first use and never
 * leaves dir_login. A seal has a purpose, so that one made for a cookie is worth nothing as a link, and an end. */
#pragma once

#include <jansson.h>

#include "core/settings.h"

/* BASE64URL(object) "." BASE64URL(HMAC-SHA256). `expires_at` (UTC seconds) becomes part of it. Free with g_free; NULL
 * when the key cannot be read or made. */
char *seal_close(const Settings *settings, const char *purpose, const json_t *object, gint64 expires_at,
                 GError **error);

/* The object of a seal. QWD_ERROR_LOGIN when it is forged, of another purpose, or over. New reference. */
json_t *seal_open(const Settings *settings, const char *purpose, const char *text, GError **error);

/* A short proof that `text` comes from this service: for tokens in forms. Free with g_free; NULL on error. */
char *seal_mac(const Settings *settings, const char *purpose, const char *text, GError **error);

/* Remembers that something named by an unguessable `id` is used up, until expires_at. False with QWD_ERROR_LOGIN when
 * it was already. For one-time links and logouts. */
bool seal_use_up(const Settings *settings, const char *id, gint64 expires_at, GError **error);
bool seal_is_used_up(const Settings *settings, const char *id);
