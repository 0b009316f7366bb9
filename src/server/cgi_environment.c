/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "server/cgi_environment.h"

#include <string.h>

#include "server/head.h"

/* Takes the value. */
static void set(char ***environment, const char *name, char *value)
{
    if (value)
        *environment = g_environ_setenv(*environment, name, value, FALSE);
    g_free(value);
}

static void set_inherited(char ***environment)
{
    static const struct {
        const char *name, *otherwise;
    } inherited[] = {{"PATH", "/usr/local/bin:/usr/bin:/bin"}, {"LANG", NULL}, {"TZ", NULL}};
    for (size_t i = 0; i < G_N_ELEMENTS(inherited); i++) {
        const char *value = g_getenv(inherited[i].name);
        set(environment, inherited[i].name, g_strdup(value ? value : inherited[i].otherwise));
    }
}

static void set_texts(char ***environment, const CgiRequest *request)
{
    static const struct {
        const char *name;
        size_t offset;
    } texts[] = {
        {"REQUEST_METHOD", offsetof(CgiRequest, method)},      {"SCRIPT_NAME", offsetof(CgiRequest, script_name)},
        {"PATH_INFO", offsetof(CgiRequest, path_info)},        {"REQUEST_URI", offsetof(CgiRequest, uri)},
        {"SERVER_PROTOCOL", offsetof(CgiRequest, protocol)},   {"REMOTE_ADDR", offsetof(CgiRequest, remote_address)},
        {"SERVER_ADDR", offsetof(CgiRequest, server_address)}, {"CONTENT_TYPE", offsetof(CgiRequest, content_type)},
        {"QWD_CONFIG", offsetof(CgiRequest, config_file)},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        set(environment, texts[i].name, g_strdup(*(const char *const *)((const char *)request + texts[i].offset)));
}

/* The host of "host:port" or "[address]:port". */
static char *server_name(const char *host_header)
{
    size_t length = *host_header == '[' ? strcspn(host_header, "]") + 1 : strcspn(host_header, ":");
    return g_strndup(host_header, length);
}

static void set_others(char ***environment, const CgiRequest *request)
{
    set(environment, "GATEWAY_INTERFACE", g_strdup("CGI/1.1"));
    set(environment, "QWD_SOCKET_TOKEN", g_strdup("protocol")); /* server/tunnel.c */
    set(environment, "SERVER_SOFTWARE", g_strdup("qwd-server/" QWD_VERSION));
    set(environment, "QUERY_STRING", g_strdup(request->query ? request->query : ""));
    set(environment, "SERVER_NAME", server_name(request->host_header ? request->host_header : "localhost"));
    set(environment, "SERVER_PORT", g_strdup_printf("%d", request->server_port));
    set(environment, "REMOTE_PORT", g_strdup_printf("%d", request->remote_port));
    if (request->content_length >= 0)
        set(environment, "CONTENT_LENGTH", g_strdup_printf("%" G_GINT64_FORMAT, request->content_length));
    if (request->overrides && *request->overrides)
        set(environment, "QWD_OVERRIDES", g_strjoinv("\n", (char **)request->overrides));
}

/* Fields that have a variable of their own, that a program must not see (a password; "Proxy", which would become
 * HTTP_PROXY), or that concern our connection to the client. */
static bool is_passed_on(const char *name)
{
    static const char *const withheld[] = {"Authorization",
                                           "Connection",
                                           "Content-Length",
                                           "Content-Type",
                                           "Expect",
                                           "Keep-Alive",
                                           "Proxy-Authorization",
                                           "Proxy",
                                           "TE",
                                           "Trailer",
                                           "Transfer-Encoding",
                                           "Upgrade"};
    for (size_t i = 0; i < G_N_ELEMENTS(withheld); i++) {
        if (g_ascii_strcasecmp(withheld[i], name) == 0)
            return false;
    }
    /* With an underscore two names would become one variable. */
    return strspn(name, "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == strlen(name);
}

/* A bearer token is for the program to check (RFC 6750); a password is not. */
static bool is_bearer(const HeadField *field)
{
    return g_ascii_strcasecmp(field->name, "Authorization") == 0 &&
           g_ascii_strncasecmp(field->value, "Bearer ", strlen("Bearer ")) == 0;
}

static char *variable_name(const char *name)
{
    g_autofree char *upper = g_ascii_strup(name, -1);
    return g_strconcat("HTTP_", g_strdelimit(upper, "-", '_'), NULL);
}

/* A field that comes twice is one list (RFC 9110, 5.3); cookies have a separator of their own. */
static void set_header(char ***environment, const HeadField *field)
{
    g_autofree char *name = variable_name(field->name);
    const char *before = g_environ_getenv(*environment, name);
    const char *separator = g_str_equal(name, "HTTP_COOKIE") ? "; " : ", ";
    g_autofree char *value = before ? g_strconcat(before, separator, field->value, NULL) : g_strdup(field->value);
    *environment = g_environ_setenv(*environment, name, value, TRUE);
}

char **cgi_environment(const CgiRequest *request)
{
    char **environment = g_new0(char *, 1);
    set_inherited(&environment);
    set_texts(&environment, request);
    set_others(&environment, request);
    for (guint i = 0; i < request->headers->len; i++) {
        const HeadField *field = g_ptr_array_index(request->headers, i);
        if (*field->name && (is_passed_on(field->name) || is_bearer(field)) && head_value_is_plain(field->value))
            set_header(&environment, field);
    }
    return environment;
}
