/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "server/path.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static bool segments_are_plain(const char *path)
{
    for (const char *slash = path; slash; slash = strchr(slash + 1, '/')) {
        if (slash[1] == '.' || slash[1] == '/')
            return false;
    }
    return true;
}

static bool characters_are_plain(const char *path)
{
    for (const char *c = path; *c; c++) {
        if (g_ascii_iscntrl(*c) || *c == '\\')
            return false;
    }
    return g_utf8_validate(path, -1, NULL);
}

char *path_decode(const char *raw, GError **error)
{
    /* NULL for a broken encoding, for %00 and for an encoded slash. */
    g_autofree char *path = *raw == '/' ? g_uri_unescape_string(raw, "/") : NULL;
    if (path && characters_are_plain(path) && segments_are_plain(path))
        return g_steal_pointer(&path);
    qwd_error_fail(error, QWD_ERROR_USAGE, "The address is not a valid path.");
    return NULL;
}

static bool is_below(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    while (length > 0 && folder[length - 1] == '/')
        length--;
    return strncmp(path, folder, length) == 0 && path[length] == '/';
}

char *path_resolve(const char *folder, const char *relative, const char *also_below, GError **error)
{
    g_autofree char *joined = g_build_filename(folder, relative, NULL);
    char *root = realpath(folder, NULL);
    char *target = realpath(joined, NULL);
    bool good = root && target && (is_below(target, root) || (also_below && is_below(target, also_below)));
    char *result = good ? g_strdup(target) : NULL;
    free(root);
    free(target);
    if (!good)
        qwd_error_fail(error, QWD_ERROR_NOT_FOUND, "There is no such page.");
    return result;
}

const char *path_media_type(const char *path)
{
    static const struct {
        const char *ending, *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".mjs", "text/javascript; charset=utf-8"},
        {".json", "application/json"},
        {".webmanifest", "application/manifest+json"},
        {".txt", "text/plain; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".webp", "image/webp"},
        {".gif", "image/gif"},
        {".ico", "image/x-icon"},
        {".woff", "font/woff"},
        {".woff2", "font/woff2"},
        {".ttf", "font/ttf"},
        {".mp3", "audio/mpeg"},
        {".oga", "audio/ogg"},
        {".ogg", "audio/ogg"},
        {".wasm", "application/wasm"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
        if (g_str_has_suffix(path, types[i].ending))
            return types[i].type;
    }
    return NULL;
}
