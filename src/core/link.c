/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/link.h"

#include <string.h>

/* noVNC resolves `path` against the server's root, not against its page: so it names the service's path again. */
static char *page_path(const char *folder, const char *token, SessionRole role)
{
    const char *relative = *folder == '/' ? folder + 1 : folder;
    return g_strdup_printf("%s/vnc.html?resize=%s&autoconnect=true&reconnect=true%s&path=%s%swebsockify%%3Ftoken%%3D%s",
                           folder, role == ROLE_VIEW ? "scale" : "remote", role == ROLE_VIEW ? "&view_only=true" : "",
                           relative, *relative ? "/" : "", token);
}

/* "scheme://host:PORT" of a base, with websockify's port, which speaks plain HTTP. */
static char *direct_base(const Settings *settings, const char *base)
{
    const char *host = strstr(base, "://");
    g_autofree char *rest = g_strdup(host ? host + 3 : base);
    char *port = strrchr(rest, ':');
    if (port && !strchr(port, ']')) /* not a colon inside an IPv6 address */
        *port = '\0';
    return g_strdup_printf("http://%s:%d", rest, (int)settings->service_port);
}

char *link_url(const Settings *settings, const char *base, const char *token, SessionRole role)
{
    bool proxied = *settings->service_path != '\0';
    g_autofree char *server = proxied ? g_strdup(base) : direct_base(settings, base);
    g_autofree char *path = page_path(settings->service_path, token, role);
    return g_strconcat(server, path, NULL);
}

char *link_reference(const Settings *settings, const char *base, const char *token, SessionRole role)
{
    if (*settings->service_path)
        return page_path(settings->service_path, token, role);
    return link_url(settings, base, token, role);
}
