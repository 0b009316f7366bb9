/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "server/routes.h"

#include <string.h>

#include "server/cgi.h"
#include "server/static.h"
#include "server/tunnel.h"

static enum MHD_Result go_to_page(Request *request)
{
    return request_redirect(request, server_base(request->server, BASE_PAGE));
}

static enum MHD_Result add_slash(Request *request)
{
    g_autofree char *location = g_strconcat(request->path, "/", NULL);
    return request_redirect(request, location);
}

#define READ (METHOD_GET | METHOD_HEAD)

/* The first match counts. */
static const Route routes[] = {
    {READ | METHOD_POST, BASE_SCRIPT, "", true, cgi_handle},
    {READ | METHOD_POST, BASE_ROOT, "cgi-bin/qemu-web-desktop.pl", true, cgi_handle},
    {READ, BASE_PAGE, "", false, static_page},
    {READ, BASE_PAGE, "index.html", false, static_page},
    {READ, BASE_PAGE, "index.", true, static_translated_page},
    {READ, BASE_PAGE, "pictures/", true, static_picture},
    {READ, BASE_PAGE, "static/", true, static_asset},
    {READ, BASE_PAGE, STATIC_MODULES "core/", true, static_module},
    {READ, BASE_PAGE, STATIC_MODULES "vendor/", true, static_module},
    {READ | METHOD_POST, BASE_DISPLAY, "viewer", false, cgi_handle},
    {READ, BASE_DISPLAY, "static/", true, static_asset},
    {READ, BASE_DISPLAY, STATIC_MODULES "core/", true, static_module},
    {READ, BASE_DISPLAY, STATIC_MODULES "vendor/", true, static_module},
    {READ, BASE_DISPLAY, "", true, tunnel_or_novnc},
    {READ, BASE_ROOT, "", false, go_to_page},
};

static const Route slash_route = {READ, BASE_ROOT, "", false, add_slash};

static const struct {
    MethodSet method;
    const char *name;
} methods[] = {{METHOD_GET, "GET"}, {METHOD_HEAD, "HEAD"}, {METHOD_POST, "POST"}};

MethodSet routes_method(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(methods); i++) {
        if (g_str_equal(methods[i].name, name))
            return methods[i].method;
    }
    return 0;
}

char *routes_allow(MethodSet set)
{
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(methods); i++) {
        if (set & methods[i].method)
            g_string_append_printf(text, "%s%s", text->len ? ", " : "", methods[i].name);
    }
    return g_string_free(text, FALSE);
}

/* Below a route that is a program, the longer path begins with a slash; below a folder, the route ends in one, and what
 * has forms of its name ends in a point. */
static bool route_matches(const Route *route, Request *request)
{
    const char *base = server_base(request->server, route->base);
    g_autofree char *whole = base ? g_strconcat(base, route->path, NULL) : NULL;
    if (!whole || !g_str_has_prefix(request->path, whole))
        return false;
    request->route_length = strlen(whole);
    char next = request->path[request->route_length];
    return next == '\0' || (route->below && (next == '/' || strchr("/.", request->path[request->route_length - 1])));
}

/* "/darts" for "/darts/". */
static bool lacks_slash(const Request *request)
{
    g_autofree char *path = g_strconcat(request->path, "/", NULL);
    for (int base = BASE_PAGE; base <= BASE_DISPLAY; base++) {
        const char *text = server_base(request->server, base);
        if (text && g_str_equal(text, path))
            return true;
    }
    return false;
}

bool routes_find(Request *request)
{
    for (size_t i = 0; i < G_N_ELEMENTS(routes) && !request->route; i++) {
        if (route_matches(&routes[i], request))
            request->route = &routes[i];
    }
    if (!request->route && lacks_slash(request))
        request->route = &slash_route;
    return request->route != NULL;
}

const char *routes_rest(const Request *request)
{
    return request->path + request->route_length;
}
