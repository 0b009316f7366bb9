/* SPDX-License-Identifier: AGPL-3.0-or-later
 * QR codes (ISO/IEC 18004, error correction M) as SVG path data: pages draw them with qr-code.svg. */
#pragma once

#include <glib.h>
#include <jansson.h>

/* The values of qr-code.svg: {"size": modules of a side with the quiet zone, "path": dark modules as the `d` of a path
 * in units of a module}. At most 1024 bytes of text (QWD_ERROR_USAGE). New reference; NULL on error. */
json_t *qr_values(const char *text, GError **error);

/* An SVG document, by `folder`/qr-code.svg. Free with g_free; NULL on error. */
char *qr_document(const char *folder, const char *text, GError **error);
