/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "web/qr.h"

#include <errno.h>
#include <qrencode.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "web/template.h"

#define TEXT_MAX_BYTES 1024
#define QUIET_ZONE 4 /* modules, ISO/IEC 18004, section 6.3.8 */
#define DARK 1       /* lowest bit of a module in libqrencode */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(QRcode, QRcode_free)

static QRcode *encode(const char *text, GError **error)
{
    if (strlen(text) > TEXT_MAX_BYTES) {
        qwd_error_fail(error, QWD_ERROR_USAGE, "A QR code holds at most %d bytes here.", TEXT_MAX_BYTES);
        return NULL;
    }
    QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);
    if (!code)
        qwd_error_errno(error, errno, "Cannot make a QR code");
    return code;
}

/* One bar for each run of dark modules of a row: "M4 4h7v1h-7z". */
static void append_row(GString *path, const unsigned char *row, int width, int y)
{
    for (int x = 0; x < width; x++) {
        int begin = x;
        while (x < width && (row[x] & DARK))
            x++;
        if (x > begin)
            g_string_append_printf(path, "M%d %dh%dv1h-%dz", begin + QUIET_ZONE, y + QUIET_ZONE, x - begin, x - begin);
    }
}

json_t *qr_values(const char *text, GError **error)
{
    g_autoptr(QRcode) code = encode(text, error);
    if (!code)
        return NULL;
    g_autoptr(GString) path = g_string_new(NULL);
    for (int y = 0; y < code->width; y++)
        append_row(path, code->data + y * code->width, code->width, y);
    return json_pack("{s:i, s:s}", "size", code->width + 2 * QUIET_ZONE, "path", path->str);
}

char *qr_document(const char *folder, const char *text, GError **error)
{
    g_autoptr(JsonValue) values = qr_values(text, error);
    return values ? template_render(folder, "qr-code.svg", values, error) : NULL;
}
