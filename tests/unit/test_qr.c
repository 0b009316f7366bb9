/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <qrencode.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "web/qr.h"
#include "paths.h"

#define QUIET 4

/* Paints our path data back into a matrix of size x size bytes, 1 is dark. */
static unsigned char *paint(const char *path, int size)
{
    unsigned char *modules = g_malloc0((size_t)(size * size));
    int x, y, width, back, used;
    for (; *path; path += used) {
        g_assert_cmpint(sscanf(path, "M%d %dh%dv1h-%dz%n", &x, &y, &width, &back, &used), ==, 4);
        g_assert_true(width == back && width > 0 && x >= QUIET && y >= QUIET);
        g_assert_true(x + width <= size - QUIET && y < size - QUIET);
        for (int i = 0; i < width; i++) {
            g_assert_cmpint(modules[y * size + x + i], ==, 0);
            modules[y * size + x + i] = 1;
        }
    }
    return modules;
}

static void check_against_library(const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonValue) values = qr_values(text, &error);
    g_assert_no_error(error);
    QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);
    int size = (int)json_get_integer(values, "size", 0);
    g_assert_cmpint(size, ==, code->width + 2 * QUIET);
    g_autofree unsigned char *ours = paint(json_get_text(values, "path", ""), size);
    for (int y = 0; y < code->width; y++) {
        for (int x = 0; x < code->width; x++)
            g_assert_cmpint(ours[(y + QUIET) * size + x + QUIET], ==, code->data[y * code->width + x] & 1);
    }
    QRcode_free(code);
}

static void test_matrix(void)
{
    static const char *const texts[] = {
        "x",
        "http://localhost/",
        "https://desktops.example.org/darts/vnc.html?resize=remote&autoconnect=true&path=darts/?token=3f9a1c5e7b2d4f60",
        "text \"with\" <odd> & 'characters' \xc3\xa9",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        check_against_library(texts[i]);
    g_autofree char *longest = g_strnfill(1024, 'a');
    check_against_library(longest);
}

/* The three finder patterns (ISO/IEC 18004, section 6.3.3) stand where cameras look for them. */
static void test_finders(void)
{
    static const char *const finder[] = {"1111111", "1000001", "1011101", "1011101", "1011101", "1000001", "1111111"};
    g_autoptr(JsonValue) values = qr_values("http://localhost/", NULL);
    int size = (int)json_get_integer(values, "size", 0);
    g_autofree unsigned char *modules = paint(json_get_text(values, "path", ""), size);
    int far = size - QUIET - 7;
    int corners[][2] = {{QUIET, QUIET}, {far, QUIET}, {QUIET, far}};
    for (size_t c = 0; c < G_N_ELEMENTS(corners); c++) {
        for (int i = 0; i < 49; i++)
            g_assert_cmpint(modules[(corners[c][1] + i / 7) * size + corners[c][0] + i % 7], ==,
                            finder[i / 7][i % 7] - '0');
    }
}

static void test_limits(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *too_long = g_strnfill(1025, 'a');
    g_assert_null(qr_values(too_long, &error));
    g_assert_error(error, QWD_ERROR, QWD_ERROR_USAGE);
    g_clear_error(&error);
    g_assert_null(qr_values("", &error));
    g_assert_error(error, QWD_ERROR, QWD_ERROR_INTERNAL);
}

static void test_document(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = source_path("html");
    g_autofree char *document = qr_document(folder, "http://localhost/", &error);
    g_assert_no_error(error);
    g_autoptr(JsonValue) values = qr_values("http://localhost/", NULL);
    g_assert_true(g_str_has_prefix(document, "<svg xmlns=\"http://www.w3.org/2000/svg\" "));
    g_assert_true(g_str_has_suffix(document, "</svg>\n"));
    g_assert_nonnull(strstr(document, json_get_text(values, "path", "?")));
    static const GMarkupParser parser = {.text = NULL};
    g_autoptr(GMarkupParseContext) context = g_markup_parse_context_new(&parser, 0, NULL, NULL);
    g_assert_true(g_markup_parse_context_parse(context, document, -1, &error));
    g_assert_true(g_markup_parse_context_end_parse(context, &error));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qr/matrix", test_matrix);
    g_test_add_func("/qr/finders", test_finders);
    g_test_add_func("/qr/limits", test_limits);
    g_test_add_func("/qr/document", test_document);
    return g_test_run();
}
