/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Any text as a template, over fixed values. Held true:
 * - it is rendered, or the error is QWD_ERROR_INTERNAL and names the template and a line;
 * - no value comes out unescaped: each holds a private character and behind it one that must be escaped. */
#include <glib.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "web/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MARK "\xee\x80\x80" /* U+E000 */

static json_t *fuzz_values(void)
{
    const char *text = MARK "<" MARK ">" MARK "&" MARK "\"" MARK "'x";
    return json_pack("{s:s, s:{s:s, s:n}, s:[s,s], s:[{s:s}, {s:i}], s:b, s:b, s:n, s:i, s:f}", "a", text, "b", "a",
                     text, "n", "l", text, "y", "r", "a", text, "a", 7, "t", 1, "f", 0, "n", "i", 42, "d", 0.5);
}

static bool has_raw_value(const char *text)
{
    static const char *const raw[] = {MARK "<", MARK ">", MARK "\"", MARK "'"};
    for (size_t i = 0; i < G_N_ELEMENTS(raw); i++) {
        if (strstr(text, raw[i]))
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *template = g_strndup(size ? (const char *)data : "", size);
    g_autoptr(JsonValue) values = fuzz_values();
    g_autoptr(GError) error = NULL;
    g_autofree char *page = template_render_text("/nonexistent", "fuzz.html", template, values, &error);
    if (!page) {
        g_assert_error(error, QWD_ERROR, QWD_ERROR_INTERNAL);
        g_assert_true(g_str_has_prefix(error->message, "fuzz.html:"));
    } else if (!strstr(template, MARK)) {
        g_assert_false(has_raw_value(page));
    }
    return 0;
}
