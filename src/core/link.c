/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/link.h"

#include <string.h>

#include "base/error.h"

/* --- paths that browsers see --- */

bool link_check_settings(const Settings *settings, GError **error)
{
    const char *prefix = settings->service_prefix;
    bool good = !*prefix || (prefix[0] == '/' && !g_str_has_suffix(prefix, "/") && !strstr(prefix, "//"));
    for (const char *at = prefix; *at; at++)
        good = good && (g_ascii_isalnum(*at) || strchr("/-._~", *at));
    return good || qwd_error_fail(error, QWD_ERROR_CONFIG,
                                  "service_prefix = %s is not accepted. Write a path such as /desk, of letters, digits "
                                  "and -._~, without a slash at its end.",
                                  prefix);
}

char *link_of_path(const Settings *settings, const char *path)
{
    return g_strconcat(settings->service_prefix, path, NULL);
}

char *link_page(const Settings *settings, const char *name)
{
    bool has_slash = g_str_has_suffix(settings->service_page, "/");
    return g_strconcat(settings->service_prefix, settings->service_page, has_slash || !*name ? "" : "/", name, NULL);
}

char *link_script(const Settings *settings)
{
    return link_of_path(settings, settings->service_script);
}

char *link_display(const Settings *settings)
{
    return *settings->service_path ? link_of_path(settings, settings->service_path) : NULL;
}

/* --- displays --- */

/* noVNC resolves `path` against the server's root up to version 1.5, and against its page from 1.6 on. A path that
 * leads up to the root first is the same in both: nothing is above the root (RFC 3986, 5.2.4). */
static char *socket_path(const char *folder)
{
    const char *relative = *folder == '/' ? folder + 1 : folder;
    GString *path = g_string_new(NULL);
    for (const char *at = folder; *at; at++) {
        if (*at == '/')
            g_string_append(path, "../");
    }
    g_string_append_printf(path, "%s%swebsockify", relative, *relative ? "/" : "");
    return g_string_free(path, FALSE);
}

static char *page_path(const char *folder, const char *token, SessionRole role)
{
    g_autofree char *path = socket_path(folder);
    return g_strdup_printf("%s/vnc.html?resize=%s&quality=9&autoconnect=true&reconnect=true%s&path=%s%%3Ftoken%%3D%s",
                           folder, role == ROLE_VIEW ? "scale" : "remote", role == ROLE_VIEW ? "&view_only=true" : "",
                           path, token);
}

/* "host[:port]" of a base. */
static const char *host_of(const char *base)
{
    const char *host = strstr(base, "://");
    return host ? host + 3 : base;
}

/* "host:PORT" of a base, with websockify's port. */
static char *direct_host(const Settings *settings, const char *base)
{
    g_autofree char *host = g_strdup(host_of(base));
    char *port = strrchr(host, ':');
    if (port && !strchr(port, ']')) /* not a colon inside an IPv6 address */
        *port = '\0';
    return g_strdup_printf("%s:%d", host, (int)settings->service_port);
}

/* websockify itself speaks plain HTTP. */
static char *direct_base(const Settings *settings, const char *base)
{
    g_autofree char *host = direct_host(settings, base);
    return g_strconcat("http://", host, NULL);
}

char *link_url(const Settings *settings, const char *base, const char *token, SessionRole role)
{
    g_autofree char *folder = link_display(settings);
    g_autofree char *server = folder ? g_strdup(base) : direct_base(settings, base);
    g_autofree char *path = page_path(folder ? folder : "", token, role);
    return g_strconcat(server, path, NULL);
}

char *link_reference(const Settings *settings, const char *base, const char *token, SessionRole role)
{
    g_autofree char *folder = link_display(settings);
    if (folder)
        return page_path(folder, token, role);
    return link_url(settings, base, token, role);
}

char *link_viewer_path(const Settings *settings)
{
    g_autofree char *folder = link_display(settings);
    return folder ? g_strconcat(folder, "/viewer", NULL) : NULL;
}

char *link_viewer_url(const Settings *settings, const char *base, const char *token)
{
    g_autofree char *path = link_viewer_path(settings), *script = link_script(settings);
    if (path)
        return g_strdup_printf("%s%s#token=%s", base, path, token);
    if (g_str_has_prefix(base, "https:"))
        return NULL;
    return g_strdup_printf("%s%s?shared=1#token=%s", base, script, token);
}

char *link_socket(const Settings *settings, const char *base)
{
    g_autofree char *folder = link_display(settings);
    if (folder)
        return g_strconcat(folder, "/websockify", NULL);
    g_autofree char *host = direct_host(settings, base);
    return g_strdup_printf("ws://%s/websockify", host);
}

char *link_connect_policy(const Settings *settings, const char *base)
{
    const char *host = host_of(base);
    if (*settings->service_path)
        return g_strdup_printf("'self' ws://%s wss://%s", host, host);
    g_autofree char *direct = direct_host(settings, base);
    return g_strdup_printf("'self' ws://%s", direct);
}
